//! `compute inspect`: what a bundle holds, tokens as text, for people (lines) and programs (JSON).
//!
//! Both forms come from one value, built in `view.rs` with every index resolved: the JSON prints it, the lines
//! summarise it.

mod lines;
mod view;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use shared::{
    bundle::{Checked, decode},
    feature::FeatureBlock,
    labels::Labels,
    manifest::Manifest,
    prompt::Prompt,
    vocab::Vocab,
};

use crate::args::InspectArgs;

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
        bundle.vocab = bundle.file(&bundle.manifest.encoding.vocab_path())?;
        Ok(bundle)
    }

    /// Its labels; none where it has no such file.
    pub fn labels(&self) -> Result<Labels> {
        if !self.manifest.has_labels() {
            return Ok(Labels::default());
        }
        self.file(&self.manifest.encoding.labels_path())
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

/// Prints a bundle, one of its features, or one of its prompts.
pub fn inspect(args: &InspectArgs) -> Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let encoding = bundle.manifest.encoding;
    let mut out = std::io::stdout().lock();
    let printed = if let Some(feature) = args.feature {
        let block: FeatureBlock = bundle.file(&encoding.block_path(bundle.manifest.block_of(feature)?))?;
        let found = block.features.iter().find(|f| f.feature == feature);
        let found = found.with_context(|| format!("bundle has no feature {feature}"))?;
        let labels = bundle.labels()?;
        let view = view::feature(found, &bundle.vocab, labels.of(feature));
        if args.json { json(&view)? } else { lines::feature(&view, &labels) }
    } else if let Some(number) = args.prompt {
        let n = bundle.manifest.n_prompts;
        ensure!(number < n, "bundle has no prompt {number}: it has {n}, numbered from 0");
        let prompt: Prompt = bundle.file(&encoding.prompt_path(number as usize))?;
        let view = view::prompt(&prompt, &bundle.vocab);
        if args.json { json(&view)? } else { lines::prompt(&view) }
    } else if args.json {
        json(&bundle.manifest)?
    } else {
        lines::manifest(&bundle.manifest, bundle.labels()?.features.len())
    };
    match out.write_all(printed.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough, such as `head`, is no failure.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
