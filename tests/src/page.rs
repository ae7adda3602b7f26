//! The built page in a browser, and what all tests of it wait for.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use harness::serve::Server;

use crate::{browser::Browser, built};

/// Copies the page's own files, without a bundle.
pub fn copy_page(to: &Path) -> Result<()> {
    for entry in fs::read_dir(built::page()?)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name)).with_context(|| format!("could not copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Serves the page with the demo's bundle and opens `fragment` of it.
pub fn open(fragment: &str) -> Result<(Server, Browser)> {
    built::bundle()?;
    let served = built::serve(&built::page()?)?;
    let browser = Browser::start()?;
    browser.open(&format!("{}{fragment}", served.url()))?;
    Ok((served, browser))
}

/// Waits until the page says that it has drawn `ready`, such as `feature/8`, and loads nothing any more.
pub fn wait_for(browser: &Browser, ready: &str) -> Result<()> {
    let shown = format!("document.querySelector('main[data-ready=\"{ready}\"]:not(:has([aria-busy=true]))')");
    browser.wait(ready, &shown)
}

/// Texts of all elements that a selector finds.
pub fn texts(browser: &Browser, css: &str) -> Result<Vec<String>> {
    browser.eval(&format!("[...document.querySelectorAll({css:?})].map(e => e.textContent)"))
}
