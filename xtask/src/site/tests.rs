//! Sites as a folder, and under a sub-path in Chromium.

use super::*;
use harness::{browser::Browser, serve::Server};
use serde_json::json;

#[test]
fn a_folder_with_other_files_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    check_out(folder.path()).unwrap();
    check_out(&folder.path().join("new")).unwrap();
    fs::write(folder.path().join("index.html"), "mine").unwrap();
    // As many sites have it.
    fs::write(folder.path().join(".nojekyll"), "").unwrap();
    assert!(check_out(folder.path()).unwrap_err().to_string().starts_with("the folder has other files"));
    fs::write(folder.path().join(".nojekyll"), MARK).unwrap();
    check_out(folder.path()).unwrap();
}

#[test]
fn what_is_no_bundle_or_reads_files_elsewhere_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let said = |manifest: Option<Value>| {
        if let Some(manifest) = manifest {
            fs::write(temp.path().join("manifest.json"), manifest.to_string()).unwrap();
        }
        format!("{:#}", Published::read(temp.path()).unwrap_err())
    };
    assert!(said(None).starts_with("not a bundle ("));
    assert!(
        said(Some(json!({ "name": "an extension", "manifest_version": 3 })))
            .starts_with("not a bundle's manifest")
    );
    let shared = json!({ "schema": { "major": 3 }, "shared": "../shared" });
    assert!(said(Some(shared)).starts_with("the bundle reads files that lie outside it"));
}

#[test]
fn large_files_are_named() {
    let site = tempfile::tempdir().unwrap();
    let file = fs::File::create(site.path().join("0000.bin")).unwrap();
    file.set_len(MAX_FILE_BYTES).unwrap();
    assert_eq!(beyond_limits(site.path()).unwrap(), Vec::<String>::new());
    file.set_len(MAX_SITE_BYTES + 1).unwrap();
    let warnings = beyond_limits(site.path()).unwrap();
    assert!(warnings[0].contains("has 1000 MB") && warnings[0].contains("0000.bin"), "{warnings:?}");
    assert!(warnings[1].starts_with("the site has 1000 MB"), "{warnings:?}");
}

/// The demo's bundle, which `cargo xtask demo` makes, under another name.
fn demo(temp: &Path, name: &str) -> Published {
    let bundle = Project::here().bundle();
    assert!(bundle.join("manifest.json").is_file(), "run `cargo xtask demo` first");
    copy(&bundle, &temp.join(name)).unwrap();
    Published::read(&temp.join(name)).unwrap()
}

#[test]
fn a_site_of_two_bundles_works_under_a_sub_path() {
    let temp = tempfile::tempdir().unwrap();
    let host = temp.path().join("host");
    let bundles = [demo(temp.path(), "first"), demo(temp.path(), "se cond")];
    write(&Project::here().dist(), &bundles, &host.join("owner/project")).unwrap();
    fs::write(host.join("404.html"), "<p>There isn't a GitHub Pages site here.").unwrap();
    let served = Server::start(&host, 0).unwrap();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}owner/project/", served.url())).unwrap();
    assert!(browser.text("main").unwrap().contains("2048 features"));
    browser.click("a[href='view.html?bundle=bundles/se-cond']").unwrap();
    browser.wait("the table", "document.querySelector('main')?.dataset.ready === 'features'").unwrap();
    // Chromium asks for gzip, which hosts give text; a bundle's files come as they are.
    let packed =
        "performance.getEntriesByType('resource').filter((e) => e.encodedBodySize < e.decodedBodySize)
        .map((e) => e.name.split('.').pop()).sort().join(' ')";
    let packed: String = browser.eval(packed).unwrap();
    assert!(packed.contains("css") && packed.contains("wasm") && !packed.contains("bin"), "{packed}");
    browser
        .open(&format!("{}owner/project/view.html?bundle=bundles/first#/feature/4", served.url()))
        .unwrap();
    browser.wait("a feature", "document.querySelector('main')?.dataset.ready === 'feature/4'").unwrap();
    browser.finish().unwrap();

    // A host's own page for what is not there is no bundle.
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}owner/project/view.html?bundle=bundles/third", served.url())).unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("404") && said.contains("bundles/third"), "{said}");
}

#[test]
fn two_bundles_of_one_name_are_refused_and_nothing_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let bundles = [demo(temp.path(), "a b"), demo(temp.path(), "a-b")];
    let out = temp.path().join("site");
    let error = write(&Project::here().dist(), &bundles, &out).unwrap_err().to_string();
    assert!(error.starts_with("two bundles are called a-b: rename a folder"), "{error}");
    assert!(!out.exists());
}
