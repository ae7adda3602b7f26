//! Encodes what a run computed, and writes it as the files of a bundle.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use shared::{
    explanations::Explanations,
    feature::Feature,
    labels::Labels,
    layers::{EXPLANATIONS, LABELS, LayerInfo, NEIGHBOURS, ROLE_STATS},
    manifest::{BlockInfo, FileInfo, Manifest},
    neighbours::Neighbours,
    paths,
    prompt::{Prompt, PromptIndex},
    roles::RoleStats,
    shared_folder::SharedFolder,
};

use super::{Bundle, FileWriter, OutputFolder, blocks::Blocks, shared_files::SharedFiles};
use crate::output::{make_folders, parent};

/// A bundle in the making. Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    folder: OutputFolder,
    blocks: Blocks,
    files: FileWriter,
    shared: Option<SharedFolder>,
}

impl BundleWriter {
    /// Begins a bundle that will be at `out`, which no other process may write meanwhile.
    pub fn new(out: &Path) -> Result<Self> {
        let folder = OutputFolder::claim(out)?;
        let files = FileWriter::new(folder.folder());
        Ok(Self { folder, blocks: Blocks::default(), files, shared: None })
    }

    /// Writes what the bundle has of its text: vocabulary, corpus, roles.
    pub fn text(&mut self) -> &mut FileWriter {
        &mut self.files
    }

    /// Takes features, which follow those taken before, and writes the blocks that they fill.
    pub fn features(&mut self, features: Vec<Feature>) -> Result<()> {
        let full = self.blocks.push(features)?;
        full.into_iter().try_for_each(|file| self.files.add_encoded(file))
    }

    /// Writes the last block of features and their index.
    pub fn end_of_features(&mut self) -> Result<()> {
        let last = self.blocks.last()?;
        last.into_iter().try_for_each(|file| self.files.add_encoded(file))?;
        let index = self.blocks.index()?;
        self.files.add_encoded(index)
    }

    /// Writes the prompts and their list.
    pub fn prompts(&mut self, prompts: &[Prompt]) -> Result<()> {
        let texts = prompts.iter().map(|p| p.text.clone()).collect();
        self.files.add(paths::PROMPTS, &PromptIndex { texts })?;
        let mut numbered = prompts.iter().enumerate();
        numbered.try_for_each(|(i, prompt)| self.files.add(&paths::prompt(i), prompt))
    }

    /// Takes a file of another bundle as it is, without copying it where the file system can.
    pub fn keep(&mut self, bundle: &Bundle, info: &FileInfo) -> Result<()> {
        let (from, to) = (bundle.path_of(info)?, self.files.path(&info.path));
        let n_bytes = fs::metadata(&from)?.len();
        ensure!(
            n_bytes == info.bytes,
            "a file of the bundle has {n_bytes} bytes, expected {} ({})",
            info.bytes,
            info.path
        );
        let link = || {
            make_folders(parent(&to))?;
            fs::hard_link(&from, &to).or_else(|_| {
                fs::copy(&from, &to)?;
                File::open(&to)?.sync_all()
            })
        };
        link().with_context(|| format!("could not write the bundle ({})", to.display()))?;
        self.files.files.push(FileInfo { shared: false, ..info.clone() });
        Ok(())
    }

    /// Lists files of the site's shared folder.
    pub fn share(&mut self, files: &SharedFiles) {
        self.shared = Some(files.folder.clone());
        self.files.layers.extend(files.layers.iter().cloned());
        self.list(&files.files);
    }

    /// Lists files that another command put into the site's shared folder.
    pub(super) fn list<'a>(&mut self, files: impl IntoIterator<Item = &'a FileInfo>) {
        self.files.files.extend(files.into_iter().cloned());
    }

    /// Writes the neighbours of the features of block `i`.
    pub fn neighbours(&mut self, i: usize, neighbours: &Neighbours) -> Result<()> {
        if i == 0 {
            self.files.layers.push(NEIGHBOURS.info());
        }
        self.files.add(&NEIGHBOURS.path_of(i), neighbours)
    }

    /// Writes the labels of features.
    pub fn labels(&mut self, labels: &Labels) -> Result<()> {
        self.files.layers.push(LABELS.info());
        self.files.add(&LABELS.path(), labels)
    }

    /// Writes what people and programs say that features mean.
    pub fn explanations(&mut self, explanations: &Explanations) -> Result<()> {
        self.files.layers.push(EXPLANATIONS.info());
        self.files.add(&EXPLANATIONS.path(), explanations)
    }

    /// Writes how features fare by role.
    pub fn role_stats(&mut self, stats: &RoleStats) -> Result<()> {
        self.files.layers.push(ROLE_STATS.info());
        self.files.add(&ROLE_STATS.path(), stats)
    }

    /// First and last feature of every block.
    pub fn blocks(&self) -> &[BlockInfo] {
        &self.blocks.infos
    }

    /// Features that are never active.
    pub fn n_dead(&self) -> u32 {
        self.blocks.n_dead
    }

    /// Layers written so far.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.files.layers
    }

    /// The site's shared folder, where files of it are listed.
    pub fn shared(&self) -> Option<&SharedFolder> {
        self.shared.as_ref()
    }

    /// Files written so far.
    pub fn files(&self) -> &[FileInfo] {
        &self.files.files
    }

    /// Writes the manifest and puts the bundle in its place, where it replaces one that was there.
    pub fn finish(self, manifest: &Manifest) -> Result<()> {
        self.files.write(paths::MANIFEST, &manifest.to_json()?)?;
        self.folder.publish()
    }
}
