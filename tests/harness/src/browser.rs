//! Drives a headless Chromium, one step at a time.
//!
//! The calls block, so a test reads from top to bottom. Nothing sleeps for a fixed time: [`Browser::wait`] polls until a
//! condition holds. All browsers of a process are contexts of one Chromium: starting one takes a fifth of a second, and
//! none sees another's storage or cache. When a test fails, what its page wrote to the console is printed.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use harness::{browser::Browser, project::Project, serve::Server};
//!
//! let served = Server::start(&Project::here().dist(), 0)?;
//! let browser = Browser::start()?;
//! browser.open(&format!("{}#/feature/8", served.url()))?;
//! browser.wait("the feature's title", "document.querySelector('h1')")?;
//! assert_eq!(browser.text("h1")?, "Feature 8");
//! browser.finish() // fails if the page logged an error or a request failed
//! # }
//! ```

mod chromium;
mod console;
mod devtools;
pub mod find;
mod input;
pub mod keys;

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use devtools::{Connection, Events};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a condition may take to hold; generous, because CI machines are slow.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What Chromium says of a question that a page did not stay to answer.
const NAVIGATED: &str = "Inspected target navigated or closed";
/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// A tab with storage and cache of its own; it is closed when dropped.
#[derive(Debug)]
pub struct Browser {
    chromium: Arc<Connection>,
    /// The browser context.
    context: String,
    /// The tab's session.
    session: String,
    events: Events,
}

/// Which scheme the reader's system prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light.
    Light,
    /// Light text on dark.
    Dark,
}

impl Browser {
    /// Opens an empty tab as a new reader would, 1440 by 900 pixels, light.
    pub fn start() -> Result<Self> {
        let chromium = chromium::shared()?;
        let call = |method: &str, params: Value, answer: &str| {
            let result = chromium.call(None, method, params)?;
            result[answer].as_str().map(str::to_owned).with_context(|| format!("{method} gave no {answer}"))
        };
        let context =
            call("Target.createBrowserContext", json!({ "disposeOnDetach": true }), "browserContextId")?;
        let tab = json!({ "url": "about:blank", "browserContextId": context });
        let target = call("Target.createTarget", tab, "targetId")?;
        let session =
            call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }), "sessionId")?;
        let events = chromium.listen(&session);
        let browser = Self { chromium, context, session, events };
        for domain in ["Page", "Runtime", "Log"] {
            browser.devtools(&format!("{domain}.enable"), json!({}))?;
        }
        // Every tab is as if it were in front, also while others are driven.
        browser.devtools("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))?;
        browser.set_size(1440, 900)?;
        browser.set_scheme(Scheme::Light)?;
        Ok(browser)
    }

    /// Sets the viewport, in CSS pixels; below 600 the page is told that it is on a phone with a touch screen.
    pub fn set_size(&self, width: u32, height: u32) -> Result<()> {
        let phone = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)?;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone }))?;
        Ok(())
    }

    /// Sets what `prefers-color-scheme` says.
    pub fn set_scheme(&self, scheme: Scheme) -> Result<()> {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).map(|_| ())
    }

    /// Lays the page out as for printing, on A4 within its margins.
    pub fn set_paper(&self) -> Result<()> {
        self.set_size(703, 1032)?;
        self.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).map(|_| ())
    }

    /// Opens an address and waits until the document is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        let answer = self.devtools("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("could not open {url}: {error}");
        }
        self.wait("the document to be loaded", "document.readyState === 'complete'")
            .with_context(|| format!("could not open {url}"))
    }

    /// Evaluates a JavaScript expression in the page; a promise's value is awaited.
    pub fn eval<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let value = self.evaluate(expression, true)?["value"].clone();
        serde_json::from_value(value.clone())
            .with_context(|| format!("{expression} is {value}, of another type than expected"))
    }

    /// Evaluates an expression to a remote object, with its value or as a reference.
    fn evaluate(&self, expression: &str, by_value: bool) -> Result<Value> {
        let params = json!({
            "expression": format!("({expression})"), "awaitPromise": true, "returnByValue": by_value, "userGesture": true,
        });
        let answer = self.devtools("Runtime.evaluate", params)?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("the page could not evaluate {expression}: {}", console::exception(exception));
        }
        Ok(answer["result"].clone())
    }

    /// Waits until a JavaScript expression holds; `what` names it where it never does.
    pub fn wait(&self, what: &str, expression: &str) -> Result<()> {
        self.wait_for_none(what, &format!("({expression}) ? null : ''"))
    }

    /// Waits until a JavaScript expression is null; until then it is a string that says what stands in the way.
    fn wait_for_none(&self, what: &str, expression: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let obstacle = match self.eval::<Option<String>>(expression) {
                Ok(None) => return Ok(()),
                Ok(Some(obstacle)) => obstacle,
                // A page that is on its way to another has neither.
                Err(error) if format!("{error:#}").contains(NAVIGATED) => String::new(),
                Err(error) => return Err(error),
            };
            if start.elapsed() > TIMEOUT {
                let text: String = self.eval("document.body.innerText.slice(0, 500)")?;
                bail!("waited {} s for {what}{obstacle}; the page says: {text}", TIMEOUT.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    /// The visible text of the first element that a CSS selector finds, waiting for it to be there.
    pub fn text(&self, css: &str) -> Result<String> {
        self.wait_for_element(css)?;
        let text: String = self.eval(&format!("{}.innerText", element(css)))?;
        Ok(text.replace('\u{a0}', " ").trim().to_owned())
    }

    /// Lets the page read and write the clipboard.
    pub fn allow_clipboard(&self) -> Result<()> {
        let permissions = json!({
            "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "browserContextId": self.context,
        });
        self.chromium.call(None, "Browser.grantPermissions", permissions).map(|_| ())
    }

    /// Writes what the viewport shows as PNG.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        let picture = self.devtools("Page.captureScreenshot", json!({ "format": "png" }))?;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap_or_default())?;
        ensure!(!bytes.is_empty(), "Chromium took an empty picture");
        fs::write(path, bytes).with_context(|| format!("could not write the screenshot {}", path.display()))
    }

    /// Ends the browser; an error if the page logged one, threw one, or a request of it failed.
    pub fn finish(self) -> Result<()> {
        // Whatever the page has done so far is reported before this answer.
        self.eval::<Value>("null")?;
        let errors = self.console().into_iter().filter(|entry| entry.is_error);
        let errors: Vec<_> = errors.map(|entry| entry.text).collect();
        ensure!(errors.is_empty(), "the page logged errors: {}", errors.join("; "));
        Ok(())
    }

    /// What the page wrote to its console since the last call.
    fn console(&self) -> Vec<console::Entry> {
        let events = std::mem::take(&mut *devtools::lock(&self.events));
        events.iter().filter_map(console::Entry::of).collect()
    }

    /// Waits until there is an element that a CSS selector finds.
    fn wait_for_element(&self, css: &str) -> Result<()> {
        self.wait(css, &element(css))
    }

    /// Sends one command to the tab.
    fn devtools(&self, method: &str, params: Value) -> Result<Value> {
        self.chromium.call(Some(&self.session), method, params)
    }
}

/// JavaScript for the first element that a CSS selector finds.
fn element(css: &str) -> String {
    format!("document.querySelector({})", json!(css))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.console() {
                eprintln!("console: {}", entry.text);
            }
        }
        let context = json!({ "browserContextId": self.context });
        if let Err(error) = self.chromium.call(None, "Target.disposeBrowserContext", context) {
            eprintln!("a browser did not end when asked to: {error:#}");
        }
        self.chromium.forget(&self.session);
    }
}
