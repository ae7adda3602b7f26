//! What was read of a corpus and what was not, for the reader and the manifest.

use serde::{Deserialize, Serialize};

use super::{CorpusError, end_of, record::Item};

/// Rows of one fate, with the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub n: u64,
    /// Where the first is and what is wrong with it.
    pub first: Option<String>,
}

/// What was read of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Rows that hold nothing that can be read, and were passed over.
    pub skipped: Count,
    /// Rows with characters that were replaced by U+FFFD.
    pub replaced: Count,
    /// Documents without any token, which were left out.
    pub empty: Count,
    /// How a sample was drawn, where not all was read.
    pub sample: Option<String>,
}

impl Count {
    fn add(&mut self, first: impl FnOnce() -> String) {
        if self.n == 0 {
            self.first = Some(first());
        }
        self.n += 1;
    }
}

/// What a row of a file is called.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// `line` or `row`.
    pub name: &'static str,
    /// Whether the first odd row is an error.
    pub strict: bool,
}

impl Reading {
    /// Counts what is odd about `item`, a row of the file called `file`; with `strict` that is an error. Of the file's path
    /// only the end is kept: the manifest has it.
    pub fn note(&mut self, item: &Item, unit: Unit, file: &str) -> Result<(), CorpusError> {
        let Unit { name, strict } = unit;
        let refused = |reason: &str, instead| CorpusError::Strict {
            unit: name,
            at: item.at,
            reason: reason.to_owned(),
            instead,
            path: file.into(),
        };
        if let Err(reason) = &item.record {
            if strict {
                return Err(refused(reason, "skipped"));
            }
            self.skipped.add(|| format!("{name} {} of {} {reason}", item.at, end_of(file.as_ref())));
        } else if item.replaced {
            if strict {
                return Err(refused(
                    "holds bytes or surrogates that are no characters",
                    "read with U+FFFD for them",
                ));
            }
            self.replaced.add(|| format!("{name} {} of {}", item.at, end_of(file.as_ref())));
        }
        Ok(())
    }

    /// Counts a document without tokens.
    pub fn note_empty(&mut self, at: u64, unit: Unit, file: &str) {
        self.empty.add(|| format!("{} {at} of {}", unit.name, end_of(file.as_ref())));
    }

    /// What a reader should know, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let rows = |n: u64| if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
        let of = |count: &Count, what: &str| {
            let first = count.first.as_deref().unwrap_or_default();
            (count.n > 0).then(|| format!("{} {what}, the first: {first}", rows(count.n)))
        };
        let mut sentences: Vec<String> = [
            of(&self.skipped, "skipped"),
            of(&self.replaced, "read with U+FFFD for what is no character"),
            of(&self.empty, "without any token left out"),
        ]
        .into_iter()
        .flatten()
        .collect();
        sentences.extend(self.sample.clone());
        sentences
    }
}
