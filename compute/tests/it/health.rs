//! What is measured of an SAE and where: special tokens, few tokens, chosen features, numbers that are not finite.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use compute::bundle::Bundle;
use serde_json::{Value, json};
use shared::{feature::FeatureBlock, paths};
use tch::{Kind, Tensor};

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

fn compute(command: &str, model: &Path, sae: &Path, extra: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_compute"));
    program.arg(command).args(["--device", "cpu"]).arg("--model").arg(model).arg("--sae").arg(sae);
    program
        .arg("--data")
        .arg(demo("corpus.jsonl.gz"))
        .args(["--no-shuffle", "--prepend-bos"])
        .args(extra)
        .output()
        .unwrap()
}

fn run(out: &Path, sae: &Path, extra: &[&str]) -> Bundle {
    let out = out.display().to_string();
    let args = ["--sequences", "24", "--no-effects", "-q", "--out", &out];
    let done = compute("run", &demo("model"), sae, &[&args[..], extra].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Bundle::open(Path::new(&out)).unwrap()
}

/// The demo's SAE, with one setting of its config changed.
fn sae_with(folder: &Path, name: &str, value: &Value) {
    fs::create_dir(folder).unwrap();
    for file in demo("sae-resid").read_dir().unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let path = folder.join("cfg.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[name] = value.clone();
    fs::write(path, config.to_string()).unwrap();
}

fn blocks(bundle: &Bundle) -> Vec<FeatureBlock> {
    (0..bundle.manifest.blocks.len()).map(|i| bundle.file(&paths::block(i)).unwrap()).collect()
}

#[test]
fn tokens_that_an_sae_was_not_trained_on_are_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let (plain, excludes) = (demo("sae-resid"), temp.path().join("excludes"));
    sae_with(&excludes, "exclude_special_tokens", &json!(true));
    let few = ["--features", "0..200"];
    let out = |name: &str| temp.path().join(name);
    let with = run(&out("with"), &plain, &few);
    let skipped = run(&out("skipped"), &plain, &[&few[..], &["--skip-special"]].concat());
    let by_config = run(&out("by_config"), &excludes, &few);
    let insisted = run(&out("insisted"), &excludes, &[&few[..], &["--skip-special", "false"]].concat());

    assert!(blocks(&skipped) == blocks(&by_config) && blocks(&with) == blocks(&insisted));
    assert!(blocks(&with) != blocks(&skipped));
    let (health, all) = (&by_config.manifest.health, &with.manifest.health);
    assert_eq!(*health, skipped.manifest.health);
    assert!(health.n_measured < all.n_measured && health.l0 != all.l0);
    let dataset = &by_config.manifest.dataset;
    assert!(dataset.skip_special && !dataset.special_tokens.is_empty(), "{dataset:?}");
    assert!(!with.manifest.dataset.skip_special && with.manifest.dataset.special_tokens.is_empty());

    let some = temp.path().join("some");
    sae_with(&some, "exclude_special_tokens", &json!(dataset.special_tokens));
    assert!(blocks(&run(&out("ids"), &some, &few)) == blocks(&skipped));
}

#[test]
fn health_is_the_whole_saes_whatever_features_are_chosen() {
    let temp = tempfile::tempdir().unwrap();
    let few = run(&temp.path().join("few"), &demo("sae-resid"), &["--features", "0..4"]);
    let all = run(&temp.path().join("all"), &demo("sae-resid"), &[]);
    let (few, all) = (few.manifest.health, all.manifest.health);
    assert!(few.l0.unwrap() > 20.0 && (few.l0.unwrap() - all.l0.unwrap()).abs() < 1e-6, "{few:?}, {all:?}");
    assert_eq!((few.n_dead, few.n_features), (all.n_dead, Some(1024)));
}

#[test]
fn check_gives_no_verdict_on_a_few_rows() {
    let check = |n_rows: &str| {
        let done = compute("check", &demo("model"), &demo("sae-resid"), &["--sequences", n_rows, "--json"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let few = check("15");
    assert_eq!((&few["fits"], &few["n_measured"]), (&Value::Null, &json!(1920)));
    let verdict = few["verdict"].as_str().unwrap();
    assert!(verdict.contains("only 1920 tokens") && verdict.ends_with("--sequences 16"), "{verdict}");
    assert!(check("16")["fits"].is_boolean());
}

#[test]
fn activations_that_are_not_finite_are_an_error_and_no_dead_features() {
    let temp = tempfile::tempdir().unwrap();
    let model = temp.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(demo("model").join(file), model.join(file)).unwrap();
    }
    let weights = Tensor::read_safetensors(demo("model/model.safetensors")).unwrap();
    let scaled = |(name, tensor): (String, Tensor)| {
        let large = name.contains("wte");
        let tensor = tensor.to_kind(Kind::Float);
        (name, if large { (tensor * 1e30).clamp(-3e38, 3e38) * 1e7 } else { tensor })
    };
    let weights: Vec<_> = weights.into_iter().map(scaled).collect();
    let finite = weights.iter().map(|(name, t)| (name.clone(), t.clamp(-3e38, 3e38))).collect::<Vec<_>>();
    Tensor::write_safetensors(&finite, model.join("model.safetensors")).unwrap();
    let out = temp.path().join("bundle").display().to_string();
    let done =
        compute("run", &model, &demo("sae-resid"), &["--sequences", "4", "--no-effects", "--out", &out]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = said.lines().last().unwrap_or_default();
    assert!(!done.status.success() && !Path::new(&out).exists(), "{said}");
    assert!(
        last.starts_with(
            "compute: activations at blocks.1.hook_resid_pre are not finite numbers (row 0, position 0)"
        ),
        "{said}"
    );
}
