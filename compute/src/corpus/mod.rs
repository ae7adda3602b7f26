//! The corpus as rows of tokens, and the vocabulary as text.

mod rows;
mod text;
mod token_array;
mod vocab;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use rows::{Rows, Rule};
pub use token_array::seq_len;
pub use vocab::{read_tokenizer, vocab};

/// Why a corpus or a tokenizer cannot be used.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A file cannot be read.
    #[error("could not read the corpus: {source} ({})", path.display())]
    Read {
        /// What the system said.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// A file's name says nothing about its format.
    #[error("could not tell the corpus's format: expected .txt, .jsonl, .jsonl.gz, .npy or .safetensors ({})", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A line of JSON Lines is wrong.
    #[error("line {line} of the corpus {reason} ({})", path.display())]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A token array is wrong.
    #[error("could not read the token array: {reason} ({})", path.display())]
    Array {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Text needs a tokenizer.
    #[error("could not read the tokenizer: {reason} ({})", path.display())]
    Tokenizer {
        /// What the tokenizer library said.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Not one row.
    #[error("the corpus is empty: {n_tokens} tokens do not fill one row of {seq_len}; try a smaller --seq-len ({})", path.display())]
    Empty {
        /// Tokens found.
        n_tokens: usize,
        /// Tokens in a row.
        seq_len: usize,
        /// The file.
        path: PathBuf,
    },
    /// A token is not in the model's vocabulary.
    #[error("token id {token_id} is not in the model's vocabulary of {d_vocab}: was the corpus tokenized for another model? ({})", path.display())]
    OutOfVocabulary {
        /// The id.
        token_id: i64,
        /// Tokens that the model has.
        d_vocab: usize,
        /// The file.
        path: PathBuf,
    },
}

/// What a corpus file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorpusKind {
    /// Text, one document a file.
    Text,
    /// JSON Lines, one document a line, in the field `text`; `gz` = compressed.
    JsonLines {
        /// Whether the file is gzipped.
        gz: bool,
    },
    /// Token ids, one row a row.
    Tokens,
}

impl CorpusKind {
    /// By the file's name.
    pub fn of(path: &Path) -> Result<Self, CorpusError> {
        let extension = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let inner = path.file_stem().and_then(|stem| extension(Path::new(stem)));
        match (inner.as_deref(), extension(path).as_deref()) {
            (_, Some("txt")) => Ok(Self::Text),
            (_, Some("jsonl")) => Ok(Self::JsonLines { gz: false }),
            (Some("jsonl"), Some("gz")) => Ok(Self::JsonLines { gz: true }),
            (_, Some("npy" | "safetensors")) => Ok(Self::Tokens),
            _ => Err(CorpusError::Format { path: path.to_owned() }),
        }
    }
}

/// Reads the corpus at `path` into rows.
///
/// - `tokenizer`: needed for text
/// - `d_vocab`: ids from there on are refused
pub fn read(
    path: &Path,
    tokenizer: Option<&tokenizers::Tokenizer>,
    rule: &Rule,
    d_vocab: usize,
) -> Result<Rows, CorpusError> {
    let kind = CorpusKind::of(path)?;
    let rows = if kind == CorpusKind::Tokens {
        token_array::read(path, rule)?
    } else {
        let reason = "text needs one: put tokenizer.json beside the model".to_owned();
        let tokenizer = tokenizer.ok_or(CorpusError::Tokenizer { reason, path: path.to_owned() })?;
        let documents = text::documents(path, kind)?;
        Rows::from_documents(&text::encode(tokenizer, documents, path)?, rule)
    };
    if rows.n_rows() == 0 {
        let (n_tokens, seq_len) = (rows.n_read(), rule.seq_len);
        return Err(CorpusError::Empty { n_tokens, seq_len, path: path.to_owned() });
    }
    if let Some(&id) = rows.token_ids().iter().find(|id| **id as usize >= d_vocab) {
        return Err(CorpusError::OutOfVocabulary { token_id: i64::from(id), d_vocab, path: path.to_owned() });
    }
    Ok(rows)
}
