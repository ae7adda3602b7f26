//! Every SAE case against what sae_lens 6.54 computes from the same weights.

use std::path::{Path, PathBuf};

use compute::sae::Sae;
use compute::weights::{Select, Weights};
use tch::{Device, Kind, Tensor};

/// Largest absolute difference that is allowed, in f32.
const TOLERANCE: f64 = 1e-4;

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saes").join(case)
}

fn max_abs(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn check(case: &str, file: &str) {
    let folder = fixture(case);
    let path = if file.is_empty() { folder.clone() } else { folder.join(file) };
    let sae = Sae::load(&path, None, Device::Cpu).unwrap();
    let expected = Weights::open(&folder.join("expected.safetensors")).unwrap();
    let read = |name: &str| expected.read(name, Select::All, Kind::Float, Device::Cpu).unwrap();
    let (x, want) = (read("x"), read("acts"));
    let acts = sae.encode(&x).unwrap();
    assert!(acts.min().double_value(&[]) >= 0.0);
    let error = max_abs(&acts, &want);
    assert!(error <= TOLERANCE, "{case} acts: {error}");
    let error = max_abs(&sae.decode(&acts, &x).unwrap(), &read("out"));
    assert!(error <= TOLERANCE, "{case} out: {error}");
    // Three dimensions, and chosen features in any order: the same numbers.
    let cube = x.reshape([4, 16, -1]);
    assert!(max_abs(&sae.encode(&cube).unwrap().reshape([64, -1]), &want) <= TOLERANCE);
    let features = [63, 0, 17];
    let some = Sae::load_features(&path, None, Device::Cpu, &features).unwrap();
    let index = Tensor::from_slice(&features);
    assert!(
        max_abs(&some.encode(&x).unwrap(), &want.index_select(1, &index)) <= TOLERANCE,
        "{case} features"
    );
    assert!(max_abs(&some.decoder().unwrap(), &sae.decoder().unwrap().index_select(0, &index)) <= TOLERANCE);
}

#[test]
fn standard() {
    check("standard", "");
}
#[test]
fn standard_without_b_dec_in_the_input() {
    check("standard_no_b_dec", "");
}
#[test]
fn standard_with_layer_norm() {
    check("standard_layer_norm", "");
}
#[test]
fn standard_with_constant_norm() {
    check("standard_average_norm", "");
}
#[test]
fn standard_with_the_flat_config_of_old() {
    check("standard_flat_cfg", "");
}
#[test]
fn gated() {
    check("gated", "");
}
#[test]
fn topk() {
    check("topk", "");
}
#[test]
fn topk_rescaled_by_decoder_norms() {
    check("topk_rescaled", "");
}
#[test]
fn jumprelu() {
    check("jumprelu", "");
}
#[test]
fn transcoder() {
    check("transcoder", "");
}
#[test]
fn skip_transcoder() {
    check("skip_transcoder", "");
}
#[test]
fn jumprelu_transcoder() {
    check("jumprelu_transcoder", "");
}
#[test]
fn sae_vis_state_dict() {
    check("sae_vis_pt", "25.pt");
}
#[test]
fn gpt2_small_saes_pickle() {
    check("gpt2_small_saes_pt", "");
}
#[test]
fn gemma_scope_npz() {
    check("gemma_scope", "params.npz");
    check("gemma_scope", "");
}
