//! The list of published SAEs, as `compute saes` prints it.

use std::process::{Command, Output};

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
