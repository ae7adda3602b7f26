//! Files of a bundle, or of what several bundles of a site share, encoded and written into a folder.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use shared::{
    bundle::encode,
    corpus::CorpusChunk,
    layers::{LayerInfo, ROLES},
    manifest::FileInfo,
    paths,
    roles::ChunkRoles,
    vocab::Vocab,
    wire::Wire,
};

use super::blocks::EncodedFile;
use crate::output::{make_folders, parent};

/// Tokens in a chunk of the corpus: about 100 KB compressed.
const CHUNK_TOKENS: usize = 1 << 16;

/// Rows in every chunk of a corpus but the last.
pub fn rows_per_chunk(seq_len: usize) -> usize {
    (CHUNK_TOKENS / seq_len).max(1)
}

/// Files in the making, in a folder that is new.
#[derive(Debug)]
pub struct FileWriter {
    folder: PathBuf,
    /// Layers written so far.
    pub(super) layers: Vec<LayerInfo>,
    /// Files written so far.
    pub(super) files: Vec<FileInfo>,
}

impl FileWriter {
    /// Begins in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, layers: Vec::new(), files: Vec::new() }
    }

    /// Writes the vocabulary.
    pub fn vocab(&mut self, vocab: &Vocab) -> Result<()> {
        self.add(paths::VOCAB, vocab)
    }

    /// Writes the corpus in chunks.
    ///
    /// - `token_ids`: of all rows, `[row, pos]`
    /// - `documents`: the document in which each row begins; empty for token arrays
    pub fn corpus(&mut self, token_ids: &[u32], seq_len: usize, documents: &[u32]) -> Result<()> {
        let n_rows = rows_per_chunk(seq_len);
        for (i, token_ids) in token_ids.chunks(n_rows * seq_len).enumerate() {
            let first_row = i * n_rows;
            let end = (first_row + n_rows).min(documents.len());
            let chunk = CorpusChunk {
                first_row: first_row as u32,
                seq_len: seq_len as u32,
                token_ids: token_ids.to_vec(),
                documents: documents.get(first_row..end).unwrap_or_default().to_vec(),
            };
            self.chunk(i, &chunk)?;
        }
        Ok(())
    }

    /// Writes chunk `i` of the corpus.
    pub fn chunk(&mut self, i: usize, chunk: &CorpusChunk) -> Result<()> {
        self.add(&paths::chunk(i), chunk)
    }

    /// Writes the role of each token of the corpus, in the corpus' chunks.
    pub fn roles(&mut self, roles: &[u8], seq_len: usize) -> Result<()> {
        let n_rows = rows_per_chunk(seq_len);
        for (i, roles) in roles.chunks(n_rows * seq_len).enumerate() {
            let (first_row, seq_len) = ((i * n_rows) as u32, seq_len as u32);
            let chunk = ChunkRoles { first_row, seq_len, roles: roles.to_vec() };
            self.role_chunk(i, &chunk)?;
        }
        Ok(())
    }

    /// Writes the roles of chunk `i` of the corpus.
    pub fn role_chunk(&mut self, i: usize, chunk: &ChunkRoles) -> Result<()> {
        if i == 0 {
            self.layers.push(ROLES.info());
        }
        self.add(&ROLES.path_of(i), chunk)
    }

    pub(super) fn add<T: Wire>(&mut self, path: &str, value: &T) -> Result<()> {
        let encoded = encode(value, path.to_owned())?;
        self.add_encoded(encoded)
    }

    pub(super) fn add_encoded(&mut self, (info, bytes): EncodedFile) -> Result<()> {
        self.write(&info.path, &bytes)?;
        self.files.push(info);
        Ok(())
    }

    /// Writes a file that is not listed.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(path);
        let write = || {
            make_folders(parent(&path))?;
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().with_context(|| format!("could not write the bundle ({})", path.display()))
    }

    /// Where the file at `path` of the bundle is written.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }
}
