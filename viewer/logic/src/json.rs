//! Text as JSON, written by hand: a serializer for a few strings would weigh more than they do.

use std::fmt::Write as _;

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            c if c < ' ' => {
                let written = write!(json, "\\u{:04x}", u32::from(c));
                debug_assert!(written.is_ok(), "a string takes any text");
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// `bytes` as a JSON string: as text where they are text, and bytes that are not as `\xe2`.
pub fn quoted_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => quoted(&shared::vocab::escape(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back(text in ".{0,40}") {
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        }
    }

    #[test]
    fn control_characters_are_read_back_and_bytes_that_are_no_text_are_shown() {
        let text: String = (0..0x20u8).map(char::from).collect();
        assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        assert_eq!(quoted_bytes(b"\xe2\x80"), "\"\\\\xe2\\\\x80\"");
    }
}
