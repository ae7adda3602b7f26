//! Takes the pictures in `www/screenshots`; `cargo xtask screenshots` runs it.

use std::fs;
use tests::{
    browser::{Browser, Scheme},
    built,
};
use xtask::project::Project;

/// The most that one picture may weigh; they live in git.
const MAX_BYTES: u64 = 300 * 1024;

#[test]
#[ignore = "writes www/screenshots: run `cargo xtask screenshots`"]
fn the_feature_page_is_photographed() {
    let folder = Project::here().root().join("www/screenshots");
    fs::create_dir_all(&folder).unwrap();
    built::bundle().unwrap();
    let served = built::serve(&built::page().unwrap()).unwrap();
    let browser = Browser::start().unwrap();
    for (name, width, height, scheme) in [
        ("feature", 1440, 900, Scheme::Light),
        ("feature-dark", 1440, 900, Scheme::Dark),
        ("feature-narrow", 390, 844, Scheme::Light),
        ("feature-narrow-dark", 390, 844, Scheme::Dark),
    ] {
        browser.set_size(width, height).unwrap();
        browser.set_scheme(scheme).unwrap();
        browser.open("about:blank").unwrap();
        browser.open(&format!("{}#/feature/4", served.url())).unwrap();
        let settled = "document.querySelector('main[data-ready=\"feature/4\"]:has([aria-busy=false])')";
        browser.wait("the feature page", settled).unwrap();
        let picture = folder.join(format!("{name}.png"));
        browser.screenshot(&picture).unwrap();
        let n_bytes = picture.metadata().unwrap().len();
        assert!(n_bytes <= MAX_BYTES, "{name}.png is {n_bytes} bytes, expected at most {MAX_BYTES}");
    }
    browser.finish().unwrap();
}
