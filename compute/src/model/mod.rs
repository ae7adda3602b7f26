//! Language models: one generic decoder driven by a config, and one table of families that says how each
//! one's `config.json` and checkpoint are read.
//!
//! Twenty minutes to read: the crate `checkpoints` says what a model can be and where it can be read,
//! `decoder.rs`, `attention.rs` and `ffn/` run it, `load/` reads weights, `head.rs` ends in logits.
//!
//! | hook points of block L | where they exist |
//! |---|---|
//! | `hook_resid_pre`, `hook_resid_post`, `hook_attn_out`, `attn.hook_q`, `hook_k`, `hook_v`, `hook_z`, `hook_out` | everywhere |
//! | `hook_resid_mid` | not in parallel blocks (Pythia, GPT-J, Phi), not in attention-only models |
//! | `ln1.hook_normalized`, `ln2.hook_normalized` | not in OLMo 2, which normalises what blocks write |
//! | `hook_mlp_out`, `mlp.hook_in`, `mlp.hook_out` | not in attention-only models |
//! | `mlp.hook_pre`, `mlp.hook_post` | not in mixtures of experts (Qwen3-MoE, gpt-oss) |
//! | `mlp.hook_pre_linear` | gated MLPs: Llama, Mistral, Qwen, OLMo, Phi 3, Gemma |
//! | `hook_embed`; `hook_pos_embed` (no block) | everywhere; learned positions: GPT-2, GPT-Neo, OPT, TransformerLens |
//!
//! `mlp.hook_in` is the MLP's input after norm and gain (`hook_mlp_in` of Gemma Scope 2 and circuit-tracer).
//! Where a norm follows attention or MLP (Gemma 2 and 3, OLMo 2), `attn.hook_out` and `mlp.hook_out` are
//! read before it, `hook_attn_out` and `hook_mlp_out` after it. Paths of transformers' modules
//! (`model.layers.17.output`, `transformer.h.0.mlp`) are aliases of these names.
//!
//! Weights come sharded or single, as safetensors or `pytorch_model.bin`, and are kept as asked.
//!
//! Heads are flattened: `attn.hook_z` is `[batch, pos, n_heads * d_head]`, `hook_k` and `hook_v` have
//! `n_kv_heads * d_head`. `hook_q` and `hook_k` are read before norm and rotation. `ln1` and `ln2` are read
//! before gain and bias, as TransformerLens 3 reads them.
//!
//! # Agreement with transformers
//!
//! The largest absolute difference from what transformers (4.49 or 5.24) computes in f32 from the same small random
//! checkpoint, over all blocks, rounded up; a test measures it and compares. Empty: the family has no such hook
//! point, or the reference does not hold it.
//!
#![doc = include_str!("agreement.md")]
//!
//! TransformerLens's own models (GELU-1L, SoLU, attention-only) are tested by GPT-2's weights written in their layout
//! and by their definitions. LongRoPE, and a final RMSNorm of TransformerLens's, are tested by their definitions alone.

mod attention;
mod decoder;
mod error;
mod ffn;
mod head;
mod hooks;
mod layers;
mod load;
mod preprocessing;
mod rotary;

use std::path::Path;

use tch::{Device, Kind, Tensor};

pub use checkpoints::model::{
    Activation, AttentionConfig, Biases, ConfigError, Family, Ffn, Gate, HookPoint, LayerConfig,
    LearnedPositions, MlpConfig, ModelConfig, MoeConfig, NormKind, NormOrder, Parallel, QkNorm, Rope,
    RopePairs, RopeScaling, Router, Site, aliases,
};
use decoder::Decoder;
pub use error::ModelError;
pub use head::Head;
pub use hooks::Hooks;
pub use preprocessing::Preprocessing;

/// A decoder-only language model, its weights on one device.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    decoder: Decoder,
    head: Head,
}

impl Model {
    /// Reads a checkpoint folder: Hugging Face (`config.json` and `*.safetensors` or `pytorch_model.bin`)
    /// or TransformerLens (`config.json` and `model_final.pth`).
    ///
    /// Weights are kept as `kind` on `device`; what is delicate (norms, softmax, logits) is computed in f32.
    pub fn load(folder: &Path, device: Device, kind: Kind) -> Result<Self, ModelError> {
        let config = ModelConfig::read(folder)?;
        let (decoder, head) = load::load(folder, &config, device, kind)?;
        Ok(Self { config, decoder, head })
    }

    /// What the checkpoint's config says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Runs the decoder.
    ///
    /// - `tokens`: `[batch, pos]`, i64, on the model's device
    /// - `hooks`: sees the hook points that it wants, and may replace what it sees
    /// - returns the last residual `[batch, pos, d_model]`, before the final norm; if `hooks` was done
    ///   earlier, the residual stream where it stopped
    pub fn forward(&self, tokens: &Tensor, hooks: &mut dyn Hooks) -> Result<Tensor, ModelError> {
        self.decoder.forward(&self.config, tokens, hooks)
    }

    /// Runs the blocks from `layer` on.
    ///
    /// - `resid`: what that block reads, `[batch, pos, d_model]`: its `hook_resid_pre` of a pass over the same tokens
    /// - returns what [`forward`](Self::forward) does
    pub fn forward_from(
        &self,
        layer: i64,
        resid: &Tensor,
        hooks: &mut dyn Hooks,
    ) -> Result<Tensor, ModelError> {
        self.decoder.forward_from(&self.config, layer, resid, hooks)
    }

    /// Final norm and unembedding.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The linear map from a hook point to the residual stream, `[d_in, d_model]`; `None` is the identity.
    ///
    /// `W_out` for `mlp.hook_post` and `hook_pre`, `W_O` with heads flattened for `attn.hook_z`. Norms
    /// after attention and MLP are not linear and are left out, as TransformerLens does.
    pub fn write_matrix(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        self.decoder.write_matrix(hook)
    }

    /// The value bias at `attn.hook_v` or, repeated over grouped heads, at `attn.hook_z`; `None` where the
    /// model has none. `[n_kv_heads * d_head]` or `[n_heads * d_head]`.
    pub fn value_bias(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        self.decoder.value_bias(&self.config, hook)
    }

    /// See [`ModelConfig::hook_point`].
    pub fn hook_point(&self, name: &str) -> Result<HookPoint, ConfigError> {
        self.config.hook_point(name)
    }

    /// See [`ModelConfig::hook_width`].
    pub fn hook_width(&self, hook: &HookPoint) -> i64 {
        self.config.hook_width(hook)
    }
}
