//! The list of published SAEs, as `compute saes` prints it, and what commands say of kinds of SAEs that are rare.

use std::path::Path;
use std::process::{Command, Output};

use compute::bundle::Bundle;
use serde_json::json;
use shared::{
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    paths,
    sequence::GroupKind,
};
use tch::Tensor;

use crate::written::{randn, safetensors};

fn saes(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_compute")).arg("saes").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn words_narrow_the_list() {
    let found = text(&saes(&["gpt2-small-res-jb", "blocks.8"]));
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(
        lines[0],
        "gpt2-small-res-jb/blocks.8.hook_resid_pre  gpt2-small at blocks.8.hook_resid_pre, L0 60"
    );
    let split = "gpt2-small-res-jb-feature-splitting/blocks.8.hook_resid_pre_768  gpt2-small at blocks.8.hook_resid_pre, L0 36";
    assert_eq!((lines.len(), lines[1]), (9, split));
    let found = text(&saes(&["gemma-scope-2-", "--limit", "3"]));
    assert_eq!(found.lines().count(), 4);
    assert!(found.lines().last().unwrap().starts_with("and 8781 more"), "{found}");
    let found: serde_json::Value = serde_json::from_str(&text(&saes(&["res-jb", "--json"]))).unwrap();
    assert!(found.as_array().unwrap().iter().any(|sae| sae["path"] == "blocks.8.hook_resid_pre"));
    let releases = text(&saes(&[]));
    assert!(releases.lines().count() == 171 && releases.contains("gpt2-small-res-jb  13 SAEs"), "{releases}");
}

#[test]
fn what_is_not_in_the_list_is_said() {
    let done = saes(&["nonesuch"]);
    assert!(!done.status.success() && done.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        stderr.contains("no published SAE has nonesuch") && stderr.trim_end().lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn the_share_that_is_read_is_counted() {
    let coverage: serde_json::Value = serde_json::from_str(&text(&saes(&["--coverage", "--json"]))).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let rows = coverage["rows"].as_array().unwrap();
    let sum = |name: &str| rows.iter().map(|row| number(&row[name])).sum::<u64>();
    assert_eq!((sum("n_saes"), number(&coverage["n_saes"])), (13_857, 13_857));
    assert_eq!(sum("n_read"), number(&coverage["n_read"]));
    // Temporal SAEs and models of Qwen 3.5 are what is left.
    let unread: Vec<&str> = rows
        .iter()
        .filter(|row| row["n_read"] == 0)
        .map(|row| row["model_type"].as_str().unwrap().split("_moe").next().unwrap())
        .collect();
    assert_eq!(unread, ["qwen3_5", "qwen3_5", "gemma2", "llama"], "{rows:?}");
    let printed = text(&saes(&["--coverage"]));
    let share = 100.0 * number(&coverage["n_read"]) as f64 / 13_857.0;
    assert!(printed.contains(&format!("{share:.1} %")) && share > 97.0, "{printed}");
}

/// An SAE of 64 features for the demo's model, and a command that reads it.
fn with_sae(cfg: &serde_json::Value, command: &str, folder: &Path, more: &[&str]) -> Output {
    let (d, n) = (128, 64);
    let weights = [randn(&[d, n], 1), randn(&[n, d], 2), randn(&[n], 3), randn(&[d], 4)];
    let named: Vec<(&str, &Tensor)> =
        ["W_enc", "W_dec", "b_enc", "b_dec"].into_iter().zip(&weights).collect();
    let sae = folder.join("sae");
    std::fs::create_dir_all(&sae).unwrap();
    std::fs::write(sae.join("cfg.json"), cfg.to_string()).unwrap();
    safetensors(&sae.join("sae_weights.safetensors"), &named);
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    Command::new(env!("CARGO_BIN_EXE_compute"))
        .args([command, "--device", "cpu", "--sequences", "4", "--model"])
        .arg(demo.join("model"))
        .arg("--data")
        .arg(demo.join("tokens.npy"))
        .arg("--sae")
        .arg(sae)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn a_transcoder_that_does_not_say_where_it_writes_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let cfg = json!({ "architecture": "transcoder", "hook_name": "blocks.0.mlp.hook_in" });
    let done = with_sae(&cfg, "check", folder.path(), &[]);
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && stderr.contains("add --hook-out"), "{stderr}");
    let done = with_sae(&cfg, "check", folder.path(), &["--hook-out", "blocks.0.hook_mlp_out"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_signed_sae_gives_a_bundle_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let cfg = json!({ "architecture": "abstopk", "k": 8, "hook_name": "blocks.0.hook_resid_post" });
    let bundle = folder.path().join("bundle");
    let out = bundle.to_str().unwrap();
    let done = with_sae(&cfg, "run", folder.path(), &["--out", out, "--features", "0..4", "--no-effects"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(bundle.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["sae"]["signed"], true);
    let seen = Command::new(env!("CARGO_BIN_EXE_compute"))
        .args(["inspect", out, "--feature", "1", "--json"])
        .output()
        .unwrap();
    assert!(text(&seen).contains("BOTTOM"));
    let bundle = Bundle::open(&bundle).unwrap();
    let block: FeatureBlock = bundle.file(&paths::block(0)).unwrap();
    assert_eq!(block.features.len(), 4);
    let index: FeatureIndex = bundle.file(paths::INDEX).unwrap();
    assert!(
        index.min.iter().copied().eq(block.features.iter().map(|feature| feature.stats.min)),
        "{index:?}"
    );
    block.features.iter().for_each(assert_two_sided);
}

/// Its histogram reaches from its smallest activation to its largest; its groups share its active positions by sign.
fn assert_two_sided(feature: &Feature) {
    let stats = &feature.stats;
    assert!(stats.min < 0.0 && stats.max > 0.0, "{stats:?}");
    let histogram = feature.acts_histogram.as_ref().unwrap();
    assert_eq!((histogram.min, histogram.max), (stats.min, stats.max));
    assert_eq!(Some(histogram.counts.iter().sum()), stats.n_active);
    let sequences = feature.sequences.as_ref().unwrap();
    let find = |kind| sequences.groups.iter().position(|group| group.kind == kind).unwrap();
    let (top, bottom) = (find(GroupKind::Top), find(GroupKind::Bottom));
    let positions = |group: usize| sequences.groups[group].n_positions.unwrap();
    assert_eq!(Some(positions(top) + positions(bottom)), stats.n_active);
    let of_first = |group, fold: fn(f64, f64) -> f64| {
        let example = sequences.group_examples(group).remove(0);
        example.tokens.iter().map(|token| token.act).fold(0.0, fold)
    };
    assert!((of_first(bottom, f64::min) - f64::from(stats.min)).abs() < 1e-3);
    assert!((of_first(top, f64::max) - f64::from(stats.max)).abs() < 1e-3);
}
