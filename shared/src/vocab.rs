//! Token text: what a token stands for, and how it is shown.
//!
//! A token is a string of bytes, which need not be whole characters. Shown text escapes what could not be seen
//! or would change its surroundings: control characters, zero-width and direction marks, bytes that are only
//! part of a character (`\xe2\x80`). In a sequence whose tokens make the whole character, that is shown instead of its
//! bytes: Chinese is to be read, not decoded. Markup is the page's business: text is never markup there.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    error::{Invalid, ensure},
    text::{is_between, joiners},
    wire::wire,
};

pub use crate::text::{escape, is_invisible};

/// The tokens of the model's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocab {
    /// End of each token's bytes in `bytes`, by token id.
    pub ends: Vec<u32>,
    /// Bytes of all tokens, one after another.
    pub bytes: Vec<u8>,
}

wire!(Vocab { ends, bytes });

/// A token in JSON: its text, or its bytes where they are no text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TokenBytes<'a> {
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl Serialize for Vocab {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.len()).map(|id| {
            let bytes = self.bytes_of(id as u32);
            std::str::from_utf8(bytes)
                .map_or(TokenBytes::Bytes(bytes.into()), |text| TokenBytes::Text(text.into()))
        }))
    }
}

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tokens = Vec::<TokenBytes<'_>>::deserialize(deserializer)?;
        Ok(Self::of(tokens.iter().map(|token| match token {
            TokenBytes::Text(text) => text.as_bytes(),
            TokenBytes::Bytes(bytes) => bytes,
        })))
    }
}

/// A character, or a word or emoji with a joiner in it, that several tokens make together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedCharacter {
    /// Indices of the tokens in the sequence.
    pub tokens: Range<usize>,
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

    /// What is read as one and split over several tokens of `token_ids`: characters, and words or emoji that a joiner
    /// holds together.
    pub fn joined_characters(&self, token_ids: &[u32]) -> Vec<JoinedCharacter> {
        let units = self.characters(token_ids);
        let mut chars = Vec::new();
        let mut of_unit = Vec::new();
        for (i, (_, bytes)) in units.iter().enumerate() {
            // What is no text joins nothing.
            let text = std::str::from_utf8(bytes).unwrap_or("\u{0}");
            chars.extend(text.chars());
            of_unit.resize(chars.len(), i);
        }
        let mut first = (0..units.len()).collect::<Vec<usize>>();
        for (at, _) in joiners(&chars).into_iter().enumerate().filter(|(_, stands)| *stands) {
            let last = if is_between(chars[at]) { at + 1 } else { at };
            for unit in of_unit[at - 1] + 1..=of_unit[last] {
                first[unit] = first[unit - 1];
            }
        }
        let mut joined: Vec<(Range<usize>, Vec<u8>)> = Vec::with_capacity(units.len());
        for (unit, (tokens, bytes)) in units.into_iter().enumerate() {
            match joined.last_mut() {
                Some((whole, text)) if first[unit] != unit => {
                    whole.end = tokens.end;
                    text.extend(bytes);
                }
                _ => joined.push((tokens, bytes)),
            }
        }
        let several = joined.into_iter().filter(|(tokens, _)| tokens.len() > 1);
        several.map(|(tokens, bytes)| JoinedCharacter { tokens, text: escape(&bytes) }).collect()
    }

    /// The tokens, those together that make one character, with their bytes.
    fn characters(&self, token_ids: &[u32]) -> Vec<(Range<usize>, Vec<u8>)> {
        let mut units = Vec::with_capacity(token_ids.len());
        let mut i = 0;
        while i < token_ids.len() {
            let mut bytes = self.bytes_of(token_ids[i]).to_vec();
            let mut end = i + 1;
            // A character has at most four bytes, so at most three tokens can follow the one that begins it.
            while ends_inside_character(&bytes) && end < token_ids.len() && end < i + 4 {
                bytes.extend_from_slice(self.bytes_of(token_ids[end]));
                end += 1;
            }
            if end > i + 1 && std::str::from_utf8(&bytes).is_err() {
                end = i + 1;
                bytes.truncate(self.bytes_of(token_ids[i]).len());
            }
            units.push((i..end, bytes));
            i = end;
        }
        units
    }
}

/// Whether `bytes` break off in the middle of a character.
fn ends_inside_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

impl Vocab {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let end = self.ends.last().map_or(0, |e| *e as usize);
        ensure(self.ends.is_sorted() && end == self.bytes.len(), || {
            format!("tokens end at byte {end} of {}", self.bytes.len())
        })
    }
}
