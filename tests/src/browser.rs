//! Drives a headless Chromium, one step at a time.
//!
//! The calls block, so a test reads from top to bottom. Nothing sleeps for a fixed time: [`Browser::wait`] polls until a
//! condition holds. Chromium and its driver end with the value, also when a test fails; what the page wrote to its
//! console is then printed.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use tests::{browser::Browser, built};
//!
//! let served = built::serve(&built::page()?)?;
//! let browser = Browser::start()?;
//! browser.open(&format!("{}#/feature/8", served.url()))?;
//! browser.wait("the feature's title", "document.querySelector('h1')")?;
//! assert_eq!(browser.text("h1")?, "Feature 8");
//! browser.finish() // fails if the page logged an error or a request failed
//! # }
//! ```

mod driver;

use anyhow::{Context as _, Result, bail};
use driver::Driver;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use thirtyfour::{
    BrowserLogEntry, By, ChromeCapabilities, WebDriver, WebElement, error::WebDriverResult, prelude::*,
};
use tokio::runtime::Runtime;

/// How long a condition may take to hold; generous, because CI machines are slow.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Chromium's switches: no window, and no traffic of its own.
const SWITCHES: [&str; 11] = [
    "--headless",
    "--no-sandbox", // containers and root have no user namespaces to build a sandbox from
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A running browser with one tab.
#[derive(Debug)]
pub struct Browser {
    runtime: Runtime,
    session: Option<WebDriver>,
    _driver: Driver,
    _profile: tempfile::TempDir,
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
    /// Starts Chromium with a fresh profile, 1440 by 900 pixels, light.
    pub fn start() -> Result<Self> {
        let chromium = xtask::browser::Chromium::find()?;
        let profile = tempfile::tempdir().context("could not make a folder for the browser's profile")?;
        let driver = Driver::start(&chromium.driver)?;
        let mut capabilities = ChromeCapabilities::new();
        capabilities.set_binary(&chromium.browser.to_string_lossy())?;
        for switch in SWITCHES {
            capabilities.add_arg(switch)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        capabilities.set_browser_log_level(thirtyfour::LoggingPrefsLogLevel::All)?;

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let session = runtime
            .block_on(WebDriver::new(driver.url(), capabilities))
            .context("chromedriver could not start Chromium; are they of the same version?")?;
        let browser = Self { runtime, session: Some(session), _driver: driver, _profile: profile };
        browser.set_size(1440, 900)?;
        browser.set_scheme(Scheme::Light)?;
        Ok(browser)
    }

    /// Sets the viewport, in CSS pixels; below 600 the page is told that it is on a phone with a touch screen.
    pub fn set_size(&self, width: u32, height: u32) -> Result<()> {
        let phone = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)?;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone }))
    }

    /// Sets what `prefers-color-scheme` says.
    pub fn set_scheme(&self, scheme: Scheme) -> Result<()> {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features)
    }

    /// Lays the page out as for printing, on A4 within its margins.
    pub fn set_paper(&self) -> Result<()> {
        self.set_size(703, 1032)?;
        self.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" }))
    }

    /// Opens an address and waits until the document is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.drive(|session| async move { session.goto(url).await })
            .with_context(|| format!("could not open {url}"))
    }

    /// Evaluates a JavaScript expression in the page.
    pub fn eval<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let script = format!("return ({expression});");
        let value = self
            .drive(|session| async move { session.execute(script, Vec::<Value>::new()).await })
            .with_context(|| format!("the page could not evaluate {expression}"))?;
        serde_json::from_value(value.json().clone())
            .with_context(|| format!("{expression} is {}, of another type than expected", value.json()))
    }

    /// Waits until a JavaScript expression holds; `what` names it where it never does.
    pub fn wait(&self, what: &str, expression: &str) -> Result<()> {
        let start = Instant::now();
        while !self.eval::<bool>(&format!("Boolean({expression})"))? {
            if start.elapsed() > TIMEOUT {
                let text: String = self.eval("document.body.innerText.slice(0, 500)")?;
                bail!("waited {} s for {what}; the page says: {text}", TIMEOUT.as_secs());
            }
            self.runtime.block_on(async { tokio::time::sleep(POLL).await });
        }
        Ok(())
    }

    /// The visible text of the first element that a CSS selector finds, waiting for it to be there.
    pub fn text(&self, css: &str) -> Result<String> {
        let element = self.element(css)?;
        Ok(self.runtime.block_on(element.text())?)
    }

    /// Moves the mouse onto the first element that a CSS selector finds.
    pub fn hover(&self, css: &str) -> Result<()> {
        let element = self.element(css)?;
        self.drive(|session| async move {
            element.scroll_into_view().await?;
            session.action_chain().move_to_element_center(&element).perform().await
        })
        .with_context(|| format!("could not hover {css}"))
    }

    /// Clicks the first element that a CSS selector finds.
    pub fn click(&self, css: &str) -> Result<()> {
        let element = self.element(css)?;
        self.runtime.block_on(element.click()).with_context(|| format!("could not click {css}"))
    }

    /// Types keys into whatever has the focus.
    pub fn type_keys(&self, keys: &str) -> Result<()> {
        self.drive(|session| async move { session.action_chain().send_keys(keys).perform().await })
            .with_context(|| format!("could not type {keys:?}"))
    }

    /// Drags with the mouse inside the first element that a CSS selector finds, from one place to another, each a share of
    /// its width, at half its height.
    pub fn drag(&self, css: &str, from: f64, to: f64) -> Result<()> {
        let element = self.element(css)?;
        let rect = self.runtime.block_on(element.rect())?;
        // Offsets count from the element's middle.
        let at = |share: f64| ((share - 0.5) * rect.width) as i64;
        self.drive(|session| async move {
            let chain = session.action_chain().move_to_element_with_offset(&element, at(from), 0);
            chain.click_and_hold().move_by_offset(at(to) - at(from), 0).release().perform().await
        })
        .with_context(|| format!("could not drag over {css}"))
    }

    /// Drags the first element that a CSS selector finds onto another with the mouse, and lets it go there.
    ///
    /// Without a window there is no drag of the system's: Chromium hands it over once the page has begun it, and the rest is
    /// told to the page as the system would.
    pub fn drag_onto(&self, css: &str, onto: &str) -> Result<()> {
        let (from, to) = (self.middle(css)?, self.middle(onto)?);
        self.devtools("Input.setInterceptDrags", json!({ "enabled": true }))?;
        let mouse = |step: &str, by: f64, buttons: u32| {
            let event = json!({
                "type": step, "x": from.0 + by, "y": from.1 + by, "button": "left", "buttons": buttons, "clickCount": 1,
            });
            self.devtools("Input.dispatchMouseEvent", event)
        };
        mouse("mouseMoved", 0.0, 0)?;
        mouse("mousePressed", 0.0, 1)?;
        // A drag begins with the first few pixels.
        mouse("mouseMoved", 8.0, 1)?;
        mouse("mouseMoved", 12.0, 1)?;
        self.drag_events(to, &json!({ "items": [], "dragOperationsMask": 16 }))?;
        mouse("mouseReleased", 12.0, 0)?;
        self.devtools("Input.setInterceptDrags", json!({ "enabled": false }))
    }

    /// The middle of the first element that a CSS selector finds, in the window.
    fn middle(&self, css: &str) -> Result<(f64, f64)> {
        self.element(css)?;
        let rect = format!("document.querySelector({}).getBoundingClientRect()", json!(css));
        let middle = "[rect.left + rect.width / 2, rect.top + rect.height / 2]";
        self.eval(&format!("((rect) => {middle})({rect})"))
    }

    /// Drags `data` into the page to a place, and drops it there.
    fn drag_events(&self, (x, y): (f64, f64), data: &Value) -> Result<()> {
        for step in ["dragEnter", "dragOver", "drop"] {
            self.devtools("Input.dispatchDragEvent", json!({ "type": step, "x": x, "y": y, "data": data }))?;
        }
        Ok(())
    }

    /// Drops a file of the disk on the page.
    pub fn drop_file(&self, file: &Path) -> Result<()> {
        let data = json!({ "items": [], "files": [file.display().to_string()], "dragOperationsMask": 1 });
        self.drag_events((600.0, 400.0), &data)
    }

    /// Sets the value of an input or a choice, as a reader does who types or picks it.
    pub fn set(&self, css: &str, value: &str) -> Result<()> {
        let element = self.element(css)?;
        let script = "arguments[0].value = arguments[1];
            for (const type of ['input', 'change']) arguments[0].dispatchEvent(new Event(type, { bubbles: true }));";
        self.drive(|session| async move {
            session.execute(script, vec![element.to_json()?, json!(value)]).await.map(|_| ())
        })
        .with_context(|| format!("could not set {css} to {value:?}"))
    }

    /// Picks a file in the first file input that a CSS selector finds.
    pub fn pick(&self, css: &str, file: &Path) -> Result<()> {
        let element = self.element(css)?;
        let path = file.display().to_string();
        self.runtime.block_on(element.send_keys(&path)).with_context(|| format!("could not pick {path}"))
    }

    /// Lets the page read and write the clipboard.
    pub fn allow_clipboard(&self) -> Result<()> {
        let permissions = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.devtools("Browser.grantPermissions", permissions)
    }

    /// Writes what the viewport shows as PNG.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        self.drive(|session| async move { session.screenshot(path).await })
            .with_context(|| format!("could not write the screenshot {}", path.display()))
    }

    /// Ends the browser; an error if the page logged one, threw one, or a request of it failed.
    pub fn finish(self) -> Result<()> {
        let errors: Vec<_> = self.console()?.into_iter().filter(|entry| entry.level == "SEVERE").collect();
        if !errors.is_empty() {
            let lines: Vec<_> = errors.iter().map(|entry| entry.message.as_str()).collect();
            bail!("the page logged errors: {}", lines.join("; "));
        }
        Ok(())
    }

    /// What the page wrote to its console since the last call.
    fn console(&self) -> Result<Vec<BrowserLogEntry>> {
        self.drive(|session| async move { session.browser_log().await }).context("could not read the console")
    }

    /// Waits for an element.
    fn element(&self, css: &str) -> Result<WebElement> {
        self.wait(css, &format!("document.querySelector({})", json!(css)))?;
        self.drive(|session| async move { session.find(By::Css(css)).await })
            .with_context(|| format!("no element {css}"))
    }

    /// Sends one command of Chromium's DevTools protocol.
    fn devtools(&self, method: &str, parameters: Value) -> Result<()> {
        self.drive(|session| async move { session.cdp().send_raw(method, parameters).await.map(|_| ()) })
            .with_context(|| format!("Chromium refused {method}"))
    }

    /// Runs one WebDriver call to its end.
    fn drive<T, F: Future<Output = WebDriverResult<T>>>(
        &self,
        call: impl FnOnce(WebDriver) -> F,
    ) -> Result<T> {
        let session = self.session.clone().context("the browser has ended")?;
        Ok(self.runtime.block_on(call(session))?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.console().unwrap_or_default() {
                eprintln!("console, {}: {}", entry.level, entry.message);
            }
        }
        if let Some(session) = self.session.take() {
            let quit = self.runtime.block_on(async { tokio::time::timeout(TIMEOUT, session.quit()).await });
            if !matches!(quit, Ok(Ok(()))) {
                eprintln!("Chromium did not end when asked to: {quit:?}");
            }
        }
    }
}
