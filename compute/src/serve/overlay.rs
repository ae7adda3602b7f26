//! A bundle with prompts that are in memory alone.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use shared::{
    bundle::encode,
    manifest::{FileInfo, MAJOR, MINOR, Manifest, SchemaVersion},
    paths,
    prompt::{Prompt, PromptIndex},
};

use crate::bundle::Bundle;

/// Prompts in memory, at most: each takes some 100 KB.
const MAX_PROMPTS: usize = 1000;

/// A bundle, and over it the files of prompts that were added.
#[derive(Debug)]
pub struct Overlay {
    bundle: Bundle,
    manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
    texts: Vec<String>,
}

impl Overlay {
    /// `bundle` as it is.
    pub fn new(bundle: Bundle) -> Result<Self> {
        let manifest = bundle.manifest.clone();
        let texts = bundle.prompt_texts()?;
        let files = [(paths::MANIFEST.to_owned(), manifest.to_json()?)].into();
        Ok(Self { bundle, manifest, files, texts })
    }

    /// Fails where prompts cannot be added to the bundle.
    pub fn check_schema(&self) -> Result<()> {
        let SchemaVersion { major, minor } = self.manifest.schema;
        ensure!(
            (major, minor) == (MAJOR, MINOR),
            "prompts are added to bundles of schema {MAJOR}.{MINOR} only, this one has {major}.{minor}: run `compute` again"
        );
        Ok(())
    }

    /// The number of the prompt with this text, if it is there.
    pub fn number_of(&self, text: &str) -> Option<usize> {
        self.texts.iter().position(|own| own == text)
    }

    /// Adds a prompt and returns its number.
    pub fn add(&mut self, prompt: &Prompt) -> Result<usize> {
        let number = self.texts.len();
        let n_added = number - self.bundle.manifest.n_prompts as usize;
        ensure!(
            n_added < MAX_PROMPTS,
            "{MAX_PROMPTS} prompts are in memory, which is all that is kept: start anew"
        );
        self.texts.push(prompt.text.clone());
        self.put(encode(prompt, paths::prompt(number))?);
        self.put(encode(&PromptIndex { texts: self.texts.clone() }, paths::PROMPTS.to_owned())?);
        self.manifest.n_prompts = self.texts.len() as u32;
        self.files.insert(paths::MANIFEST.to_owned(), self.manifest.to_json()?);
        Ok(number)
    }

    fn put(&mut self, (info, bytes): (FileInfo, Vec<u8>)) {
        self.files.insert(info.path.clone(), bytes);
        self.manifest.files.retain(|file| file.path != info.path);
        self.manifest.files.push(info);
    }

    /// The bytes of the file at `path`.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.files.get(path).map_or_else(|| self.bundle.bytes(path), |bytes| Ok(bytes.clone()))
    }
}
