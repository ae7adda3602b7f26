//! `compute` as a program: what it writes, that it writes the same again, and what it says of wrong input.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use compute::bundle::Bundle;
use shared::{
    bundle::encode,
    explanations::{Explanation, ExplanationScore, Explanations},
    feature::Feature,
    layers::EXPLANATIONS,
    manifest::Manifest,
    paths,
    prompt::{Metric, Prompt},
};
use tempfile::TempDir;
use tests::{
    agree::agree,
    generate::generate,
    run::{compute, compute_with, demo, features, few_rows},
};

/// Runs `compute run` on a few rows of the demo into a new folder, with `more` arguments; the last of two equal
/// options wins.
fn run(temp: &TempDir, name: &str, more: &[&str]) -> PathBuf {
    let out = temp.path().join(name);
    let output = compute("run", &few_rows(&out, more)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// All files of a folder, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_same_inputs_and_seed_give_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let sae_b = demo("sae-mlp-b").display().to_string();
    let more = ["--sae-b", &sae_b, "--prompt", "def __init__(self):", "--seed", "5"];
    let (first, second) = (run(&temp, "a", &more), run(&temp, "b", &more));
    assert!(files(&first) == files(&second));
    assert!(files(&first).len() >= 7);
    let other = run(&temp, "c", &["--seed", "6"]);
    assert!(features(&first).unwrap() != features(&other).unwrap(), "the seed chooses the random examples");
}

#[test]
fn another_batch_size_agrees_within_float_tolerance() {
    let temp = tempfile::tempdir().unwrap();
    let (a, b) = (run(&temp, "a", &["--batch-rows", "16"]), run(&temp, "b", &["--batch-rows", "7"]));
    agree(&features(&a).unwrap(), &features(&b).unwrap(), 1e-4);
}

#[test]
fn text_makes_the_rows_that_the_token_array_has() {
    let temp = tempfile::tempdir().unwrap();
    let text = demo("corpus.jsonl.gz").display().to_string();
    let a = run(&temp, "a", &[]);
    let b = run(&temp, "b", &["--data", &text, "--no-shuffle"]);
    let hash = |bundle: &Path| Bundle::open(bundle).unwrap().manifest.dataset.sha256;
    assert_eq!(hash(&a), hash(&b));
    let shuffled = run(&temp, "c", &["--data", &text]);
    assert_ne!(hash(&a), hash(&shuffled));
}

#[test]
fn chosen_features_are_those_of_a_whole_run() {
    let temp = tempfile::tempdir().unwrap();
    let (all, few) = (run(&temp, "a", &[]), run(&temp, "b", &["--features", "7,3..5"]));
    let few = features(&few).unwrap();
    assert_eq!(few.iter().map(|f| f.feature).collect::<Vec<_>>(), [3, 4, 7]);
    let all = features(&all).unwrap();
    for few in &few {
        let of_all = all.iter().find(|f| f.feature == few.feature).unwrap();
        // A matrix product of another shape rounds otherwise, so numbers agree to float tolerance.
        assert_eq!(few.stats.n_active, of_all.stats.n_active);
        let std = |f: &Feature| f.stats.moments.unwrap().std;
        assert!((few.stats.max - of_all.stats.max).abs() < 1e-5 && (std(few) - std(of_all)).abs() < 1e-6);
        let bold = |f: &Feature| f.sequences.as_ref().map(|s| s.bold_tokens().collect::<Vec<_>>());
        assert_eq!(bold(few), bold(of_all));
        let logits = |f: &Feature| {
            f.logits_table.as_ref().map(|t| t.top.iter().map(|e| e.token_id).collect::<Vec<_>>())
        };
        assert_eq!(logits(few), logits(of_all));
    }
}

#[test]
fn a_prompt_scores_what_its_own_tokens_show() {
    let temp = tempfile::tempdir().unwrap();
    let bundle =
        Bundle::open(&run(&temp, "a", &["--features", "0..400", "--prompt", "def __init__(self, name):"]))
            .unwrap();
    let prompt: Prompt = bundle.file(&paths::prompt(0)).unwrap();
    let mut n_scores = 0;
    for position in 0..prompt.token_ids.len() {
        for score in prompt.scores_at(Metric::ActSize, position) {
            let token = &prompt.tokens(score.feature).unwrap()[position];
            assert!((token.act - score.value).abs() < 5.001e-4, "three decimals");
            n_scores += 1;
        }
        for score in prompt.scores_at(Metric::LossEffect, position) {
            let token = &prompt.tokens(score.feature).unwrap()[position];
            let loss_effect = token.effect.as_ref().unwrap().loss_effect;
            assert!((loss_effect - score.value).abs() < 5.001e-5, "four decimals");
            assert!(prompt.tokens(score.feature).unwrap()[position - 1].act > 0.0);
        }
    }
    assert!(n_scores > 5 && prompt.scores_at(Metric::LossEffect, 0).is_empty());
}

#[test]
fn a_new_bundle_replaces_an_old_one_but_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let out = run(&temp, "a", &[]);
    fs::write(out.join("notes"), "x").unwrap();
    run(&temp, "a", &[]);
    assert!(out.join("notes").exists());
    let precious = temp.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.txt"), "x").unwrap();
    refused(&precious, &[], "will not replace a folder that holds something else than a bundle");
    assert!(precious.join("thesis.txt").exists());
}

/// Runs with wrong input: one line that says `expected`, a non-zero exit, and nothing left behind.
fn refused(out: &Path, more: &[&str], expected: &str) {
    let before = files(out.parent().unwrap()).len();
    let output = compute("run", &few_rows(out, more)).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{more:?} was accepted");
    assert!(said.contains(expected), "{more:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{more:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(files(out.parent().unwrap()).len(), before, "{more:?} left something behind");
}

#[test]
fn wrong_input_gives_one_clear_line_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = temp.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let out = temp.path().join("bundle");
    let (no_layout, bad_layout) = (write("a.json", "{\"columns\": []}"), write("b.json", "{\"columns\": 3}"));
    let bins = "{\"columns\": [{\"components\": [{\"type\": \"acts_histogram\", \"n_bins\": 0}]}]}";
    let (empty, short) = (write("empty.jsonl", ""), write("short.txt", "Two words"));
    let (not_json, no_format) =
        (write("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": 1}\n"), write("corpus.doc", ""));
    let (bins, resid) = (write("c.json", bins), demo("sae-resid").display().to_string());
    for (more, expected) in [
        (["--model", "nowhere"], "(nowhere"),
        (["--sae", "nowhere"], "(nowhere"),
        (["--data", "nowhere.jsonl"], "no such file or folder (nowhere.jsonl)"),
        (["--data", &no_format], "could not tell the corpus's format"),
        (["--data", &empty], "the corpus is empty: 0 tokens do not fill one row of 128"),
        (["--data", &short], "do not fill one row of 128; try a smaller --seq-len"),
        (["--data", &not_json], "line 2 of bad.jsonl has no \"text\""),
        (["--hook", "blocks.0.mlp.hook_pots"], "did you mean \"blocks.0.mlp.hook_post\"?"),
        (
            ["--hook", "blocks.0.hook_resid_pre"],
            "the SAE reads 512 neurons, blocks.0.hook_resid_pre of this model has 128",
        ),
        (["--sae-b", &resid], "the SAE reads 128 neurons, blocks.0.mlp.hook_post of this model has 512"),
        (["--features", "0..5000"], "no feature 4999: the SAE has 0 to 2047"),
        (["--features", "x"], "could not read \"x\" in --features"),
        (["--layout", &no_layout], "the layout has no component"),
        (["--layout", &bad_layout], "the layout is not valid"),
        (["--layout", &bins], "acts_histogram.n_bins is 0, expected 1 to 1000"),
        (["--seq-len", "4096"], "longer than the model's context of 128"),
        (["--seq-len", "64"], "rows have 128 tokens, --seq-len is 64"),
        (["--sequences", "0"], "--sequences is 0"),
        (["--batch-rows", "0"], "--batch-rows is 0"),
        (["--device", "tpu"], "unknown device \"tpu\""),
        (["--dtype", "tf32"], "--dtype tf32 is a number type of GPUs: use f32 on the CPU"),
        (["--out", "/proc/bundle"], "could not write"),
        (["--prompt", ""], "the prompt is empty: it needs a token"),
    ] {
        refused(&out, &more, expected);
    }
}

/// `512 MB at the most` or `1.5 GB`, in megabytes.
fn memory(text: &str) -> f64 {
    let mut words = text.split(' ');
    let number: f64 = words.next().unwrap().parse().unwrap();
    number * if words.next() == Some("GB") { 1e3 } else { 1.0 }
}

#[test]
fn little_memory_gives_the_same_bytes_and_too_little_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let rows = ["--sequences", "1024"];
    let whole = run(&temp, "whole", &rows);
    let out = temp.path().join("little");
    let refused = compute("run", &few_rows(&out, &[&rows[..], &["--max-memory", "1MB"]].concat())).unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    let least = said.split("expected at least ").nth(1).unwrap().split(" for").next().unwrap();
    assert!(!refused.status.success() && !out.exists(), "{said}");
    // What is named suffices, though the last residuals alone take 67 MB more.
    let room = least.replace(' ', "");
    let mut little = few_rows(&out, &[&rows[..], &["--max-memory", &room]].concat());
    little.retain(|arg| arg != "--quiet");
    let little = compute("run", &little).unwrap();
    assert!(little.status.success(), "{}", String::from_utf8_lossy(&little.stderr));
    assert_eq!(files(&whole), files(&out));
    let said = String::from_utf8(little.stdout).unwrap();
    let peak = said.lines().find_map(|line| line.strip_prefix("memory")).unwrap();
    assert!(memory(peak.trim()) <= memory(least), "{peak}, allowed {room}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_batch_that_does_not_fit_into_memory_is_computed_in_parts() {
    let temp = tempfile::tempdir().unwrap();
    let more = ["--sequences", "128", "--batch-rows", "128"];
    let out = temp.path().join("limited");
    let mut args = few_rows(&out, &more);
    args.retain(|arg| arg != "--quiet");
    // The MLP's activations on all rows at once are 34 MB.
    let limit = [("LD_PRELOAD", env!("LITTLE_MEMORY")), ("STAND_IN_LARGEST", "20000000")];
    let limited = compute_with("run", &args, &limit).unwrap();
    let said = String::from_utf8(limited.stderr).unwrap();
    assert!(limited.status.success(), "{said}");
    assert!(said.contains("memory did not suffice for batches of 128 rows: computed"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    agree(&features(&run(&temp, "whole", &more)).unwrap(), &features(&out).unwrap(), 1e-4);
}

#[test]
fn an_sae_that_encodes_in_bf16_agrees_to_two_digits_and_the_manifest_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let (f32, bf16) = (run(&temp, "a", &[]), run(&temp, "b", &["--sae-dtype", "bf16"]));
    let dtype = |bundle: &Path| Bundle::open(bundle).unwrap().manifest.run.unwrap().sae_dtype.unwrap();
    assert_eq!((dtype(&f32).as_str(), dtype(&bf16).as_str()), ("f32", "bf16"));
    for (a, b) in features(&f32).unwrap().iter().zip(&features(&bf16).unwrap()) {
        assert!((a.stats.max - b.stats.max).abs() <= 0.02 * (1.0 + a.stats.max));
    }
    assert!(features(&f32).unwrap() != features(&bf16).unwrap());
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("bundle");
    let mut child = std::process::Command::new(tests::built::compute().unwrap())
        .arg("run")
        .args(few_rows(&out, &["--features", "all", "--sequences", "4096"]))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let n_entries = || fs::read_dir(temp.path()).unwrap().count();
    while n_entries() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be interrupted");
        std::thread::yield_now();
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(n_entries(), 0);
}

#[test]
fn inspect_prints_what_the_bundle_holds() {
    let temp = tempfile::tempdir().unwrap();
    let out = run(&temp, "a", &["--prompt", "def __init__(self):"]).display().to_string();
    let say = |more: &[&str]| {
        let mut args = vec![out.clone()];
        args.extend(more.iter().map(ToString::to_string));
        let output = compute("inspect", &args).unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(say(&[]).0.contains("features  40"));
    assert!(say(&["--feature", "4"]).0.contains("[[ __]]"), "the bold token in double brackets, as text");
    let json: serde_json::Value = serde_json::from_str(&say(&["--feature", "4", "--json"]).0).unwrap();
    let example = &json["groups"][0]["examples"][0];
    assert_eq!(example["tokens"][5]["position"], example["position"]);
    assert_eq!(example["tokens"][5]["act"], json["quantiles"].as_array().unwrap()[2350]);
    assert!(say(&["--prompt", "0"]).0.contains("act_size"));
    assert!(say(&["--feature", "40"]).1.contains("bundle has no feature 40: it holds 40 between 0 and 39"));
    assert!(say(&["--prompt", "1"]).1.contains("bundle has no prompt 1: it has 1, numbered from 0"));
}

/// Runs `compute label` on `bundle` with a file of that content: what it printed, or its one line of error.
fn label(temp: &TempDir, bundle: &Path, content: &str) -> Result<String, String> {
    let file = temp.path().join("labels.json");
    fs::write(&file, content).unwrap();
    let args = [bundle, &file].map(|path| path.display().to_string());
    let output = compute("label", &args).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if output.status.success() {
        assert_eq!(said, "");
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    Err(said)
}

#[test]
fn labels_put_in_afterwards_give_the_bytes_of_a_run_with_them() {
    let temp = tempfile::tempdir().unwrap();
    let content = r#"{"4": "words after __", "7": "x", "40": "of a feature that was not computed"}"#;
    let file = temp.path().join("with.json");
    fs::write(&file, content).unwrap();
    let with = run(&temp, "with", &["--labels", &file.display().to_string()]);
    let plain = run(&temp, "plain", &[]);
    let computed = files(&plain);
    // What a first try got wrong is replaced.
    for content in [r#"{"8": "wrong"}"#, content] {
        label(&temp, &plain, content).unwrap();
    }
    assert!(files(&plain) == files(&with));
    let labelled = files(&plain);
    assert_eq!(labelled.len(), computed.len() + 1);
    let changed = computed.iter().filter(|(path, bytes)| labelled[*path] != **bytes);
    assert_eq!(changed.map(|(path, _)| path).collect::<Vec<_>>(), [Path::new("manifest.json")]);
}

#[test]
fn label_says_what_it_took_and_inspect_prints_it() {
    let temp = tempfile::tempdir().unwrap();
    let out = run(&temp, "a", &[]);
    let inspect = |more: &[&str]| {
        let args: Vec<String> = [&out.display().to_string()]
            .into_iter()
            .cloned()
            .chain(more.iter().map(ToString::to_string))
            .collect();
        String::from_utf8(compute("inspect", &args).unwrap().stdout).unwrap()
    };
    assert!(
        !inspect(&[]).contains("labels") && !inspect(&["--feature", "4", "--json"]).contains("\"label\"")
    );
    let of_41: serde_json::Map<_, _> =
        (0..41).map(|f| (f.to_string(), format!("label {f}\u{202e}").into())).collect();
    let said = label(&temp, &out, &serde_json::to_string(&of_41).unwrap()).unwrap();
    assert!(said.starts_with("labels    40, 1 more name features that the bundle lacks ("), "{said}");
    assert!(inspect(&[]).contains("labels    40\n"));
    let lines = inspect(&["--feature", "4"]);
    assert!(lines.starts_with("feature 4: label 4\\u{202e}\n"), "{lines}");
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--feature", "4", "--json"])).unwrap();
    assert_eq!(json["label"], "label 4\\u{202e}");
    let correlated = json["tables"]["correlated_features"][0]["index"].as_u64().unwrap();
    assert!(lines.contains(&format!("  label {correlated}\\u{{202e}}\n")), "{lines}");
}

#[test]
fn labels_that_cannot_be_put_in_leave_the_bundle_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let out = run(&temp, "a", &[]);
    label(&temp, &out, r#"{"4": "x"}"#).unwrap();
    let before = files(&out);
    for (content, expected) in [
        (r#"{"4": "#, "could not read the labels: not JSON"),
        (r#"{"4000": "x"}"#, "the labels name 1 features, and the bundle has none of them"),
    ] {
        let said = label(&temp, &out, content).unwrap_err();
        assert!(said.contains(expected), "{said}");
        assert!(files(&out) == before, "{content}");
    }
    refused(&temp.path().join("b"), &["--labels", "nowhere.csv"], "could not read the labels");
    let nowhere = label(&temp, &temp.path().join("nowhere"), r#"{"4": "x"}"#).unwrap_err();
    assert!(nowhere.contains("could not open the bundle"), "{nowhere}");
}

#[test]
fn labels_are_put_into_a_bundle_of_a_newer_version_and_the_rest_of_its_manifest_stays() {
    let temp = tempfile::tempdir().unwrap();
    let out = run(&temp, "a", &[]);
    let path = out.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["schema"]["minor"] = 99.into();
    manifest["weather"] = "fine".into();
    fs::write(&path, manifest.to_string()).unwrap();
    label(&temp, &out, r#"{"4": "x"}"#).unwrap();
    let labelled: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&labelled["weather"], &labelled["schema"]), (&manifest["weather"], &manifest["schema"]));
    assert_eq!(labelled["layers"], serde_json::json!([{ "name": "labels", "version": 1, "per": "bundle" }]));
    assert_eq!(Bundle::open(&out).unwrap().labels().unwrap().of(4).as_deref(), Some("x"));
}

#[test]
fn inspect_prints_explanations_with_their_authors_and_scores() {
    let temp = tempfile::tempdir().unwrap();
    generate(temp.path(), 8, 7).unwrap();
    let explanation = Explanation {
        feature: 2,
        text: "words after __".to_owned(),
        author: Some("ada".to_owned()),
        method: Some("human".to_owned()),
        date: None,
        scores: vec![ExplanationScore { test: "detection".to_owned(), value: 0.75, judge: None }],
    };
    let explanations = Explanations { explanations: vec![explanation] };
    let (info, bytes) = encode(&explanations, EXPLANATIONS.path()).unwrap();
    fs::write(temp.path().join(&info.path), bytes).unwrap();
    let path = temp.path().join(paths::MANIFEST);
    let mut manifest = Manifest::from_json(&fs::read(&path).unwrap()).unwrap();
    manifest.layers.push(EXPLANATIONS.info());
    manifest.files.push(info);
    fs::write(&path, manifest.to_json().unwrap()).unwrap();
    let inspect = |more: &[&str]| {
        let folder = temp.path().display().to_string();
        let args: Vec<String> = [folder].into_iter().chain(more.iter().map(ToString::to_string)).collect();
        String::from_utf8(compute("inspect", &args).unwrap().stdout).unwrap()
    };
    assert!(inspect(&[]).contains("layer     explanations 1\n"));
    let lines = inspect(&["--feature", "2"]);
    assert!(lines.contains("explanation: words after __ (ada, human, detection 0.750)\n"), "{lines}");
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--feature", "2", "--json"])).unwrap();
    assert_eq!(json["explanations"][0]["author"], "ada");
    assert!(!inspect(&["--feature", "3"]).contains("explanation"));
}
