//! A bundle as JSON, and back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use shared::{
    document::Document,
    explanations::{Explanation, ExplanationScore, Explanations},
    roles::{ChunkRoles, RoleStats},
};

fn compute(args: &[&str]) -> Output {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    Command::new(env!("CARGO_BIN_EXE_compute")).args(args).current_dir(demo).output().unwrap()
}

fn run(folder: &Path) -> PathBuf {
    let out = folder.join("bundle");
    let run = "run -q --sequences 64 --features 0..24,100,2040..2048 --model model --sae sae-mlp-a --data tokens.npy \
               --labels labels.json --prompt def --out";
    let args: Vec<&str> = run.split_whitespace().chain([out.to_str().unwrap()]).collect();
    assert!(compute(&args).status.success());
    out
}

fn import(document: &Path, out: &Path) -> Output {
    compute(&["import", "--quiet", document.to_str().unwrap(), "--out", out.to_str().unwrap()])
}

fn export(bundle: &Path, document: &Path) {
    let done = compute(&["export", "-q", bundle.to_str().unwrap(), "--json", document.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    all
}

/// The same, by path inside the folder.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let inside = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(folder).unwrap().to_owned(), bytes);
    files(folder).into_iter().map(inside).collect()
}

#[test]
fn a_bundle_comes_back_to_the_byte() {
    let temp = tempfile::tempdir().unwrap();
    let bundle = run(temp.path());
    for name in ["plain.json", "packed.json.gz"] {
        let (document, back) = (temp.path().join(name), temp.path().join("back"));
        export(&bundle, &document);
        let done = import(&document, &back);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(contents(&bundle), contents(&back), "{name}");
    }
}

#[test]
fn layers_come_back_too() {
    let temp = tempfile::tempdir().unwrap();
    let (first, second) = (temp.path().join("first.json"), temp.path().join("second.json"));
    export(&run(temp.path()), &first);
    let mut document: Document = serde_json::from_reader(File::open(&first).unwrap()).unwrap();
    let (n, n_features) = (document.corpus[0].token_ids.len(), document.features.len());
    document.explanations = Some(Explanations {
        explanations: vec![Explanation {
            feature: 100,
            text: "commas, “quoted”\n\u{1f600}".to_owned(),
            author: Some("a model".to_owned()),
            scores: vec![ExplanationScore { test: "detection".to_owned(), value: 0.1 + 0.2, judge: None }],
            ..Explanation::default()
        }],
    });
    document.roles =
        Some(vec![ChunkRoles { first_row: 0, seq_len: 128, roles: (0..n).map(|i| (i % 6) as u8).collect() }]);
    document.role_stats = Some(RoleStats {
        roles: vec![1, 2],
        n_tokens: vec![3, 4],
        density: vec![0.1; 2 * n_features],
        max: vec![f32::MIN_POSITIVE; 2 * n_features],
    });
    // A maximum that is not known.
    document.features[3].stats.max = f32::NAN;
    fs::write(&first, serde_json::to_vec(&document).unwrap()).unwrap();
    let back = temp.path().join("back");
    let done = import(&first, &back);
    assert!(done.status.success(), "{done:?}");
    export(&back, &second);
    let mut again: Document = serde_json::from_reader(File::open(&second).unwrap()).unwrap();
    assert!(again.features[3].stats.max.is_nan());
    again.features[3].stats.max = 0.0;
    document.features[3].stats.max = 0.0;
    // How the bundle is stored is its own.
    (document.manifest.files, document.manifest.layers) =
        (again.manifest.files.clone(), again.manifest.layers.clone());
    assert_eq!(document, again);
    assert_eq!(again.manifest.layers.len(), 4);
}

#[test]
fn a_cut_document_is_one_line_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole.json.gz");
    export(&run(temp.path()), &whole);
    fs::remove_dir_all(temp.path().join("bundle")).unwrap();
    let bytes = fs::read(&whole).unwrap();
    let cut = temp.path().join("cut.json");
    let n_files = 2;
    for i in 0..60 {
        File::create(&cut).unwrap().write_all(&bytes[..bytes.len() * i / 60]).unwrap();
        assert_refused(&import(&cut, &temp.path().join("back")), "");
        assert_eq!(files(temp.path()).len(), n_files, "after {i} of 60");
    }
}

/// Checks that a command failed with one line that says `reason`.
fn assert_refused(output: &Output, reason: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{reason}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("compute: ") && said.contains(reason), "expected \"{reason}\", got {said}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (document, out) = (temp.path().join("document.json"), temp.path().join("back"));
    export(&run(temp.path()), &document);
    let good = fs::read_to_string(&document).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        change(&mut value);
        // A generic value sorts members by name; the manifest comes first.
        let manifest = value.as_object_mut().unwrap().remove("manifest").unwrap();
        format!("{{\"manifest\":{manifest},{}", &value.to_string()[1..])
    };
    let (manifest, rest) = good[1..].split_once(",\n").unwrap();
    let cases = [
        ("{}".to_owned(), "it has no manifest"),
        ("[]".to_owned(), "no bundle as JSON"),
        (String::new(), "no bundle as JSON"),
        ("\u{1f600}".to_owned(), "no bundle as JSON"),
        ("[".repeat(100_000), "no bundle as JSON"),
        (format!("{{{},{manifest}}}", &rest[..rest.len() - 2]), "its manifest must be its first member"),
        (format!("{{{manifest},{manifest}}}"), "it has two manifests"),
        (format!("{{{manifest}}}"), "it has no vocabulary"),
        (format!("{good} {{}}"), "trailing"),
        (changed(&|v| v["manifest"]["schema"]["major"] = json!(9)), "version"),
        (changed(&|v| drop(v["features"].as_array_mut().unwrap().pop())), "it has no feature 2047"),
        (changed(&|v| drop(v["features"].as_array_mut().unwrap().remove(5))), "it has feature 6"),
        (changed(&|v| v["features"][0]["feature"] = json!(7)), "it has feature 7"),
        (changed(&|v| v["features"][0]["stats"]["density"] = json!(2.0)), "density is 2"),
        (changed(&|v| v["features"][0]["feature"] = json!(-1)), "-1"),
        (changed(&|v| v["features"][0]["sequences"]["rows"] = json!([0])), "rows"),
        (changed(&|v| v["corpus"][0]["first_row"] = json!(3)), "begins at row 3"),
        (changed(&|v| v["corpus"] = json!([])), "it has 0 chunks of corpus"),
        (changed(&|v| v["corpus"][0]["token_ids"] = json!([1])), "do not fill"),
        (changed(&|v| v["prompts"] = json!([])), "0 prompts"),
        (changed(&|v| v["labels"]["texts"] = json!([])), "label"),
    ];
    for (text, reason) in cases {
        fs::write(&document, text).unwrap();
        assert_refused(&import(&document, &out), reason);
        assert!(!out.exists(), "{reason}");
    }
    assert_refused(&import(temp.path(), &out), "not a regular file");
    assert_refused(&import(&temp.path().join("nowhere"), &out), "nowhere");
}

#[test]
fn the_schema_describes_every_member() {
    let done = compute(&["import", "--schema"]);
    let schema: Value = serde_json::from_slice(&done.stdout).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let document = temp.path().join("document.json");
    export(&run(temp.path()), &document);
    let value: Value = serde_json::from_reader(File::open(&document).unwrap()).unwrap();
    assert_described(&value, &schema, &schema, "");
}

/// Checks that each member of `value` is one of `schema`'s, and described.
fn assert_described(value: &Value, schema: &Value, root: &Value, path: &str) {
    let mut open = vec![schema];
    let mut known = Vec::new();
    while let Some(schema) = open.pop() {
        if let Some(target) = schema["$ref"].as_str() {
            open.push(root.pointer(&target[1..]).unwrap());
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            open.extend(schema[several].as_array().into_iter().flatten());
        }
        known.push(schema);
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let described = known.iter().map(|schema| &schema["properties"][name]).find(|s| !s.is_null());
                let described = described.unwrap_or_else(|| panic!("{path}.{name} is not in the schema"));
                assert_described(member, described, root, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => {
            let Some(described) = known.iter().map(|schema| &schema["items"]).find(|s| !s.is_null()) else {
                return;
            };
            for item in items.iter().take(40) {
                assert_described(item, described, root, &format!("{path}[]"));
            }
        }
        _ => {}
    }
}
