//! Reads bundles: nothing in them is trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use shared::{
    bundle::{Checked, decode},
    labels::Labels,
    layers::LABELS,
    manifest::Manifest,
    paths,
    vocab::Vocab,
};

/// A bundle's folder, opened.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its vocabulary.
    pub vocab: Vocab,
}

impl Bundle {
    /// Opens the bundle in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = read_manifest(folder)?;
        let mut bundle = Self { folder: folder.to_owned(), manifest, vocab: Vocab::default() };
        bundle.vocab = bundle.file(paths::VOCAB)?;
        Ok(bundle)
    }

    /// Its labels; none where it has no such file.
    pub fn labels(&self) -> Result<Labels> {
        if !self.manifest.has_layer(&LABELS) {
            return Ok(Labels::default());
        }
        self.file(&self.manifest.labels_path())
    }

    /// Reads and checks the file at `path` inside the bundle.
    pub fn file<T: Checked>(&self, path: &str) -> Result<T> {
        let full = self.folder.join(path);
        let bytes =
            fs::read(&full).with_context(|| format!("could not read the bundle ({})", full.display()))?;
        Ok(decode(&self.manifest, path, &bytes)?)
    }
}

/// Reads the manifest of the bundle in `folder`.
pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join("manifest.json");
    let json = fs::read(&path).with_context(|| format!("could not open the bundle ({})", path.display()))?;
    Ok(Manifest::from_json(&json)?)
}
