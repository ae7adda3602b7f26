//! Prompts are checked before any pass; a written beginning-of-sequence token is not doubled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

fn run(model: &Path, out: &Path, extra: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args(["run", "--sequences", "8", "--features", "0..8", "--no-effects", "-q"]);
    command.arg("--model").arg(model).arg("--sae").arg(demo("sae-resid"));
    command.arg("--data").arg(demo("tokens.npy")).arg("--out").arg(out);
    command.args(extra).output().unwrap()
}

/// The demo's model, its tokenizer with one token more than the model has.
fn model_with_a_token_too_many(folder: &Path) -> u64 {
    for name in ["config.json", "model.safetensors"] {
        fs::copy(demo("model").join(name), folder.join(name)).unwrap();
    }
    let config: Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    let d_vocab = config["vocab_size"].as_u64().unwrap();
    let tokenizer = fs::read(demo("model/tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&tokenizer).unwrap();
    tokenizer["model"]["vocab"]["[PAD]"] = json!(d_vocab);
    tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": d_vocab, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    }));
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    d_vocab
}

#[test]
fn a_written_beginning_of_sequence_is_not_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let prompt = ["--prepend-bos", "--prompt", "<|endoftext|>When we", "--prompt", "When we"];
    let done = run(&demo("model"), &out, &prompt);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let prompts = ["0", "1"].map(|i| {
        let mut inspect = Command::new(env!("CARGO_BIN_EXE_compute"));
        let done = inspect.arg("inspect").arg(&out).args(["--prompt", i, "--json"]).output().unwrap();
        let prompt: Value = serde_json::from_slice(&done.stdout).unwrap();
        prompt["tokens"].clone()
    });
    assert!(prompts[0].as_array().is_some_and(|tokens| tokens.len() > 2), "{}", prompts[0]);
    assert_eq!(prompts[0], prompts[1]);
}

/// All files of a folder, by path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    crate::tiny::files(folder)
}

fn add(bundle: &Path, sae: &str, extra: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args(["prompt", "-q", "--device", "cpu"]).arg(bundle).arg("--model").arg(demo("model"));
    command.arg("--sae").arg(demo(sae)).args(extra).output().unwrap()
}

#[test]
fn prompts_are_added_and_all_else_keeps_its_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let make = |name: &str, prompts: &[&str]| {
        let out = temp.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.args(["run", "-q", "--device", "cpu", "--sequences", "20", "--features", "0..90,700"]);
        command.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-mlp-a"));
        command.arg("--data").arg(demo("tokens.npy")).arg("--out").arg(&out);
        command.arg("--labels").arg(demo("labels.json"));
        for prompt in prompts {
            command.args(["--prompt", prompt]);
        }
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        out
    };
    let texts = ["def f(x):", "class A(B):", "import os\nimport sys"];
    let whole = make("whole", &texts);
    for had in 0..2 {
        let bundle = make(&format!("had-{had}"), &texts[..had]);
        fs::write(bundle.join("notes.txt"), "mine").unwrap();
        let file = temp.path().join("more.json");
        fs::write(&file, serde_json::to_string(&texts[had..]).unwrap()).unwrap();
        // The first is there already, or given twice.
        let done =
            add(&bundle, "sae-mlp-a", &["--prompt", texts[0], "--prompts-file", file.to_str().unwrap()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(fs::read_to_string(bundle.join("notes.txt")).unwrap(), "mine");
        fs::remove_file(bundle.join("notes.txt")).unwrap();
        // Scores by quantile are located among the stored quantiles, which are rounded: their files may differ.
        let others = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
            let is_other = |path: &Path| !path.starts_with("prompts") && path != Path::new("manifest.json");
            files(folder).into_iter().filter(|(path, _)| is_other(path)).collect()
        };
        assert!(others(&bundle) == others(&whole), "{had} prompts before");
        assert_eq!(files(&bundle).len(), files(&whole).len());
    }
    for (sae, extra, why) in [
        ("sae-mlp-b", &["--prompt", "x"][..], "not the SAE that the bundle was computed from"),
        ("sae-mlp-a", &[], "no prompt: add --prompt TEXT"),
        ("sae-mlp-a", &["--prompt", ""], "the prompt is empty: it needs a token"),
    ] {
        let said = String::from_utf8_lossy(&add(&whole, sae, extra).stderr).into_owned();
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn wrong_prompts_are_refused_before_any_pass_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    let d_vocab = model_with_a_token_too_many(&model);
    let out = folder.path().join("bundle");
    let long = "word ".repeat(5000);
    let lacks = format!("the prompt \"def f [PAD]\" holds the token \"[PAD]\" with id {d_vocab}");
    for (prompt, said) in [
        ("def f [PAD]", lacks.as_str()),
        ("", "the prompt is empty: it needs a token"),
        (&long, "the prompt \"word word word word word word word word \"… has"),
    ] {
        let done = run(&model, &out, &["--prepend-bos", "--prompt", prompt]);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && stderr.trim_end().lines().count() == 1, "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert!(!out.exists());
    }
    // The weights are not even read: a model without them gives the same refusal.
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let done = run(&model, &out, &["--prompt", "def f [PAD]"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("holds the token"));
}
