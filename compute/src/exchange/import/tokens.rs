//! The vocabulary of files that have tokens as text.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use shared::vocab::Vocab;

/// Ids that are taken for a model's own are smaller.
const MAX_ID: u32 = 1 << 22;

/// Token texts by id; a text that has no id of its own is given the next free one.
#[derive(Debug, Default)]
pub struct TokenTable {
    texts: Vec<Option<String>>,
    ids: HashMap<String, u32>,
}

impl TokenTable {
    /// Takes the text of a token whose id is known.
    pub fn put(&mut self, id: u32, text: &str) -> Result<()> {
        ensure!(id < MAX_ID, "a token has the id {id}, expected less than {MAX_ID}");
        let at = id as usize;
        if at >= self.texts.len() {
            self.texts.resize(at + 1, None);
        }
        if self.texts[at].is_none() {
            self.texts[at] = Some(text.to_owned());
            self.ids.entry(text.to_owned()).or_insert(id);
        }
        Ok(())
    }

    /// Makes room for a token whose text is not known.
    pub fn reserve(&mut self, id: u32) -> Result<()> {
        ensure!(id < MAX_ID, "a token has the id {id}, expected less than {MAX_ID}");
        if id as usize >= self.texts.len() {
            self.texts.resize(id as usize + 1, None);
        }
        Ok(())
    }

    /// The id of the token that reads `text`.
    pub fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        self.texts.push(Some(text.to_owned()));
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// The text of a token; none where it is not known.
    pub fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The vocabulary; a token without a text is shown by its id.
    pub fn vocab(&self) -> Vocab {
        Vocab::of(self.texts.iter().map(|text| text.as_deref().unwrap_or_default()))
    }
}
