//! Published layouts of SAEs, as their repositories hold them, against what sae_lens's own loaders make of the files.

use std::path::{Path, PathBuf};

use compute::sae::{Sae, SaeConfig};
use compute::weights::{Select, Weights};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::written::{fixture, max_abs};

/// Largest absolute difference that is allowed, in f32.
const TOLERANCE: f64 = 1e-5;

/// Where a clone of the case's repository lies on this disk, with the path inside it.
fn local(folder: &Path, case: &Value) -> PathBuf {
    let name = case["sae"].as_str().unwrap();
    let (repository, path) = name.split_once(':').unwrap_or((name, ""));
    folder.join("hub").join(repository).join(path)
}

fn check(name: &str) -> SaeConfig {
    let folder = fixture("hub_saes").join(name);
    let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let path = local(&folder, &case);
    let config = SaeConfig::read(&path, None).unwrap();
    let sae = Sae::load(&path, None, Device::Cpu).unwrap();
    assert_eq!(sae.config(), &config);
    let expected = Weights::open(&folder.join("expected.safetensors")).unwrap();
    let read = |name: &str| expected.read(name, Select::All, Kind::Float, Device::Cpu).unwrap();
    let (x, want) = (read("x"), read("acts"));
    let acts = sae.encode(&x).unwrap();
    assert!(want.not_equal(0.0).any().int64_value(&[]) == 1, "a test of nothing");
    assert!(max_abs(&acts, &want) <= TOLERANCE, "{name} acts: {}", max_abs(&acts, &want));
    assert!(max_abs(&sae.decode(&acts, &x).unwrap(), &read("out")) <= TOLERANCE, "{name} out");
    assert!(max_abs(&x, &read("x")) == 0.0, "{name} changed its input");
    for (what, width) in [("d_in", config.d_in), ("d_sae", config.d_sae), ("d_out", config.d_out)] {
        assert_eq!(case[what].as_i64(), Some(width), "{name} {what}");
    }
    // sae_lens calls the MLP's input after norm and gain hook_mlp_in, and leaves out that an SAE writes where it reads.
    let hook = |key: &str| case[key].as_str().map(|hook| hook.replace("hook_mlp_in", "mlp.hook_in"));
    assert_eq!((&config.hook, &config.hook_out), (&hook("hook"), &hook("hook_out")), "{name}");
    let architecture = case["architecture"].as_str().unwrap();
    assert_eq!(config.transcoder, architecture.contains("transcoder"), "{name}");
    let plain = architecture.replace("_skip_transcoder", "").replace("_transcoder", "");
    assert_eq!(config.architecture.name(), plain.replace("transcoder", "standard"), "{name}");
    let features = [63, 0, 17];
    let some = Sae::load_features(&path, None, Device::Cpu, &features).unwrap();
    let index = Tensor::from_slice(&features);
    assert!(
        max_abs(&some.encode(&x).unwrap(), &want.index_select(1, &index)) <= TOLERANCE,
        "{name} features"
    );
    assert!(
        max_abs(&some.decoder().unwrap(), &sae.decoder().unwrap().index_select(0, &index)) <= TOLERANCE,
        "{name} decoder"
    );
    let cube = x.reshape([4, 16, -1]);
    assert!(
        max_abs(&sae.encode(&cube).unwrap().reshape([64, -1]), &want) <= TOLERANCE,
        "{name} of three axes"
    );
    config
}

#[test]
fn gemma_scope_2_residual() {
    let config = check("gemma_scope_2_res");
    assert_eq!((config.stated_l0, config.model_name.as_deref()), (Some(20.0), Some("gemma-v3-1b-pt")));
}
#[test]
fn gemma_scope_2_attention() {
    check("gemma_scope_2_all_att");
}
#[test]
fn gemma_scope_2_mlp_without_its_config() {
    check("gemma_scope_2_mlp_no_config");
}
#[test]
fn gemma_scope_2_transcoder() {
    check("gemma_scope_2_transcoder");
}
#[test]
fn gemma_scope_2_transcoder_with_affine_skip() {
    check("gemma_scope_2_transcoder_affine");
}
#[test]
fn gemma_scope_transcoder() {
    check("gemma_scope_transcoder");
}
#[test]
fn qwen_scope() {
    let config = check("qwen_scope");
    assert_eq!(config.architecture, compute::sae::Architecture::TopK { k: 8 });
    assert_eq!(config.model_name.as_deref(), Some("Qwen/Qwen3-1.7B-Base"));
}
#[test]
fn per_layer_transcoder() {
    assert_eq!(check("circuit_tracer_transcoder").model_name.as_deref(), Some("Qwen/Qwen3-0.6B"));
}
#[test]
fn cross_layer_transcoder() {
    assert!(check("cross_layer_transcoder_layer").summed_decoder);
}
#[test]
fn goodfire() {
    check("goodfire");
}
#[test]
fn deepseek_r1() {
    check("deepseek_r1");
}
#[test]
fn llama_scope_r1_distill() {
    assert_eq!(check("llama_scope_r1_distill").normalize.name(), "expected_average_only_in");
}
#[test]
fn attention_by_concatenated_heads() {
    check("attention_hcat_z");
}
#[test]
fn abstopk_is_signed() {
    assert!(check("native_abstopk").is_signed());
}
#[test]
fn matching_pursuit() {
    check("native_matching_pursuit");
}
#[test]
fn jumprelu_skip_transcoder() {
    check("native_jumprelu_skip_transcoder");
}
#[test]
fn batchtopk_as_training_saves_it() {
    check("native_batchtopk_training");
}
#[test]
fn matryoshka_as_training_saves_it() {
    check("native_matryoshka_training");
}

/// What a test leaves out of a folder, or how it calls it.
fn copied(case: &str, to: &Path) {
    let from = fixture("hub_saes").join(case);
    let case: Value = serde_json::from_slice(&std::fs::read(from.join("case.json")).unwrap()).unwrap();
    let from = local(&from, &case);
    let files = if from.is_dir() {
        from.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
    } else {
        vec![from]
    };
    for file in files {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn what_only_the_name_says_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    copied("qwen_scope", folder.path());
    let error = SaeConfig::read(&folder.path().join("layer5.sae.pt"), None).unwrap_err().to_string();
    assert!(error.contains("k stands in the name of its repository alone"), "{error}");
    // Gemma Scope's hook point is not guessed: the reader adds --hook.
    let folder = tempfile::tempdir().unwrap();
    copied("gemma_scope_2_mlp_no_config", folder.path());
    assert_eq!(SaeConfig::read(folder.path(), None).unwrap().hook, None);
}

#[test]
fn a_temporal_sae_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    copied("gemma_scope_2_res", folder.path());
    std::fs::rename(folder.path().join("params.safetensors"), folder.path().join("latest_ckpt.safetensors"))
        .unwrap();
    std::fs::write(folder.path().join("conf.yaml"), "sae:\n  exp_factor: 8\n").unwrap();
    let error = SaeConfig::read(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("a temporal SAE"), "{error}");
}
