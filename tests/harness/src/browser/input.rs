//! What a reader does: the mouse, the keyboard, files.

use super::{Browser, element, keys};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;

/// The middle of the part of an element that is in the window, as `[x, y]`.
const MIDDLE: &str = "((element) => {
    const rect = element.getClientRects()[0] ?? element.getBoundingClientRect();
    const x = [Math.max(rect.left, 0), Math.min(rect.right, innerWidth)];
    const y = [Math.max(rect.top, 0), Math.min(rect.bottom, innerHeight)];
    return [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2];
})";

/// Scrolls an element into the window, as far as it is not there.
const SHOW: &str = "((element) => {
    const { top, bottom, left, right } = element.getBoundingClientRect();
    if (top < 0 || left < 0 || bottom > innerHeight || right > innerWidth)
        element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
})";

impl Browser {
    /// Moves the mouse onto the first element that a CSS selector finds.
    pub fn hover(&self, css: &str) -> Result<()> {
        let at = self.show(css)?;
        self.mouse("mouseMoved", at, 0).with_context(|| format!("could not hover {css}"))
    }

    /// Clicks the first element that a CSS selector finds, once nothing lies over it.
    pub fn click(&self, css: &str) -> Result<()> {
        self.show(css)?;
        let top = format!(
            "((element, top) => element.contains(top) || top?.contains(element) && top.localName === 'label' ? null
                : `, which lies under ${{top?.outerHTML.slice(0, 200)}}`)({}, document.elementFromPoint(...{MIDDLE}({})))",
            element(css),
            element(css),
        );
        self.wait_for_none(&format!("{css} to be clicked"), &top)?;
        // Where it is now: what loads above it may have moved it since.
        let (x, y) = self.middle(css)?;
        for (step, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            self.mouse(step, (x, y), buttons).with_context(|| format!("could not click {css}"))?;
        }
        Ok(())
    }

    /// Types keys into whatever has the focus; [`keys`] has those that write nothing.
    pub fn type_keys(&self, keys: &str) -> Result<()> {
        let mut alt = false;
        for key in keys.chars() {
            if key == keys::ALT {
                alt = true;
                continue;
            }
            let alt = std::mem::take(&mut alt);
            for step in ["keyDown", "keyUp"] {
                let mut event = keys::event(key);
                if alt {
                    event["modifiers"] = keys::ALT_PRESSED.into();
                }
                event["type"] = step.into();
                self.devtools("Input.dispatchKeyEvent", event)
                    .with_context(|| format!("could not type {keys:?}"))?;
            }
        }
        Ok(())
    }

    /// Drags with the mouse inside the first element that a CSS selector finds, from one point to another, each a share of
    /// its width, at half its height.
    pub fn drag(&self, css: &str, from: f64, to: f64) -> Result<()> {
        let (_, y) = self.show(css)?;
        let edges = format!("((r) => [r.left, r.width])({}.getBoundingClientRect())", element(css));
        let (left, width): (f64, f64) = self.eval(&edges)?;
        let at = |share: f64| (left + share * width, y);
        for (step, share, buttons) in [
            ("mouseMoved", from, 0),
            ("mousePressed", from, 1),
            ("mouseMoved", to, 1),
            ("mouseReleased", to, 0),
        ] {
            self.mouse(step, at(share), buttons).with_context(|| format!("could not drag over {css}"))?;
        }
        Ok(())
    }

    /// Drags the first element that a CSS selector finds onto another with the mouse, and lets it go there.
    ///
    /// Without a window there is no drag of the system's: Chromium hands it over once the page has begun it, and the rest is
    /// told to the page as the system would.
    pub fn drag_onto(&self, css: &str, onto: &str) -> Result<()> {
        let ((x, y), to) = (self.show(css)?, self.middle(onto)?);
        self.devtools("Input.setInterceptDrags", json!({ "enabled": true }))?;
        self.mouse("mouseMoved", (x, y), 0)?;
        self.mouse("mousePressed", (x, y), 1)?;
        // A drag begins with the first few pixels.
        self.mouse("mouseMoved", (x + 8.0, y + 8.0), 1)?;
        self.mouse("mouseMoved", (x + 12.0, y + 12.0), 1)?;
        self.drag_events(to, &json!({ "items": [], "dragOperationsMask": 16 }))?;
        self.mouse("mouseReleased", (x + 12.0, y + 12.0), 0)?;
        self.devtools("Input.setInterceptDrags", json!({ "enabled": false })).map(|_| ())
    }

    /// Drops a file of the disk on the page.
    pub fn drop_file(&self, file: &Path) -> Result<()> {
        let data = json!({ "items": [], "files": [file.display().to_string()], "dragOperationsMask": 1 });
        self.drag_events((600.0, 400.0), &data)
    }

    /// Sets the value of an input or a choice, as a reader does who types or picks it.
    pub fn set(&self, css: &str, value: &str) -> Result<()> {
        self.wait_for_element(css)?;
        let script = format!(
            "((element) => {{
                element.value = {};
                for (const type of ['input', 'change']) element.dispatchEvent(new Event(type, {{ bubbles: true }}));
            }})({})",
            json!(value),
            element(css)
        );
        self.eval::<Value>(&script).map(|_| ()).with_context(|| format!("could not set {css} to {value:?}"))
    }

    /// Picks a file in the first file input that a CSS selector finds.
    pub fn pick(&self, css: &str, file: &Path) -> Result<()> {
        self.wait_for_element(css)?;
        let input = self.evaluate(&element(css), false)?;
        let files = json!({ "files": [file.display().to_string()], "objectId": input["objectId"] });
        self.devtools("DOM.setFileInputFiles", files)
            .map(|_| ())
            .with_context(|| format!("could not pick {}", file.display()))
    }

    /// Waits for an element and scrolls it into the window; gives back its middle.
    fn show(&self, css: &str) -> Result<(f64, f64)> {
        self.wait_for_element(css)?;
        self.eval::<Value>(&format!("{SHOW}({})", element(css)))?;
        self.middle(css)
    }

    /// The middle of the first element that a CSS selector finds, in the window.
    fn middle(&self, css: &str) -> Result<(f64, f64)> {
        self.wait_for_element(css)?;
        self.eval(&format!("{MIDDLE}({})", element(css)))
    }

    /// One event of the mouse; `buttons` is 1 while the left one is down.
    fn mouse(&self, step: &str, (x, y): (f64, f64), buttons: u32) -> Result<()> {
        let button = if step == "mouseMoved" && buttons == 0 { "none" } else { "left" };
        let event = json!({
            "type": step, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
        });
        self.devtools("Input.dispatchMouseEvent", event).map(|_| ())
    }

    /// Drags `data` into the page to a point, and drops it there.
    fn drag_events(&self, (x, y): (f64, f64), data: &Value) -> Result<()> {
        for step in ["dragEnter", "dragOver", "drop"] {
            self.devtools("Input.dispatchDragEvent", json!({ "type": step, "x": x, "y": y, "data": data }))?;
        }
        Ok(())
    }
}
