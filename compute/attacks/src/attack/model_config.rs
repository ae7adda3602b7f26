//! Tries any text as a model's `config.json`, and asks for every hook point and rotation of what is accepted.

use checkpoints::model::ModelConfig;

use super::good;
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    with_files("model", &[("config.json", bytes)], |folder| {
        outcome(judged(ModelConfig::read(folder)).map(|config| use_all(&config)))
    })
}

fn use_all(config: &ModelConfig) {
    let hooks = config.hook_points();
    for hook in hooks.iter().take(40) {
        assert!(config.hook_width(hook) > 0, "{hook} has no width");
        let found = judged(config.hook_point(&hook.to_string()));
        assert!(found == Some(*hook), "{hook} is not found by its name");
    }
    let _none = judged(config.hook_point("blocks.0.no_such_hook"));
    for layer in config.layers.iter().take(4) {
        if let Some(rope) = layer.attention.rope.as_ref().filter(|rope| rope.n_dims < 1 << 16) {
            let _angles = (rope.frequencies(8), rope.frequencies(1 << 20), rope.amplitude());
        }
    }
    let _names = config.family.names();
}

pub fn seeds() -> Vec<Vec<u8>> {
    let models = [
        "gemma", "gemma2", "gemma3", "gemma3_multimodal", "gpt2", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "llama",
        "llama3_rope", "mistral", "olmo2", "opt", "phi", "phi3", "qwen2", "qwen3", "qwen3_moe",
    ];
    let of = |name: &&str| good::fixture(&format!("compute/tests/fixtures/models/{name}/config.json"));
    models.iter().map(of).filter(|config| !config.is_empty()).collect()
}
