//! The built page in a browser, and what all tests of it wait for.

use anyhow::Result;
use xtask::serve::Served;

use crate::{browser::Browser, built};

/// Serves the page with the demo's bundle and opens `fragment` of it.
pub fn open(fragment: &str) -> Result<(Served, Browser)> {
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
