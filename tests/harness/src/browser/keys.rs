//! Keys as a keyboard sends them.

use serde_json::{Value, json};

/// The Enter key, for [`Browser::type_keys`](super::Browser::type_keys).
pub const ENTER: char = '\u{e007}';
/// The Tab key.
pub const TAB: char = '\u{e004}';
/// The Escape key.
pub const ESCAPE: char = '\u{e00c}';
/// The left arrow.
pub const LEFT: char = '\u{e012}';
/// The up arrow.
pub const UP: char = '\u{e013}';
/// The right arrow.
pub const RIGHT: char = '\u{e014}';
/// The down arrow.
pub const DOWN: char = '\u{e015}';

/// Before a key: it is pressed while Alt is.
pub const ALT: char = '\u{e00a}';

/// The bit of a pressed Alt key among the protocol's modifiers.
pub(super) const ALT_PRESSED: u32 = 1;
/// The bit of a pressed shift key among the protocol's modifiers.
const SHIFT: u32 = 8;

/// A key's event without its type. Keys that write nothing have WebDriver's code points (W3C WebDriver, section 17.4.2).
pub(super) fn event(key: char) -> Value {
    let (name, code, text) = match key {
        ENTER => ("Enter", 13, "\r"),
        TAB => ("Tab", 9, ""),
        ESCAPE => ("Escape", 27, ""),
        LEFT => ("ArrowLeft", 37, ""),
        UP => ("ArrowUp", 38, ""),
        RIGHT => ("ArrowRight", 39, ""),
        DOWN => ("ArrowDown", 40, ""),
        _ => {
            let shift = key.is_ascii_uppercase() || "~!@#$%^&*()_+{}|:\"<>?".contains(key);
            // A letter's and a digit's code is that of its upper case; others have none that pages look at.
            let code = if key.is_ascii_alphanumeric() { u32::from(key.to_ascii_uppercase()) } else { 0 };
            let modifiers = if shift { SHIFT } else { 0 };
            return json!({ "key": key, "text": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        }
    };
    let mut event = json!({ "key": name, "code": name, "windowsVirtualKeyCode": code });
    if !text.is_empty() {
        event["text"] = text.into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_writes_itself_and_escape_writes_nothing() {
        assert_eq!(event('j')["text"], "j");
        assert_eq!(event('?')["modifiers"], SHIFT);
        assert_eq!((&event(ESCAPE)["key"], event(ESCAPE).get("text")), (&"Escape".into(), None));
    }
}
