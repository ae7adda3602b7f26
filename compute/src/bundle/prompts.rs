//! Puts prompts into a bundle that is there: a new one takes its place whose other files are the same.

use std::path::Path;

use anyhow::{Result, ensure};
use shared::{
    manifest::{FileInfo, MAJOR, MINOR, SchemaVersion},
    paths,
    prompt::Prompt,
};

use super::{Bundle, BundleWriter};

/// Adds `prompts` after those that the bundle in `folder` has.
pub fn add_prompts(folder: &Path, prompts: Vec<Prompt>) -> Result<()> {
    let mut writer = BundleWriter::new(folder)?;
    let bundle = Bundle::open(folder)?;
    let mut manifest = bundle.manifest.clone();
    let SchemaVersion { major, minor } = manifest.schema;
    ensure!(
        (major, minor) == (MAJOR, MINOR),
        "prompts are added to bundles of schema {MAJOR}.{MINOR} only, this one has {major}.{minor}: run `compute` again ({})",
        folder.display()
    );
    let old = (0..manifest.n_prompts as usize).map(|i| bundle.file(&paths::prompt(i)));
    let mut all: Vec<Prompt> = old.collect::<Result<_>>()?;
    let is_old = |path: &str| path == paths::PROMPTS || (0..all.len()).any(|i| path == paths::prompt(i));
    // In the order in which a run with all of them writes them.
    let (shared, own): (Vec<_>, Vec<_>) = manifest.files.iter().partition(|file| file.shared);
    let first = own.iter().position(|file| is_old(&file.path)).unwrap_or(own.len());
    let others: Vec<&FileInfo> = own.into_iter().filter(|file| !is_old(&file.path)).collect();
    let (before, after) = others.split_at(first.min(others.len()));
    writer.list(shared);
    before.iter().try_for_each(|info| writer.keep(&bundle, info))?;
    all.extend(prompts);
    writer.prompts(&all)?;
    after.iter().try_for_each(|info| writer.keep(&bundle, info))?;
    manifest.n_prompts = all.len() as u32;
    manifest.files = writer.files().to_vec();
    writer.finish(&manifest)
}
