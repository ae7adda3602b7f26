//! Language models: one generic decoder driven by a config, plus one small file per family that maps its
//! checkpoint onto it.
//!
//! Fifteen minutes to read: `config.rs` says what a model can be, `hook_point.rs` where it can be read,
//! `decoder.rs` runs it, `families/` maps checkpoints, `head.rs` ends in logits.
//!
//! | family | checkpoints | tested how |
//! |---|---|---|
//! | GPT-2 | Hugging Face, with and without `transformer.` | oracle: transformers 4.49, every hook and logits, 1e-4 |
//! | GPT-NeoX, Pythia | Hugging Face, parallel and sequential | oracle: the same, both |
//! | Llama | Hugging Face, plain and llama3 or linear rope scaling | oracle: the same, plain and llama3; linear: not tested |
//! | Mistral | Hugging Face, sliding window | oracle: the same, without a window; windows of 1, 3 and a whole row: their own test |
//! | Qwen2 | Hugging Face | oracle: the same |
//! | Gemma, Gemma 2 | Hugging Face, soft-caps, post-norms, alternating window | oracle: the same, both |
//! | GELU-1L, SoLU and kin | TransformerLens `config.json` + `model_final.pth` | the GPT-2 oracle's weights written in this layout; SoLU, attention-only and folded norms from their definitions; a final RMSNorm: not tested |
//!
//! | hook points of block L | where they exist |
//! |---|---|
//! | `hook_resid_pre`, `hook_resid_post`, `hook_attn_out`, `ln1.hook_normalized`, `attn.hook_q`, `hook_k`, `hook_v`, `hook_z` | everywhere |
//! | `hook_resid_mid` | not in parallel blocks (Pythia), not in attention-only models |
//! | `hook_mlp_out`, `ln2.hook_normalized`, `mlp.hook_in`, `hook_out`, `hook_pre`, `hook_post` | not in attention-only models |
//! | `mlp.hook_pre_linear` | gated MLPs: Llama, Mistral, Qwen2, Gemma |
//! | `hook_embed`; `hook_pos_embed` (no block) | everywhere; learned positions: GPT-2, TransformerLens |
//!
//! Weights come sharded or single, as safetensors or `pytorch_model.bin`, f32, f16 or bf16 on disk (each tested
//! on one family), and are kept as asked; bf16 is tested to give nearly the same logits.
//!
//! Heads are flattened: `attn.hook_z` is `[batch, pos, n_heads * d_head]`, `hook_k` and `hook_v` have
//! `n_kv_heads * d_head`. `hook_q` and `hook_k` are read before the rotation. `ln1` and `ln2` are read
//! before gain and bias, as TransformerLens 3 reads them.

mod attention;
mod checkpoint;
mod config;
mod decoder;
mod error;
mod families;
mod head;
mod hook_point;
mod layers;
mod preprocessing;
mod rotary;

use std::path::Path;

use tch::{Device, Kind, Tensor};

pub use config::{Activation, Family, ModelConfig, NormKind, Positions, RopeScaling};
use decoder::Decoder;
pub use error::ModelError;
pub use head::Head;
pub use hook_point::{HookPoint, Hooks, Site};
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
        let (decoder, head) = families::load(folder, &config, device, kind)?;
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

    /// Final norm and unembedding.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The linear map from a hook point to the residual stream, `[d_in, d_model]`; `None` is the identity.
    ///
    /// `W_out` for `mlp.hook_post` and `hook_pre`, `W_O` with heads flattened for `attn.hook_z`. Gemma 2's
    /// norms after attention and MLP are not linear and are left out, as TransformerLens does.
    pub fn write_matrix(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        self.decoder.write_matrix(hook)
    }

    /// The value bias at `attn.hook_v` or, repeated over grouped heads, at `attn.hook_z`; `None` where the
    /// model has none. `[n_kv_heads * d_head]` or `[n_heads * d_head]`.
    pub fn value_bias(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        self.decoder.value_bias(&self.config, hook)
    }

    /// See [`ModelConfig::hook_point`].
    pub fn hook_point(&self, name: &str) -> Result<HookPoint, ModelError> {
        self.config.hook_point(name)
    }

    /// See [`ModelConfig::hook_width`].
    pub fn hook_width(&self, hook: &HookPoint) -> i64 {
        self.config.hook_width(hook)
    }
}
