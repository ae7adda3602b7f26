//! The corpus as rows of tokens, and the vocabulary as text.

mod files;
mod parquet;
mod rows;
mod text;
mod token_array;
mod vocab;

use std::path::{Path, PathBuf};

use thiserror::Error;

use tokenizers::Tokenizer;

pub use files::{Compression, CorpusKind, files, hold_tokens};
pub use rows::{Rows, RowsBuilder, Rule};
pub use token_array::{check_token_ids, seq_len};
pub use vocab::{read_tokenizer, special_tokens, vocab};

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
    #[error("could not tell the corpus's format: expected .txt or .jsonl (also .gz, .zst), .parquet, .npy or .safetensors ({})", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A folder or glob names nothing.
    #[error("could not find the corpus: {reason} ({})", path.display())]
    Glob {
        /// What is wrong with it.
        reason: String,
        /// The folder or glob.
        path: PathBuf,
    },
    /// Some files hold text, some token ids.
    #[error("the corpus mixes text and token ids: give one or the other ({})", path.display())]
    Mixed {
        /// The first file that differs from those before it.
        path: PathBuf,
    },
    /// A Parquet file is wrong.
    #[error("could not read the Parquet file: {reason} ({})", path.display())]
    Parquet {
        /// What is wrong with it.
        reason: String,
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
    /// More tokens than positions can be numbered.
    #[error("the corpus has more than 4,294,967,295 tokens, which is more than a bundle can number: use fewer rows with --sequences ({})", path.display())]
    TooLong {
        /// The file in which the limit was reached.
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

/// Reads the tokenizer beside the model, where there is one.
pub fn tokenizer_of(model: &Path) -> Result<Option<Tokenizer>, CorpusError> {
    let path = model.join("tokenizer.json");
    path.exists().then(|| read_tokenizer(&path)).transpose()
}

/// Reads the corpus that `data` names into rows.
///
/// - `text_column`: field of JSON Lines, column of Parquet
/// - `d_vocab`: ids from there on are refused
pub fn load(
    tokenizer: Option<&Tokenizer>,
    data: &Path,
    text_column: &str,
    rule: &Rule,
    d_vocab: usize,
) -> Result<Rows, CorpusError> {
    let files = files(data)?;
    let rows = if hold_tokens(&files, text_column)? {
        token_array::read(&files, text_column, rule)?
    } else {
        let reason = "text needs one: put tokenizer.json beside the model".to_owned();
        let tokenizer = tokenizer.ok_or_else(|| CorpusError::Tokenizer { reason, path: data.to_owned() })?;
        read_text(&files, text_column, tokenizer, rule)?
    };
    if rows.n_positions() > MAX_POSITIONS {
        return Err(CorpusError::TooLong { path: data.to_owned() });
    }
    if rows.n_rows() == 0 {
        let (n_tokens, seq_len) = (rows.n_read(), rule.seq_len);
        return Err(CorpusError::Empty { n_tokens, seq_len, path: data.to_owned() });
    }
    if let Some(&id) = rows.token_ids().iter().find(|id| **id as usize >= d_vocab) {
        return Err(CorpusError::OutOfVocabulary { token_id: id.into(), d_vocab, path: data.to_owned() });
    }
    Ok(rows)
}

/// Positions are numbered in 32 bits.
const MAX_POSITIONS: usize = u32::MAX as usize;
/// Documents tokenized at once, by all threads together.
const DOCUMENTS_PER_BATCH: usize = 256;

/// Reads, tokenizes and cuts, a batch of documents at a time, until the rule has its rows.
fn read_text(
    files: &[PathBuf],
    text_column: &str,
    tokenizer: &Tokenizer,
    rule: &Rule,
) -> Result<Rows, CorpusError> {
    let mut rows = RowsBuilder::new(rule);
    for path in files {
        rows.begin_file(&path.to_string_lossy());
        let mut documents = text::documents(path, text_column)?;
        loop {
            let batch: Vec<String> =
                documents.by_ref().take(DOCUMENTS_PER_BATCH).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let encoded = tokenizer
                .encode_batch_fast(batch, false)
                .map_err(|e| CorpusError::Tokenizer { reason: e.to_string(), path: path.clone() })?;
            for document in encoded {
                rows.push(document.get_ids());
            }
            if rows.n_positions() > MAX_POSITIONS {
                return Err(CorpusError::TooLong { path: path.clone() });
            }
            if rows.is_full() {
                return Ok(rows.finish());
            }
        }
    }
    Ok(rows.finish())
}
