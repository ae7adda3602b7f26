//! Token text: what a token stands for, and how it is shown.
//!
//! A token is a string of bytes, which need not be whole characters. Shown text escapes what could not be seen
//! or would change its surroundings: control characters, zero-width and direction marks, bytes that are only
//! part of a character (`\xe2\x80`). In a sequence whose tokens make the whole character, that is shown instead of its
//! bytes: Chinese is to be read, not decoded. Markup is the page's business: text is never markup there.

use serde::Serialize;

use crate::{
    error::{Invalid, ensure},
    wire::wire,
};

/// The tokens of the model's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Vocab {
    /// End of each token's bytes in `bytes`, by token id.
    pub ends: Vec<u32>,
    /// Bytes of all tokens, one after another.
    pub bytes: Vec<u8>,
}

wire!(Vocab { ends, bytes });

/// A character that several tokens make together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedCharacter {
    /// Indices of the tokens in the sequence.
    pub tokens: std::ops::Range<usize>,
    /// The text that they make, escaped as in [`escape`].
    pub text: String,
}

impl Vocab {
    /// A vocabulary of `tokens`, by token id.
    pub fn of<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Self {
        let mut vocab = Self::default();
        for token in tokens {
            vocab.bytes.extend_from_slice(token.as_ref());
            vocab.ends.push(vocab.bytes.len() as u32);
        }
        vocab
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes that a token stands for; none for an unknown id.
    pub fn bytes_of(&self, token_id: u32) -> &[u8] {
        let i = token_id as usize;
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| *e as usize);
        let end = self.ends.get(i).map_or(start, |e| *e as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Text of a token as shown, see [`escape`]; an id that stands for no text is shown as `<id>`.
    pub fn text(&self, token_id: u32) -> String {
        let bytes = self.bytes_of(token_id);
        if bytes.is_empty() { format!("<{token_id}>") } else { escape(bytes) }
    }

    /// Texts of the tokens of a sequence, to be read one after another: a character that several of them make together
    /// stands at the first, and the others have no text of their own.
    pub fn texts(&self, token_ids: &[u32]) -> Vec<String> {
        let mut texts: Vec<String> = token_ids.iter().map(|&id| self.text(id)).collect();
        for JoinedCharacter { tokens, text } in self.joined_characters(token_ids) {
            let first = tokens.start;
            texts[tokens].iter_mut().for_each(String::clear);
            texts[first] = text;
        }
        texts
    }

    /// Characters in `token_ids` that are split over several tokens.
    pub fn joined_characters(&self, token_ids: &[u32]) -> Vec<JoinedCharacter> {
        let mut joined = Vec::new();
        let mut i = 0;
        while i < token_ids.len() {
            let first = self.bytes_of(token_ids[i]);
            if !ends_inside_character(first) {
                i += 1;
                continue;
            }
            let mut bytes = first.to_vec();
            let mut end = i + 1;
            // A character has at most four bytes, so at most three tokens can follow the one that begins it.
            while ends_inside_character(&bytes) && end < token_ids.len() && end < i + 4 {
                bytes.extend_from_slice(self.bytes_of(token_ids[end]));
                end += 1;
            }
            if std::str::from_utf8(&bytes).is_ok() {
                joined.push(JoinedCharacter { tokens: i..end, text: escape(&bytes) });
                i = end;
            } else {
                i += 1;
            }
        }
        joined
    }
}

/// Whether `bytes` break off in the middle of a character.
fn ends_inside_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

/// Text for `bytes`: characters as they are, except those that would not be seen, and bytes that are none.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                c if is_invisible(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
    text
}

/// Control, zero-width, direction and other characters that leave no mark. The space is visible by its width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Vocab {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let end = self.ends.last().map_or(0, |e| *e as usize);
        ensure(self.ends.is_sorted() && end == self.bytes.len(), || {
            format!("tokens end at byte {end} of {}", self.bytes.len())
        })
    }
}
