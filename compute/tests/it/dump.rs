//! `compute dump` as a program: what it writes is what transformers and sae_lens compute; wrong input leaves no file.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use compute::weights::{Select, Weights};
use tch::{Device, Kind, Tensor};

const TOLERANCE: f64 = 1e-4;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn dump(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_compute")).arg("dump").args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn max_abs(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn read(weights: &Weights, name: &str) -> Tensor {
    weights.read(name, Select::All, Kind::Float, Device::Cpu).unwrap()
}

fn check_model(family: &str) {
    let folder = fixture("models").join(family);
    let expected = folder.join("expected.safetensors");
    let tokens = format!("{}:tokens", text(&expected));
    let want = Weights::open(&expected).unwrap();
    let out = tempfile::tempdir().unwrap();
    let hook = |name: &str| {
        let (site, layer) = name.split_once('.')?;
        let site = match site {
            "hook_z" => "attn.hook_z".to_owned(),
            "mlp_post" => "mlp.hook_post".to_owned(),
            site => format!("hook_{site}"),
        };
        Some((name.to_owned(), format!("blocks.{layer}.{site}")))
    };
    let hooks: Vec<(String, String)> = want.names().filter_map(hook).collect();
    assert!(hooks.len() >= 18, "{family}: {} hooks", hooks.len());
    let file = out.path().join("hooks.safetensors");
    let mut args = vec!["hook", "--model", text(&folder), "--tokens", &tokens, "--out", text(&file)];
    for (_, hook) in &hooks {
        args.extend(["--hook", hook]);
    }
    let done = dump(&args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let got = Weights::open(&file).unwrap();
    for (name, hook) in &hooks {
        let error = max_abs(&read(&got, hook), &read(&want, name));
        assert!(error <= TOLERANCE, "{family} {hook}: {error}");
    }
    let file = out.path().join("logits.safetensors");
    let done = dump(&["logits", "--model", text(&folder), "--tokens", &tokens, "--out", text(&file)]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(max_abs(&read(&Weights::open(&file).unwrap(), "logits"), &read(&want, "logits")) <= TOLERANCE);
}

#[test]
fn hooks_and_logits_of_every_family() {
    let mut n = 0;
    for entry in std::fs::read_dir(fixture("models")).unwrap() {
        check_model(entry.unwrap().file_name().to_str().unwrap());
        n += 1;
    }
    assert!(n >= 9, "{n} families");
}

#[test]
fn features_and_reconstructions_of_saes() {
    for (case, file) in
        [("standard", ""), ("gated", ""), ("topk", ""), ("skip_transcoder", ""), ("sae_vis_pt", "25.pt")]
    {
        let folder = fixture("saes").join(case);
        let expected = folder.join("expected.safetensors");
        let sae = if file.is_empty() { folder.clone() } else { folder.join(file) };
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("features.safetensors");
        let acts = format!("{}:x", text(&expected));
        let done = dump(&["features", "--sae", text(&sae), "--acts", &acts, "--out", text(&path)]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let (got, want) = (Weights::open(&path).unwrap(), Weights::open(&expected).unwrap());
        for name in ["acts", "out"] {
            let error = max_abs(&read(&got, name), &read(&want, name));
            assert!(error <= TOLERANCE, "{case} {name}: {error}");
        }
    }
}

#[test]
fn wrong_input_gives_one_line_and_no_file() {
    let model = fixture("models/gpt2");
    let expected = model.join("expected.safetensors");
    let (model, file) = (text(&model), text(&expected));
    let sae = fixture("saes/standard");
    let tokens = format!("{file}:tokens");
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("out.safetensors");
    let out_file = text(&path);
    for (args, said) in [
        (vec!["logits", "--model", model, "--tokens", file], "name one as FILE:key"),
        (
            vec!["logits", "--model", model, "--tokens", "nowhere.npy"],
            "no such file: expected FILE or FILE:key (nowhere.npy)",
        ),
        (
            vec!["hook", "--model", model, "--tokens", &tokens, "--hook", "blocks.99.hook_resid_pre"],
            "no hook point \"blocks.99.hook_resid_pre\"",
        ),
        (vec!["features", "--sae", text(&sae), "--acts", &tokens], "the SAE reads"),
        (vec!["logits", "--model", model, "--tokens", &format!("{file}:logits")], "expected token ids"),
    ] {
        let mut args = args.clone();
        args.extend(["--out", out_file]);
        let done = dump(&args);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && stderr.trim_end().lines().count() == 1, "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "something was left");
    }
}
