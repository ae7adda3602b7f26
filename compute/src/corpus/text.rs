//! Text files and JSON Lines.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::{CorpusError, CorpusKind};

/// The documents of the file at `path`.
pub fn documents(path: &Path, kind: CorpusKind) -> Result<Vec<String>, CorpusError> {
    let read = |source| CorpusError::Read { source, path: path.to_owned() };
    let file = File::open(path).map_err(read)?;
    match kind {
        CorpusKind::Text | CorpusKind::Tokens => {
            let mut text = String::new();
            BufReader::new(file).read_to_string(&mut text).map_err(read)?;
            Ok(vec![text])
        }
        CorpusKind::JsonLines { gz: false } => json_lines(BufReader::new(file), path),
        CorpusKind::JsonLines { gz: true } => json_lines(BufReader::new(MultiGzDecoder::new(file)), path),
    }
}

fn json_lines(reader: impl BufRead, path: &Path) -> Result<Vec<String>, CorpusError> {
    #[derive(Deserialize)]
    struct Document {
        text: String,
    }
    let mut documents = Vec::new();
    for (i, line) in reader.lines().enumerate() {
        let line = line.map_err(|source| CorpusError::Read { source, path: path.to_owned() })?;
        if line.trim().is_empty() {
            continue;
        }
        let document: Document = serde_json::from_str(&line).map_err(|e| CorpusError::Line {
            line: i + 1,
            reason: format!("is not an object with a string \"text\": {e}"),
            path: path.to_owned(),
        })?;
        documents.push(document.text);
    }
    Ok(documents)
}

/// Documents tokenized at once, by all threads together.
const DOCUMENTS_PER_BATCH: usize = 256;

/// Token ids of each document, without special tokens.
pub fn encode(
    tokenizer: &tokenizers::Tokenizer,
    documents: Vec<String>,
    path: &Path,
) -> Result<Vec<Vec<u32>>, CorpusError> {
    let mut encoded = Vec::with_capacity(documents.len());
    let mut documents = documents.into_iter().peekable();
    while documents.peek().is_some() {
        let batch: Vec<String> = documents.by_ref().take(DOCUMENTS_PER_BATCH).collect();
        let found = tokenizer.encode_batch_fast(batch, false).map_err(|e| CorpusError::Tokenizer {
            reason: e.to_string(),
            path: path.to_owned(),
        })?;
        encoded.extend(found.into_iter().map(|e| e.get_ids().to_vec()));
    }
    Ok(encoded)
}
