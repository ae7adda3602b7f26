//! Every family against what transformers 4.49 computes from the same checkpoint: every hook, and logits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compute::model::{HookPoint, Hooks, Model};
use compute::weights::{Select, Weights};
use tch::{Device, Kind, Tensor};

/// Largest absolute difference that is allowed, in f32.
const TOLERANCE: f64 = 1e-4;

fn fixture(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(family)
}

#[derive(Default)]
struct Keep(BTreeMap<String, Tensor>);

impl Hooks for Keep {
    fn wants(&self, _hook: &HookPoint) -> bool {
        true
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.0.insert(hook.to_string(), acts.copy());
        None
    }
}

fn max_abs(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn check(family: &str) {
    let folder = fixture(family);
    let model = Model::load(&folder, Device::Cpu, Kind::Float).unwrap();
    let expected = Weights::open(&folder.join("expected.safetensors")).unwrap();
    let read = |name: &str, kind| expected.read(name, Select::All, kind, Device::Cpu).unwrap();
    let tokens = read("tokens", Kind::Int64);
    let mut kept = Keep::default();
    let resid = model.forward(&tokens, &mut kept).unwrap();
    let mut seen = 0;
    for name in expected.names().filter(|name| *name != "tokens") {
        let want = read(name, Kind::Float);
        let got = match name.split_once('.') {
            None => model.head().logits(&resid),
            Some((site, layer)) => {
                let site = match site {
                    "hook_z" => "attn.hook_z".to_owned(),
                    "mlp_post" => "mlp.hook_post".to_owned(),
                    "mlp_in" => "mlp.hook_in".to_owned(),
                    site => format!("hook_{site}"),
                };
                kept.0[&format!("blocks.{layer}.{site}")].shallow_clone()
            }
        };
        let error = max_abs(&got, &want);
        assert!(error <= TOLERANCE, "{family} {name}: {error}");
        seen += 1;
    }
    assert!(seen >= 19, "{family}: only {seen} tensors compared");
    let names: Vec<String> = model.config().hook_points().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), kept.0.len(), "a hook point exists that the forward pass does not reach");
    for hook in model.config().hook_points() {
        let width = *kept.0[&hook.to_string()].size().last().unwrap();
        assert_eq!(width, model.hook_width(&hook), "{family} {hook}");
    }
    // Without hooks the fused norms run: the same numbers.
    let plain = model.forward(&tokens, &mut ()).unwrap();
    assert!(max_abs(&plain, &resid) <= TOLERANCE);
}

#[test]
fn gpt2() {
    check("gpt2");
}
#[test]
fn gpt_neox_parallel() {
    check("gpt_neox");
}
#[test]
fn gpt_neox_sequential() {
    check("gpt_neox_sequential");
}
#[test]
fn llama() {
    check("llama");
}
#[test]
fn llama3_rope() {
    check("llama3_rope");
}
#[test]
fn mistral() {
    check("mistral");
}
#[test]
fn qwen2() {
    check("qwen2");
}
#[test]
fn gemma() {
    check("gemma");
}
#[test]
fn gemma2() {
    check("gemma2");
}
#[test]
fn gemma3() {
    check("gemma3");
}
#[test]
fn gemma3_multimodal() {
    check("gemma3_multimodal");
}
#[test]
fn qwen3() {
    check("qwen3");
}
#[test]
fn qwen3_moe() {
    check("qwen3_moe");
}
#[test]
fn olmo2() {
    check("olmo2");
}
#[test]
fn gpt_neo() {
    check("gpt_neo");
}
#[test]
fn gptj() {
    check("gptj");
}
#[test]
fn opt() {
    check("opt");
}
#[test]
fn phi() {
    check("phi");
}
#[test]
fn phi3() {
    check("phi3");
}
#[test]
fn gpt_oss() {
    check("gpt_oss");
}
