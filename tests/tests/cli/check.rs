//! `compute check` and a bundle's activations against what `compute dump` writes.

use std::path::Path;

use compute::bundle::Bundle;
use safetensors::SafeTensors;
use serde_json::Value;
use shared::feature::FeatureBlock;
use tests::run::{compute, demo};

/// Rows of the demo's tokens that are looked at.
const N_ROWS: usize = 32;

fn run(command: &str, args: &[&str]) -> Vec<u8> {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let output = compute(command, &args).unwrap();
    assert!(output.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn check(more: &[&str]) -> Value {
    let (model, sae, data) = (path(&demo("model")), path(&demo("sae-mlp-a")), path(&demo("tokens.npy")));
    let n_rows = N_ROWS.to_string();
    let args = ["--model", &model, "--sae", &sae, "--data", &data, "--no-shuffle", "--sequences", &n_rows];
    serde_json::from_slice(&run("check", &[&args[..], &["--device", "cpu", "--json"], more].concat()))
        .unwrap()
}

/// A tensor of a file, as rows of `f32`.
fn tensor(file: &Path, name: &str) -> (Vec<f64>, usize) {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    let values =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
    (values, *view.shape().last().unwrap())
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{value}, expected {expected}");
}

/// Hook activations, reconstructions and feature activations of the first rows, and their widths.
struct Dumped {
    x: Vec<f64>,
    out: Vec<f64>,
    d: usize,
    acts: Vec<f64>,
    d_sae: usize,
}

fn dumped() -> Dumped {
    let temp = tempfile::tempdir().unwrap();
    let (hook, features) = (temp.path().join("hook.safetensors"), temp.path().join("features.safetensors"));
    let name = "blocks.0.mlp.hook_post";
    let rows = temp.path().join("rows.safetensors");
    first_rows(&demo("tokens.npy"), &rows);
    let tokens = format!("{}:tokens", path(&rows));
    let model = path(&demo("model"));
    run("dump", &["hook", "--model", &model, "--hook", name, "--tokens", &tokens, "--out", &path(&hook)]);
    let acts = format!("{}:{name}", path(&hook));
    run(
        "dump",
        &["features", "--sae", &path(&demo("sae-mlp-a")), "--acts", &acts, "--out", &path(&features)],
    );
    let ((x, d), (out, _), (acts, d_sae)) =
        (tensor(&hook, name), tensor(&features, "out"), tensor(&features, "acts"));
    Dumped { x, out, d, acts, d_sae }
}

#[test]
fn the_figures_are_those_of_the_dumped_activations() {
    let Dumped { acts, d_sae, x, d, out } = dumped();
    let n = x.len() / d;
    let mean: Vec<f64> = (0..d).map(|i| x.iter().skip(i).step_by(d).sum::<f64>() / n as f64).collect();
    let total: f64 = x.iter().enumerate().map(|(i, v)| (v - mean[i % d]).powi(2)).sum();
    let left: f64 = x.iter().zip(&out).map(|(v, o)| (v - o).powi(2)).sum();
    let norm = |all: &[f64]| {
        all.chunks_exact(d).map(|row| row.iter().map(|v| v * v).sum::<f64>().sqrt()).sum::<f64>() / n as f64
    };
    let dead = (0..d_sae).filter(|f| acts.iter().skip(*f).step_by(d_sae).all(|a| *a <= 0.0)).count();

    let said = check(&[]);
    near(&said["explained_variance"], 1.0 - left / total);
    near(&said["l0"], acts.iter().filter(|a| **a > 0.0).count() as f64 / n as f64);
    near(&said["n_dead"], dead as f64);
    near(&said["dead_share"], dead as f64 / d_sae as f64);
    near(&said["acts_norm"], norm(&x));
    near(&said["reconstruction_norm"], norm(&out));
    assert_eq!(said["fits"], true);
    assert!(said["verdict"].as_str().unwrap().ends_with("this SAE fits these activations"), "{said}");
}

/// Every activation on every row of every example, as the page prints it. Two runs differ in the last bits of a float,
/// so that one in a thousand may fall on the other side of a rounding.
#[test]
fn a_bundle_has_every_printed_digit_of_the_dumped_activations() {
    let Dumped { acts, d_sae, .. } = dumped();
    let temp = tempfile::tempdir().unwrap();
    let (model, sae, data) = (path(&demo("model")), path(&demo("sae-mlp-a")), path(&demo("tokens.npy")));
    let (n_rows, out) = (N_ROWS.to_string(), path(&temp.path().join("bundle")));
    let args = ["--model", &model, "--sae", &sae, "--data", &data, "--no-shuffle", "--sequences", &n_rows];
    run("run", &[&args[..], &["--device", "cpu", "--features", "0..60", "--out", &out, "--quiet"]].concat());
    let bundle = Bundle::open(Path::new(&out)).unwrap();
    let block: FeatureBlock = bundle.file(&shared::paths::block(0)).unwrap();
    let (mut n_compared, mut n_other) = (0, 0);
    for feature in &block.features {
        let found = &feature.sequences.as_ref().unwrap().row_acts;
        for &row in found.rows.iter() {
            for token in found.tokens(row, 0, &[0; 128]) {
                let at = (row as usize * 128 + token.position as usize) * d_sae;
                let expected = acts[at + feature.feature as usize];
                let decimals = found.acts.digits as usize;
                assert!((token.act - expected).abs() <= 0.50001 * 0.1f64.powi(decimals as i32), "{expected}");
                n_compared += usize::from(expected > 0.0);
                n_other +=
                    usize::from(format!("{:.decimals$}", token.act) != format!("{expected:.decimals$}"));
            }
        }
    }
    assert!(n_compared > 500 && n_other * 1000 <= n_compared, "{n_other} of {n_compared}");
}

#[test]
fn an_sae_on_the_wrong_layer_does_not_fit() {
    let said = check(&["--hook", "blocks.1.mlp.hook_post"]);
    assert_eq!(said["fits"], false);
    assert!(said["explained_variance"].as_f64().unwrap() < 0.4);
    assert!(said["verdict"].as_str().unwrap().contains("this SAE does not fit these activations"), "{said}");
}

/// Writes the first rows of a `.npy` of 128 tokens a row as the tensor `tokens`.
fn first_rows(npy: &Path, out: &Path) {
    let bytes = std::fs::read(npy).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let size = if header.contains("<u2") {
        2
    } else if header.contains("<i4") || header.contains("<u4") {
        4
    } else {
        8
    };
    let ids: Vec<u8> = bytes[head..]
        .chunks_exact(size)
        .take(N_ROWS * 128)
        .flat_map(|id| id.iter().copied().chain([0; 8]).take(8).collect::<Vec<u8>>())
        .collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![N_ROWS, 128], &ids).unwrap();
    safetensors::serialize_to_file([("tokens", view)], None, out).unwrap();
}
