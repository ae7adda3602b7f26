//! The corpus as rows of tokens, and the vocabulary as text.
//!
//! Fifteen minutes to read: `source.rs` finds the files, `files.rs` reads the rows of one whatever its format, as
//! `record.rs` says what a row can be; `documents.rs` tokenizes them and `rows.rs` cuts them; `token_array.rs` reads
//! what is cut already.
//!
//! | format | files | a document is |
//! |---|---|---|
//! | text | `.txt` | the file |
//! | JSON | `.jsonl`, `.ndjson`, `.json` | a line, or a value of one array |
//! | Parquet | `.parquet` | a row |
//! | Arrow IPC | `.arrow` | a row |
//! | token arrays | `.npy`, `.pt`, `.safetensors` | unknown: rows are rows |
//!
//! Text and JSON may be gzipped or compressed by zstd. A column holds text, token ids or a conversation, which the
//! model's chat template makes text of.

mod chat;
#[cfg(feature = "parquet")]
mod columnar;
mod documents;
mod error;
mod files;
mod json;
mod kind;
mod lines;
mod on_disk;
mod open;
mod reading;
mod record;
mod rows;
mod sample;
mod source;
pub mod split;
mod text;
mod token_array;
mod tokenizer;
mod vocab;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use error::CorpusError;
pub use kind::{Compression, CorpusKind};
pub use reading::{Count, Reading};
pub use rows::{Rows, RowsBuilder, Rule};
pub use source::{CorpusFile, Fetch, Source, end_of, is_data};
pub use token_array::{Form, check_token_ids, form};
pub use tokenizer::Tokenizer;
pub use vocab::vocab;

/// Positions are numbered in 32 bits.
const MAX_POSITIONS: usize = u32::MAX as usize;
/// The longest document by default, in bytes.
pub const MAX_DOCUMENT: u64 = 64 << 20;

/// How a corpus is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// The column that is read, where the reader names one.
    pub column: Option<String>,
    /// Whether a row that cannot be read as it is is an error.
    pub strict: bool,
    /// The longest line of JSON, in bytes.
    pub max_document: u64,
    /// Folder of the tokenizer, beside which the chat template is.
    pub model: PathBuf,
    /// Another chat template.
    pub chat_template: Option<PathBuf>,
    /// Whether to say nothing while it takes long.
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (column, model, chat_template) = (None, PathBuf::new(), None);
        Self { column, strict: false, max_document: MAX_DOCUMENT, model, chat_template, quiet: true }
    }
}

/// Reads a corpus into rows.
///
/// - `form`: as [`form`] says
/// - `d_vocab`: ids from there on are refused
pub fn load(
    tokenizer: Option<&Tokenizer>,
    source: &Source,
    options: &Options,
    (rule, form): (&Rule, Form),
    d_vocab: usize,
) -> Result<Rows, CorpusError> {
    let of_rows = match form {
        Form::Rows(_) => token_array::read(source, options, rule, d_vocab)?,
        Form::Documents => None,
    };
    let rows = match of_rows {
        Some(rows) => rows,
        None => documents::read(source, tokenizer, options, rule, d_vocab)?,
    };
    if rows.n_rows() == 0 {
        let (n_tokens, seq_len) = (rows.n_read(), rule.seq_len);
        let odd = rows.reading().sentences().into_iter().next();
        let hint = odd.unwrap_or_else(|| "try a smaller --seq-len".to_owned());
        return Err(CorpusError::Empty { n_tokens, seq_len, hint, path: source.given.clone() });
    }
    Ok(rows)
}
