//! Why a corpus or a tokenizer cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use crate::interrupt::Interrupted;

/// Why a corpus or a tokenizer cannot be used.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// The program was asked to end.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file cannot be read.
    #[error("could not read the corpus: {cause} ({})", path.display())]
    Read {
        /// What the system said.
        cause: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// A pipe, a device or a socket.
    #[error("could not read the corpus: not a regular file; write it to a file first ({})", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// A file's name says nothing about its format.
    #[error("could not tell the corpus's format: expected .txt, .jsonl, .ndjson or .json (also .gz, .zst), .parquet, .arrow, .npy, .pt or .safetensors ({})", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A folder or glob names nothing.
    #[error("could not find the corpus: {reason} ({})", path.display())]
    Nothing {
        /// What is wrong with it.
        reason: String,
        /// The folder or glob.
        path: PathBuf,
    },
    /// Some files hold text, some rows of token ids.
    #[error("the corpus mixes text and token arrays: give one or the other ({})", path.display())]
    Mixed {
        /// The first file that differs from those before it.
        path: PathBuf,
    },
    /// A file is not what its name says, or damaged.
    #[error("could not read the {format} file: {reason} ({})", path.display())]
    File {
        /// Its format.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// No column holds what can be read.
    #[error("could not read the corpus: {reason} ({})", path.display())]
    Column {
        /// What is wrong, with the columns that there are.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A document, a line of JSON say, is longer than the limit.
    #[error("{unit} {at} of the corpus is longer than {limit} bytes: raise --max-document if it is meant ({})", path.display())]
    TooLongADocument {
        /// `line`, `row` or `document`.
        unit: &'static str,
        /// Which, from 1.
        at: u64,
        /// The limit, in bytes.
        limit: u64,
        /// The file.
        path: PathBuf,
    },
    /// With `--strict`: a row cannot be read as it is.
    #[error("{unit} {at} of the corpus {reason}: without --strict it is {instead} ({})", path.display())]
    Strict {
        /// `line`, `row` or `document`.
        unit: &'static str,
        /// Which, from 1.
        at: u64,
        /// What is wrong with it.
        reason: String,
        /// What happens to such a row otherwise.
        instead: &'static str,
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
    /// The tokenizer cannot be read, or fails on text.
    #[error("could not read the tokenizer: {reason} ({})", path.display())]
    Tokenizer {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Text without a tokenizer.
    #[error("text needs a tokenizer: put tokenizer.json beside the model, or name one with --tokenizer ({})", path.display())]
    NoTokenizer {
        /// The corpus.
        path: PathBuf,
    },
    /// A chat template is missing or wrong.
    #[error("could not use the chat template: {reason} ({})", path.display())]
    Template {
        /// What is wrong with it.
        reason: String,
        /// The template's file, or the corpus.
        path: PathBuf,
    },
    /// Not one row.
    #[error("the corpus is empty: {n_tokens} tokens do not fill one row of {seq_len}; {hint} ({})", path.display())]
    Empty {
        /// Tokens found.
        n_tokens: usize,
        /// Tokens in a row.
        seq_len: usize,
        /// What to do, or why nothing was found.
        hint: String,
        /// The file.
        path: PathBuf,
    },
    /// More tokens than positions can be numbered.
    #[error("the corpus has more than 4,294,967,295 tokens, which is more than a bundle can number: use fewer rows with --sequences ({})", path.display())]
    TooManyTokens {
        /// The file in which the limit was reached.
        path: PathBuf,
    },
    /// A token is not in the model's vocabulary.
    #[error("token id {token_id} is not in the model's vocabulary of {d_vocab}: was the corpus tokenized for another model? ({})", path.display())]
    OutOfVocabulary {
        /// The id.
        token_id: u32,
        /// Tokens that the model has.
        d_vocab: usize,
        /// The file.
        path: PathBuf,
    },
    /// A file of a data set on the hub could not be fetched.
    #[error("could not fetch the corpus: {reason}")]
    Fetch {
        /// What went wrong, with the file's name.
        reason: String,
    },
}
