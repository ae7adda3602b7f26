//! Files that are put into a repository.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// First bytes of a file by which the hub decides how to keep it.
const SAMPLE_BYTES: u64 = 512;

/// A file to put into a repository.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its path there.
    pub path: String,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file on the disk.
    File(PathBuf),
    /// Text that was made for it.
    Text(String),
}

/// What was, or would be, changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Files that were sent, with their lengths in bytes.
    pub sent: Vec<(String, u64)>,
    /// Files that were there already.
    pub n_same: usize,
    /// Files that were removed.
    pub removed: Vec<String>,
}

impl Content {
    /// All of it.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => fs::read(path).with_context(|| reading(path)),
            Self::Text(text) => Ok(text.clone().into_bytes()),
        }
    }

    /// Its first bytes, and how many there are.
    pub(super) fn sample(&self) -> Result<(Vec<u8>, u64)> {
        match self {
            Self::File(path) => {
                let file = File::open(path).with_context(|| reading(path))?;
                let bytes = file.metadata().with_context(|| reading(path))?.len();
                let mut sample = Vec::new();
                file.take(SAMPLE_BYTES).read_to_end(&mut sample).with_context(|| reading(path))?;
                Ok((sample, bytes))
            }
            Self::Text(text) => {
                let n = text.len().min(SAMPLE_BYTES as usize);
                Ok((text.as_bytes()[..n].to_vec(), text.len() as u64))
            }
        }
    }
}

/// What failed where a file cannot be read.
pub(super) fn reading(path: &Path) -> String {
    format!("could not read ({})", path.display())
}
