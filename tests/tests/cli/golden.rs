//! Bundles of older programs are read, and print what they printed when they were written; see `fixtures/bundles`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tests::run::compute;

fn versions() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles");
    let folders =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// What `compute inspect` prints of a bundle.
fn inspect(bundle: &Path, args: &[&str]) -> Value {
    let mut all = vec![bundle.display().to_string()];
    all.extend(args.iter().map(ToString::to_string));
    let output = compute("inspect", &all).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn printed(path: &Path) -> Value {
    serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap()
}

/// Everything in `old` stands in `new` too; a later version may say more.
fn assert_still_says(new: &Value, old: &Value, at: &str) {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            for (key, old) in old {
                let new = new.get(key).unwrap_or(&Value::Null);
                assert_still_says(new, old, &format!("{at}.{key}"));
            }
        }
        (Value::Array(new), Value::Array(old)) => {
            assert_eq!(new.len(), old.len(), "{at}");
            new.iter()
                .zip(old)
                .enumerate()
                .for_each(|(i, (new, old))| assert_still_says(new, old, &format!("{at}[{i}]")));
        }
        (new, old) => assert_eq!(new, old, "{at}"),
    }
}

#[test]
fn bundles_of_every_version_print_what_they_printed() {
    let mut n_read = 0;
    for (version, folder) in versions() {
        let bundle = folder.join("postcard");
        for (file, args) in [("feature-4", ["--feature", "4"]), ("prompt-0", ["--prompt", "0"])] {
            let new = inspect(&bundle, &[&args[..], &["--json"]].concat());
            assert_still_says(&new, &printed(&folder.join(format!("{file}.json.gz"))), &version);
            n_read += 1;
        }
    }
    assert!(n_read >= 4, "{n_read}");
}

#[test]
fn a_bundle_whose_files_are_json_says_what_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/2.0/json");
    let output = compute("inspect", &[folder.display().to_string()]).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    let expected = "compute: the bundle's files are JSON, which is read no more: run `compute` again to write it anew (manifest.json)\n";
    assert_eq!(said, expected);
}

#[test]
fn a_bundle_of_schema_2_takes_labels_and_prints_the_rest_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/2.0");
    let temp = tempfile::tempdir().unwrap();
    let labels = temp.path().join("labels.csv");
    fs::write(&labels, "feature,label\n4,words after __\n").unwrap();
    let bundle = temp.path().join("bundle");
    for name in ["corpus", "features", "prompts", "."] {
        fs::create_dir_all(bundle.join(name)).unwrap();
        for entry in fs::read_dir(folder.join("postcard").join(name)).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() {
                fs::copy(&file, bundle.join(name).join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let args = [&bundle, &labels].map(|path| path.display().to_string());
    let done = compute("label", &args).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let new = inspect(&bundle, &["--feature", "4", "--json"]);
    assert_eq!(new["label"], "words after __");
    assert_still_says(&new, &printed(&folder.join("feature-4.json.gz")), "labelled");
    assert_eq!(inspect(&bundle, &["--json"])["schema"], serde_json::json!({ "major": 2, "minor": 1 }));
}

#[test]
fn every_version_that_is_read_has_a_bundle_here() {
    let names: Vec<String> = versions().into_iter().map(|(version, _)| version).collect();
    for version in ["2.0", "2.1"] {
        assert!(names.iter().any(|name| name == version), "{names:?}");
    }
}
