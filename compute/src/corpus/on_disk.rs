//! Rows of tokens as a file: cut once, read by every process of a plan.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Reading, Rows};
use crate::sections::{Mark, SectionReader, SectionWriter};

/// What is said of rows besides their tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    seq_len: usize,
    n_read: usize,
    n_documents: u32,
    files: Vec<(String, u32)>,
    reading: Reading,
}

impl Rows {
    /// Writes them to the file at `path`.
    pub fn write(&self, path: &Path, mark: Mark) -> Result<()> {
        let mut file = SectionWriter::create(path)?;
        file.write_all("token_ids", &self.token_ids)?;
        file.write_all("documents", &self.documents)?;
        file.write_all("roles", &self.roles)?;
        let meta = Meta {
            seq_len: self.seq_len,
            n_read: self.n_read,
            n_documents: self.n_documents,
            files: self.files.clone(),
            reading: self.reading.clone(),
        };
        file.finish(mark, &meta)
    }

    /// The rows that were written to `path`, checked.
    pub fn open(path: &Path, mark: &Mark) -> Result<Self> {
        let file = SectionReader::open(path, mark)?;
        let Meta { seq_len, n_read, n_documents, files, reading } = file.meta()?;
        let (token_ids, documents, roles): (Vec<u32>, Vec<u32>, Vec<u8>) =
            (file.read("token_ids")?, file.read("documents")?, file.read("roles")?);
        let n_rows = token_ids.len() / seq_len.max(1);
        let fits = seq_len > 0
            && token_ids.len().is_multiple_of(seq_len)
            && [0, n_rows].contains(&documents.len())
            && [0, token_ids.len()].contains(&roles.len());
        ensure!(fits, "the rows contradict one another ({})", path.display());
        Ok(Self { seq_len, token_ids, n_read, documents, n_documents, files, roles, reading })
    }
}
