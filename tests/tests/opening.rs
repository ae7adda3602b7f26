//! The ways to open a bundle: an archive by address, one that is picked, and a page with the bundle inside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use tempfile::TempDir;
use tests::{
    browser::Browser,
    built,
    generate::generate,
    page::{copy_page, wait_for},
    run::compute,
};

fn export(bundle: &Path, out: &Path, html: bool) {
    let text = |path: &Path| path.display().to_string();
    let mut args = vec![text(bundle), "--out".to_owned(), text(out), "--quiet".to_owned()];
    if html {
        args.extend(["--html".to_owned(), "--page".to_owned(), text(&built::page().unwrap())]);
    }
    let output = compute("export", &args).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A generated bundle, whose features are not the demo's, and what it is exported to.
fn exported(name: &str) -> (TempDir, std::path::PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    generate(&temp.path().join("bundle"), 96, 7).unwrap();
    let out = temp.path().join(name);
    export(&temp.path().join("bundle"), &out, name.ends_with("html"));
    (temp, out)
}

/// The bundle that the page has open is the generated one.
fn is_generated(browser: &Browser) {
    wait_for(browser, "feature/3").unwrap();
    assert!(browser.text(".chooser-count").unwrap().contains("of 96 features"));
    assert!(browser.text(".bundle-name").unwrap().contains("synthetic"));
}

#[test]
fn an_archive_is_opened_by_its_address_a_part_at_a_time() {
    let (_temp, archive) = exported("other.saevis");
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    fs::copy(&archive, site.path().join("other.saevis")).unwrap();
    let served = built::serve(site.path()).unwrap();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}?bundle=other.saevis#/feature/3", served.url())).unwrap();
    is_generated(&browser);
    browser.finish().unwrap();
}

#[test]
fn a_picked_archive_replaces_what_is_open_and_a_broken_one_says_so() {
    let (temp, archive) = exported("other.saevis");
    let (_served, browser) = tests::page::open("#/feature/3").unwrap();
    wait_for(&browser, "feature/3").unwrap();
    assert!(browser.text(".chooser-count").unwrap().contains("2,048"));
    let opened = "document.querySelector('[data-found]')?.textContent === '96 features'";
    browser.pick("[data-open]", &archive).unwrap();
    browser.wait("the other bundle's table", opened).unwrap();
    browser.click("[data-rows] [data-feature='3'] a").unwrap();
    is_generated(&browser);

    let broken = temp.path().join("broken.saevis");
    let bytes = fs::read(&archive).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    browser.pick("[data-open]", &broken).unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("no .saevis file: the end of a ZIP is missing (broken.saevis)"), "{said}");
    // The page goes on.
    browser.pick("[data-open]", &archive).unwrap();
    browser.wait("the bundle again", opened).unwrap();
    browser.finish().unwrap();
}

#[test]
fn an_archive_that_is_dropped_on_the_page_is_opened() {
    let (_temp, archive) = exported("other.saevis");
    let (_served, browser) = tests::page::open("#/feature/3").unwrap();
    wait_for(&browser, "feature/3").unwrap();
    browser.drop_file(&archive).unwrap();
    browser
        .wait(
            "the other bundle's table",
            "document.querySelector('[data-found]')?.textContent === '96 features'",
        )
        .unwrap();
    browser.finish().unwrap();
}

#[test]
fn an_exported_page_opens_from_the_disk_without_a_server() {
    let (_temp, page) = exported("other.html");
    let browser = Browser::start().unwrap();
    browser.open(&format!("file://{}#/feature/3", page.display())).unwrap();
    is_generated(&browser);
    browser.type_keys("?").unwrap();
    browser.wait("the help", "document.querySelector('#help:popover-open')").unwrap();
    browser.finish().unwrap();
}
