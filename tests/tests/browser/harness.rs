//! The harness itself: it sees what a reader sees, and an error of the page fails its test.

use std::path::Path;
use tests::{
    browser::{Browser, Scheme},
    built,
};

/// A folder with one page.
fn site(html: &str) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let head =
        "<!doctype html><meta name=viewport content='width=device-width'><link rel=icon href='data:,'>";
    std::fs::write(folder.path().join("index.html"), format!("{head}{html}"))?;
    Ok(folder)
}

/// Opens the folder's page; gives back what the harness says in the end.
fn finish(folder: &Path, steps: impl FnOnce(&Browser)) -> anyhow::Result<()> {
    let served = built::serve(folder)?;
    let browser = Browser::start()?;
    browser.open(&served.url())?;
    steps(&browser);
    browser.finish()
}

#[test]
fn the_harness_sees_and_moves_what_a_reader_does() {
    let page = "<h1>Feature 8</h1><button onmouseenter='this.title = 1' onclick='this.textContent = 2'>1</button>
        <script>setTimeout(() => document.body.append(Object.assign(document.createElement('p'), {id: 'late'})), 200)
        </script>";
    finish(site(page).unwrap().path(), |browser| {
        assert_eq!(browser.text("h1").unwrap(), "Feature 8");
        browser.hover("button").unwrap();
        assert_eq!(browser.eval::<String>("document.querySelector('button').title").unwrap(), "1");
        browser.click("button").unwrap();
        assert_eq!(browser.text("button").unwrap(), "2");
        browser.wait("the late paragraph", "document.getElementById('late')").unwrap();
        browser.set_size(390, 844).unwrap();
        assert_eq!(browser.eval::<u32>("innerWidth").unwrap(), 390);
        browser.set_scheme(Scheme::Dark).unwrap();
        assert!(browser.eval::<bool>("matchMedia('(prefers-color-scheme: dark)').matches").unwrap());
    })
    .unwrap();
}

#[test]
fn an_error_on_the_console_fails_the_test() {
    let error =
        finish(site("<script>console.error('out of tune')</script>").unwrap().path(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("out of tune"), "{error}");
}

#[test]
fn a_failed_request_fails_the_test() {
    let error = finish(site("<img src=missing.png alt=''>").unwrap().path(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}

#[test]
fn the_built_page_starts_under_its_policy() {
    finish(&built::page().unwrap(), |browser| {
        browser.wait("the viewer to start", "!document.getElementById('boot')").unwrap();
        assert!(!browser.eval::<bool>("document.querySelector('script:not([src])') !== null").unwrap());
    })
    .unwrap();
}
