//! Where a family's checkpoint keeps each weight, by the names that its modules have in transformers.

/// The names of a family's modules; weights are `NAME.weight` and `NAME.bias`.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// What the modules below lie in; the first that the checkpoint has is taken.
    pub prefixes: &'static [&'static str],
    /// The token embedding.
    pub embed: &'static str,
    /// The learned position embedding.
    pub pos_embed: &'static str,
    /// The list of layers.
    pub layers: &'static str,
    /// The norm before attention, in a layer, as all that follow.
    pub attn_norm: &'static str,
    /// Queries, keys and values.
    pub qkv: Qkv,
    /// The norms of queries and keys.
    pub qk_norms: [&'static str; 2],
    /// A score for each head, of attending to nothing.
    pub sinks: &'static str,
    /// Attention's output.
    pub o: &'static str,
    /// The norm after attention.
    pub attn_post_norm: &'static str,
    /// The norm before the MLP.
    pub mlp_norm: &'static str,
    /// A dense MLP's maps.
    pub mlp: MlpNames,
    /// A mixture's router.
    pub router: &'static str,
    /// A mixture's experts.
    pub experts: Experts,
    /// The norm after the MLP.
    pub mlp_post_norm: &'static str,
    /// The norm before the unembedding.
    pub norm: &'static str,
    /// The unembedding, outside the prefix.
    pub unembed: &'static str,
    /// Whether matrices are `[d_in, d_out]` (GPT-2's Conv1D).
    pub transposed: bool,
}

/// Queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub enum Qkv {
    /// Three maps.
    Apart([&'static str; 3]),
    /// One map: all queries, all keys, all values.
    Stacked(&'static str),
    /// One map: query, key and value of each head in turn (GPT-NeoX).
    ByHead(&'static str),
}

/// A dense MLP's maps.
#[derive(Clone, Copy, Debug)]
pub enum MlpNames {
    /// Into the neurons and out of them.
    Plain([&'static str; 2]),
    /// Gate, other branch, out.
    Gated([&'static str; 3]),
    /// Gate and other branch in one map, out.
    Fused([&'static str; 2]),
}

/// How a mixture's experts are stored.
#[derive(Clone, Copy, Debug)]
pub enum Experts {
    /// `mlp.experts.N.gate_proj` and kin, or all experts in `mlp.experts.gate_up_proj`.
    Qwen,
    /// `mlp.experts.gate_up_proj` with gate and other branch in turn, in floats or MXFP4.
    GptOss,
}

/// Llama's names, which most families share.
pub const LLAMA: Names = Names {
    prefixes: &["model.", ""],
    embed: "embed_tokens",
    pos_embed: "",
    layers: "layers",
    attn_norm: "input_layernorm",
    qkv: Qkv::Apart(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    qk_norms: ["self_attn.q_norm", "self_attn.k_norm"],
    sinks: "self_attn.sinks",
    o: "self_attn.o_proj",
    attn_post_norm: "post_attention_layernorm",
    mlp_norm: "post_attention_layernorm",
    mlp: MlpNames::Gated(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]),
    router: "mlp.gate",
    experts: Experts::Qwen,
    mlp_post_norm: "post_feedforward_layernorm",
    norm: "norm",
    unembed: "lm_head",
    transposed: false,
};

/// GPT-2's.
pub const GPT2: Names = Names {
    prefixes: &["transformer.", ""],
    embed: "wte",
    pos_embed: "wpe",
    layers: "h",
    attn_norm: "ln_1",
    qkv: Qkv::Stacked("attn.c_attn"),
    o: "attn.c_proj",
    mlp_norm: "ln_2",
    mlp: MlpNames::Plain(["mlp.c_fc", "mlp.c_proj"]),
    norm: "ln_f",
    transposed: true,
    ..LLAMA
};

/// GPT-Neo's.
pub const GPT_NEO: Names = Names {
    qkv: Qkv::Apart(["attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"]),
    o: "attn.attention.out_proj",
    transposed: false,
    ..GPT2
};

/// GPT-J's.
pub const GPTJ: Names = Names {
    qkv: Qkv::Apart(["attn.q_proj", "attn.k_proj", "attn.v_proj"]),
    o: "attn.out_proj",
    mlp_norm: "ln_1",
    mlp: MlpNames::Plain(["mlp.fc_in", "mlp.fc_out"]),
    transposed: false,
    ..GPT2
};

/// GPT-NeoX's.
pub const GPT_NEOX: Names = Names {
    prefixes: &["gpt_neox.", ""],
    embed: "embed_in",
    qkv: Qkv::ByHead("attention.query_key_value"),
    o: "attention.dense",
    mlp: MlpNames::Plain(["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]),
    norm: "final_layer_norm",
    unembed: "embed_out",
    ..LLAMA
};

/// OPT's.
pub const OPT: Names = Names {
    prefixes: &["model.decoder.", "decoder."],
    pos_embed: "embed_positions",
    attn_norm: "self_attn_layer_norm",
    o: "self_attn.out_proj",
    mlp_norm: "final_layer_norm",
    mlp: MlpNames::Plain(["fc1", "fc2"]),
    norm: "final_layer_norm",
    ..LLAMA
};

/// Phi's.
pub const PHI: Names = Names {
    o: "self_attn.dense",
    mlp_norm: "input_layernorm",
    mlp: MlpNames::Plain(["mlp.fc1", "mlp.fc2"]),
    norm: "final_layernorm",
    ..LLAMA
};

/// Phi-3's.
pub const PHI3: Names = Names {
    qkv: Qkv::Stacked("self_attn.qkv_proj"),
    mlp: MlpNames::Fused(["mlp.gate_up_proj", "mlp.down_proj"]),
    ..LLAMA
};

/// Those of OLMo 2, Gemma 2 and Gemma 3, inside a multimodal checkpoint too.
pub const POST_NORMS: Names = Names {
    prefixes: &["model.", "language_model.model.", "model.language_model.", "language_model.", ""],
    mlp_norm: "pre_feedforward_layernorm",
    ..LLAMA
};

/// gpt-oss's.
pub const GPT_OSS: Names = Names { router: "mlp.router", experts: Experts::GptOss, ..LLAMA };
