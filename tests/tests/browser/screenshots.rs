//! Takes the pictures in `www/screenshots`; `cargo xtask screenshots` runs it.

use harness::project::Project;
use std::fs;
use tests::{
    browser::Scheme,
    page::{open, wait_for},
};

/// The most that one picture may weigh; they live in git.
const MAX_BYTES: u64 = 300 * 1024;

/// Each page, its address, and what it says when it is drawn.
const PAGES: [(&str, &str, &str); 5] = [
    ("features", "#/", "features"),
    ("feature", "#/feature/4", "feature/4"),
    ("prompt", "#/prompt/0?metric=act_quantile&pos=1", "prompt/0/act_quantile/1"),
    ("about", "#/about", "about"),
    ("layout", "#/feature/4", "feature/4"),
];

#[test]
#[ignore = "writes www/screenshots: run `cargo xtask screenshots`"]
fn every_page_is_photographed() {
    let folder = Project::here().root().join("www/screenshots");
    fs::create_dir_all(&folder).unwrap();
    let (served, browser) = open("#/").unwrap();
    for (suffix, width, height, scheme) in [
        ("", 1440, 900, Scheme::Light),
        ("-dark", 1440, 900, Scheme::Dark),
        ("-narrow", 390, 844, Scheme::Light),
        ("-narrow-dark", 390, 844, Scheme::Dark),
    ] {
        browser.set_size(width, height).unwrap();
        browser.set_scheme(scheme).unwrap();
        for (name, fragment, ready) in PAGES {
            browser.open("about:blank").unwrap();
            browser.open(&format!("{}{fragment}", served.url())).unwrap();
            wait_for(&browser, ready).unwrap();
            if name == "layout" {
                browser.click("[data-layout-button]").unwrap();
                browser.click("[data-component=logits_table] summary").unwrap();
            }
            let picture = folder.join(format!("{name}{suffix}.png"));
            browser.screenshot(&picture).unwrap();
            let n_bytes = picture.metadata().unwrap().len();
            assert!(
                n_bytes <= MAX_BYTES,
                "{name}{suffix}.png is {n_bytes} bytes, expected at most {MAX_BYTES}"
            );
        }
    }
    browser.finish().unwrap();
}
