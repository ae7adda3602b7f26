//! Sites as folders: what is written, what is refused, and that nothing is lost.

use std::fs::File;

use serde_json::{Value, json};
use shared::bundle::encode;

use super::*;

const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><body></body></html>";

/// A folder with a page in it.
fn page(temp: &Path) -> PathBuf {
    let page = temp.join("page");
    fs::create_dir_all(&page).unwrap();
    fs::write(page.join("index.html"), PAGE).unwrap();
    fs::write(page.join("site.html"), PAGE.replace("lang=\"en\"", "lang=\"en\" data-view=\"index.html\""))
        .unwrap();
    fs::write(page.join("viewer.wasm"), b"\0asm").unwrap();
    page
}

/// The manifest of a bundle without features that lists `files`.
fn manifest(files: &Value, shared: Option<&str>) -> Value {
    let layout = json!({ "columns": [{ "components": [] }] });
    let mut manifest = json!({
        "schema": { "major": 3, "minor": 0 }, "tool": "sae-vis compute", "model": { "name": "m" },
        "sae": { "name": "s", "hook": "blocks.0.hook_resid_pre" }, "dataset": { "name": "d" }, "features": [],
        "layouts": { "feature": layout, "prompt": layout }, "blocks": [], "files": files,
    });
    if let Some(shared) = shared {
        manifest["shared"] = shared.into();
    }
    manifest
}

/// Writes a file of a bundle, and what a manifest says of it.
fn put(folder: &Path, path: &str, text: &str, shared: bool) -> Value {
    let (info, bytes) = encode(&text.to_owned(), path.to_owned()).unwrap();
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let mut info = serde_json::to_value(info).unwrap();
    if shared {
        info["shared"] = true.into();
    }
    info
}

/// A bundle with one file, and a reader's notes beside it.
fn bundle(folder: &Path) {
    let own = put(folder, "features/index.bin", "own", false);
    fs::write(folder.join("manifest.json"), manifest(&json!([own]), None).to_string()).unwrap();
    fs::write(folder.join("notes.txt"), "mine alone").unwrap();
}

/// All files below a folder, by path, but those of the page.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(inner) = folders.pop() {
        for path in fs::read_dir(inner).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn one_bundle_lies_beside_the_page_without_what_is_not_its_own() {
    let temp = tempfile::tempdir().unwrap();
    bundle(&temp.path().join("a"));
    let out = temp.path().join("out");
    write(&page(temp.path()), &[temp.path().join("a")], "t", &out).unwrap();
    let expected = [
        ".nojekyll",
        "bundle/features/index.bin",
        "bundle/manifest.json",
        "index.html",
        "site.html",
        "viewer.wasm",
    ];
    assert_eq!(files(&out), expected);
    assert_eq!(text(&out.join("index.html")), PAGE);
}

#[test]
fn several_have_a_start_page_and_a_page_of_theirs_serves_again() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("site");
    let vocab = put(&site.join("shared/x"), "vocab.bin", "shared", true);
    for name in ["b c", "a"] {
        let own = put(&site.join(name), "features/index.bin", name, false);
        let manifest = manifest(&json!([vocab, own]), Some("../shared/x"));
        fs::write(site.join(name).join("manifest.json"), manifest.to_string()).unwrap();
    }
    let listed = |path: &str| json!({ "path": path, "model": "m", "sae": "s", "n_features": 0 });
    let list =
        json!({ "schema": { "major": 3, "minor": 0 }, "tool": "t", "bundles": [listed("b c"), listed("a")] });
    fs::write(site.join("site.json"), list.to_string()).unwrap();
    bundle(&temp.path().join("alone"));
    let out = temp.path().join("out");
    let built = page(temp.path());
    write(&built, &[site.clone(), temp.path().join("alone")], "t", &out).unwrap();
    let bundles = files(&out.join("bundles"));
    let expected = [
        "a/features/index.bin",
        "a/manifest.json",
        "alone/features/index.bin",
        "alone/manifest.json",
        "b-c/features/index.bin",
        "b-c/manifest.json",
        "shared/x/vocab.bin",
        "site.json",
    ];
    assert_eq!(bundles, expected);
    let listed = Site::from_json(text(&out.join("bundles/site.json")).as_bytes()).unwrap().bundles;
    assert_eq!(listed.iter().map(|b| b.path.as_str()).collect::<Vec<_>>(), ["b-c", "a", "alone"]);
    assert!(text(&out.join("view.html")).contains("data-site=\"bundles\""));
    assert!(text(&out.join("index.html")).contains("data-view=\"view.html\""));
    // One of a site has what it shares, and is shown as a site.
    let one = temp.path().join("one");
    write(&out, &[site.join("a")], "t", &one).unwrap();
    assert!(files(&one).contains(&"bundles/shared/x/vocab.bin".to_owned()));
    // The page of a site is a page of one bundle again.
    let again = temp.path().join("again");
    write(&out, &[temp.path().join("alone")], "t", &again).unwrap();
    assert_eq!(text(&again.join("index.html")), PAGE);
    assert_eq!(text(&again.join("site.html")), text(&built.join("site.html")));
}

#[test]
fn what_is_there_is_replaced_only_by_what_is_whole() {
    let temp = tempfile::tempdir().unwrap();
    let (a, out, page) = (temp.path().join("a"), temp.path().join("out"), page(temp.path()));
    bundle(&a);
    fs::create_dir(&out).unwrap();
    fs::write(out.join("index.html"), "mine").unwrap();
    // As many sites have it.
    fs::write(out.join(".nojekyll"), "").unwrap();
    let said = |given: &[PathBuf]| format!("{:#}", write(&page, given, "t", &out).unwrap_err());
    assert!(said(std::slice::from_ref(&a)).starts_with("the folder has other files in it: name a new one"));
    fs::remove_dir_all(&out).unwrap();
    write(&page, std::slice::from_ref(&a), "t", &out).unwrap();
    write(&page, std::slice::from_ref(&a), "t", &out).unwrap();
    let before = files(&out);

    let index = a.join("features/index.bin");
    let bytes = fs::read(&index).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    for wrong in [&changed[..], &bytes[1..], &[&bytes[..], b"x"].concat()] {
        fs::write(&index, wrong).unwrap();
        assert!(said(std::slice::from_ref(&a)).contains("features/index.bin"));
        assert_eq!(files(&out), before);
    }
    let secret = temp.path().join("secret");
    fs::write(&secret, &bytes).unwrap();
    fs::remove_file(&index).unwrap();
    std::os::unix::fs::symlink(&secret, &index).unwrap();
    assert!(said(std::slice::from_ref(&a)).starts_with("a file of the bundle is a link to outside of it"));
    let names = fs::read_dir(temp.path()).unwrap().count();
    assert_eq!(names, ["a", "out", "page", "secret"].len(), "nothing half-written is left");
}

#[test]
fn what_cannot_be_published_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let page = page(temp.path());
    let folder = |name: &str| temp.path().join(name);
    let said = |given: &[PathBuf]| format!("{:#}", write(&page, given, "t", &folder("out")).unwrap_err());
    assert!(said(&[folder("nothing")]).starts_with("not a bundle ("));
    fs::create_dir(folder("extension")).unwrap();
    fs::write(folder("extension").join("manifest.json"), "{\"name\": \"x\", \"manifest_version\": 3}")
        .unwrap();
    assert!(said(&[folder("extension")]).starts_with("not a bundle that this program reads"));
    for name in ["a b", "a-b"] {
        bundle(&folder(name));
    }
    assert!(said(&[folder("a b"), folder("a-b")]).starts_with("two bundles are called a-b: rename a folder"));
    let up = manifest(&json!([]), Some("../../x"));
    fs::create_dir(folder("deep")).unwrap();
    fs::write(folder("deep").join("manifest.json"), up.to_string()).unwrap();
    assert!(said(&[folder("deep")]).starts_with("the bundle's shared files lie 2 folders up, expected one"));
    File::create(folder("manifest.json")).unwrap();
    let nowhere = write(&folder("nowhere"), &[folder("a b")], "t", &folder("out")).unwrap_err();
    assert!(format!("{nowhere:#}").starts_with("could not read the page: build one with `cargo xtask site`"));
    assert!(!folder("out").exists());
}
