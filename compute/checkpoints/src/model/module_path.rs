//! Paths of transformers' modules as names of hook points: `model.layers.17.output`,
//! `model.layers.3.self_attn.o_proj.input`, `transformer.h.0.mlp`, `gpt_neox.layers.3`.
//!
//! A path means the module's output, with `.input` its (first) input. All families' names are known to all
//! models, because SAEs are often named after one family's layout and read with another's.

use super::hook_point::Site;
use super::{Family, ModelConfig, Parallel};

/// A module, and which end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModulePath {
    /// The layer; 0 outside the layers.
    pub layer: i64,
    module: Module,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Input,
    Output,
}

/// What a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    Embed,
    PosEmbed,
    Layer,
    /// The norm before attention.
    AttnNorm,
    Q,
    K,
    V,
    O,
    Attn,
    /// Gemma 1, Llama and kin: before the MLP; Gemma 2, 3 and OLMo 2: after attention.
    PostAttention,
    /// The norm before the MLP.
    MlpNorm,
    Mlp,
    Gate,
    Up,
    Act,
    Down,
    /// The norm after the MLP.
    MlpPostNorm,
    /// Known, and no hook point at either end.
    Other,
}

/// Modules of a layer, as the families name them.
const IN_LAYER: [(&str, Module); 46] = [
    ("", Module::Layer),
    ("input_layernorm", Module::AttnNorm),
    ("ln_1", Module::AttnNorm),
    ("self_attn_layer_norm", Module::AttnNorm),
    ("self_attn", Module::Attn),
    ("attn", Module::Attn),
    ("attn.attention", Module::Attn),
    ("attention", Module::Attn),
    ("self_attn.q_proj", Module::Q),
    ("self_attn.k_proj", Module::K),
    ("self_attn.v_proj", Module::V),
    ("attn.q_proj", Module::Q),
    ("attn.k_proj", Module::K),
    ("attn.v_proj", Module::V),
    ("attn.attention.q_proj", Module::Q),
    ("attn.attention.k_proj", Module::K),
    ("attn.attention.v_proj", Module::V),
    ("self_attn.o_proj", Module::O),
    ("self_attn.out_proj", Module::O),
    ("self_attn.dense", Module::O),
    ("attn.out_proj", Module::O),
    ("attn.attention.out_proj", Module::O),
    ("attn.c_proj", Module::O),
    ("attention.dense", Module::O),
    ("post_attention_layernorm", Module::PostAttention),
    ("pre_feedforward_layernorm", Module::MlpNorm),
    ("ln_2", Module::MlpNorm),
    ("final_layer_norm", Module::MlpNorm),
    ("mlp", Module::Mlp),
    ("mlp.gate_proj", Module::Gate),
    ("mlp.up_proj", Module::Up),
    ("mlp.c_fc", Module::Gate),
    ("mlp.dense_h_to_4h", Module::Gate),
    ("mlp.act", Module::Act),
    ("mlp.act_fn", Module::Act),
    ("mlp.down_proj", Module::Down),
    ("mlp.c_proj", Module::Down),
    ("mlp.dense_4h_to_h", Module::Down),
    ("post_feedforward_layernorm", Module::MlpPostNorm),
    ("mlp.fc1", Module::Gate),
    ("mlp.fc2", Module::Down),
    ("mlp.fc_in", Module::Gate),
    ("mlp.fc_out", Module::Down),
    ("fc1", Module::Gate),
    ("fc2", Module::Down),
    ("activation_fn", Module::Act),
];

/// Modules outside the layers.
const OUTSIDE: [(&str, Module); 10] = [
    ("embed_tokens", Module::Embed),
    ("wte", Module::Embed),
    ("embed_in", Module::Embed),
    ("wpe", Module::PosEmbed),
    ("embed_positions", Module::PosEmbed),
    ("norm", Module::Other),
    ("ln_f", Module::Other),
    ("final_layer_norm", Module::Other),
    ("lm_head", Module::Other),
    ("embed_out", Module::Other),
];

impl ModulePath {
    /// Parses a path; `None` if it is none, as TransformerLens's names are not.
    pub fn parse(name: &str) -> Option<Self> {
        let (path, end) = match (name.strip_suffix(".input"), name.strip_suffix(".output")) {
            (Some(path), _) => (path, End::Input),
            (_, Some(path)) => (path, End::Output),
            _ => (name, End::Output),
        };
        let inner = inside(path);
        for layers in ["layers.", "h."] {
            let Some(rest) = inner.strip_prefix(layers) else { continue };
            let (layer, module) = rest.split_once('.').unwrap_or((rest, ""));
            let layer = i64::from(layer.parse::<u32>().ok()?);
            let known = IN_LAYER.into_iter().find(|(own, _)| *own == module);
            return Some(Self { layer, module: known.map_or(Module::Other, |(_, module)| module), end });
        }
        let (_, module) = OUTSIDE.into_iter().find(|(own, _)| *own == inner)?;
        Some(Self { layer: 0, module, end })
    }

    /// The site in a model of this config, or why there is none.
    pub fn site(&self, config: &ModelConfig) -> Result<Site, String> {
        use End::{Input, Output};
        use Module::{
            Act, Attn, AttnNorm, Down, Embed, Gate, K, Layer, Mlp, MlpNorm, MlpPostNorm, O, PosEmbed,
            PostAttention, Q, Up, V,
        };
        let gated = matches!(config.layers.get(self.layer as usize).map(|layer| &layer.ffn),
            Some(super::Ffn::Mlp(mlp)) if mlp.gated);
        let before_mlp = if config.parallel == Parallel::No { Site::ResidMid } else { Site::ResidPre };
        let post_norms = config.norm_order.after();
        let site = match (self.module, self.end) {
            // Gemma and Gemma 2 scale embeddings outside the module that holds them.
            (Embed, Output) if matches!(config.family, Family::Gemma | Family::Gemma2) => None,
            (Embed, Output) => Some(Site::Embed),
            (PosEmbed, Output) => Some(Site::PosEmbed),
            (Layer, Output) => Some(Site::ResidPost),
            (Layer | AttnNorm, Input) => Some(Site::ResidPre),
            (Q, Output) => Some(Site::Q),
            (K, Output) => Some(Site::K),
            (V, Output) => Some(Site::V),
            (O, Input) => Some(Site::Z),
            (Attn | O, Output) => Some(Site::AttnModuleOut),
            (PostAttention, Input) if post_norms => Some(Site::AttnModuleOut),
            (PostAttention, Output) if post_norms => Some(Site::AttnOut),
            (PostAttention | MlpNorm, Input) => Some(before_mlp),
            (PostAttention | MlpNorm, Output) | (Mlp | Gate | Up, Input) => Some(Site::MlpIn),
            (Gate, Output) | (Act, Input) => Some(Site::Pre),
            (Up, Output) if gated => Some(Site::PreLinear),
            (Act, Output) if !gated => Some(Site::Post),
            (Down, Input) => Some(Site::Post),
            (Mlp | Down, Output) | (MlpPostNorm, Input) => Some(Site::MlpModuleOut),
            (MlpPostNorm, Output) => Some(Site::MlpOut),
            _ => None,
        };
        let end = if self.end == Input { "input" } else { "output" };
        site.ok_or_else(|| {
            format!(
                "{} cannot be read at the {end} of this module; name a hook point as TransformerLens does, such as blocks.{}.hook_resid_post",
                config.name, self.layer
            )
        })
    }
}

/// A path without what the layers lie in.
fn inside(path: &str) -> &str {
    let mut path = path;
    let containers = ["base_model.", "model.", "language_model.", "transformer.", "gpt_neox.", "decoder."];
    while let Some(rest) = containers.iter().find_map(|container| path.strip_prefix(container)) {
        path = rest;
    }
    path
}
