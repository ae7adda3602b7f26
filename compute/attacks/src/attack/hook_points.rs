//! Tries any text as the name of a hook point or a module's path, in models of several families.

use std::sync::LazyLock;

use checkpoints::model::{HookPoint, ModelConfig};

use super::model_config;
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

static MODELS: LazyLock<Vec<ModelConfig>> = LazyLock::new(|| {
    let read = |config: &Vec<u8>| {
        with_files("models", &[("config.json", config)], |folder| ModelConfig::read(folder).ok())
    };
    // Every fourth: GPT-2, Gemma, Llama and kin differ enough.
    model_config::seeds().iter().step_by(4).filter_map(read).collect()
});

pub fn attack(bytes: &[u8]) -> Outcome {
    let name = String::from_utf8_lossy(bytes);
    let _parsed = HookPoint::parse(&name);
    let found: Vec<HookPoint> = MODELS.iter().filter_map(|model| judged(model.hook_point(&name))).collect();
    for hook in &found {
        assert!(HookPoint::parse(&hook.to_string()) == Some(*hook), "{hook} is not read back");
    }
    outcome(found.first())
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "blocks.0.hook_resid_pre",
        "blocks.1.mlp.hook_post",
        "hook_embed",
        "blocks.0.hook_mlp_in",
        "model.layers.1.output",
        "transformer.h.0.mlp",
        "gpt_neox.layers.1.input",
        "model.layers.0.self_attn.o_proj.input",
        "model.language_model.embed_tokens",
        "transformer.wpe",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec()
}
