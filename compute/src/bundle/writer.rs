//! Encodes what a run computed, and writes it as the files of a bundle.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use shared::{
    bundle::encode,
    corpus::CorpusChunk,
    explanations::Explanations,
    feature::Feature,
    labels::Labels,
    layers::{EXPLANATIONS, LABELS, LayerInfo, ROLE_STATS, ROLES},
    manifest::{BlockInfo, FileInfo, Manifest},
    paths,
    prompt::{Prompt, PromptIndex},
    roles::{ChunkRoles, RoleStats},
    vocab::Vocab,
    wire::Wire,
};

use super::{
    OutputFolder,
    blocks::{Blocks, EncodedFile},
    reader::open_inside,
};
use crate::output::{make_folders, parent};

/// Tokens in a chunk of the corpus: about 100 KB compressed.
const CHUNK_TOKENS: usize = 1 << 16;

/// Rows in every chunk of a corpus but the last.
pub fn rows_per_chunk(seq_len: usize) -> usize {
    (CHUNK_TOKENS / seq_len).max(1)
}

/// A bundle in the making. Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    folder: OutputFolder,
    blocks: Blocks,
    layers: Vec<LayerInfo>,
    files: Vec<FileInfo>,
}

impl BundleWriter {
    /// Begins a bundle that will be at `out`, which no other process may write meanwhile.
    pub fn new(out: &Path) -> Result<Self> {
        let folder = OutputFolder::claim(out)?;
        Ok(Self { folder, blocks: Blocks::default(), layers: Vec::new(), files: Vec::new() })
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

    /// Takes features, which follow those taken before, and writes the blocks that they fill.
    pub fn features(&mut self, features: Vec<Feature>) -> Result<()> {
        let full = self.blocks.push(features)?;
        full.into_iter().try_for_each(|file| self.add_encoded(file))
    }

    /// Writes the last block of features and their index.
    pub fn end_of_features(&mut self) -> Result<()> {
        let last = self.blocks.last()?;
        last.into_iter().try_for_each(|file| self.add_encoded(file))?;
        let index = self.blocks.index()?;
        self.add_encoded(index)
    }

    /// Writes the prompts and their list.
    pub fn prompts(&mut self, prompts: &[Prompt]) -> Result<()> {
        let texts = prompts.iter().map(|p| p.text.clone()).collect();
        self.add(paths::PROMPTS, &PromptIndex { texts })?;
        let mut numbered = prompts.iter().enumerate();
        numbered.try_for_each(|(i, prompt)| self.add(&paths::prompt(i), prompt))
    }

    /// Takes a file of the bundle in `folder` as it is, without copying it where the file system can.
    pub fn keep(&mut self, folder: &Path, info: &FileInfo) -> Result<()> {
        let (_, n_bytes) = open_inside(folder, &info.path)?;
        ensure!(
            n_bytes == info.bytes,
            "a file of the bundle has {n_bytes} bytes, expected {} ({})",
            info.bytes,
            info.path
        );
        let (from, to) = (folder.join(&info.path), self.folder.folder().join(&info.path));
        let link = || {
            make_folders(parent(&to))?;
            fs::hard_link(&from, &to).or_else(|_| {
                fs::copy(&from, &to)?;
                File::open(&to)?.sync_all()
            })
        };
        link().with_context(|| format!("could not write the bundle ({})", to.display()))?;
        self.files.push(info.clone());
        Ok(())
    }

    /// Writes the labels of features.
    pub fn labels(&mut self, labels: &Labels) -> Result<()> {
        self.layers.push(LABELS.info());
        self.add(&LABELS.path(), labels)
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

    /// Writes what people and programs say that features mean.
    pub fn explanations(&mut self, explanations: &Explanations) -> Result<()> {
        self.layers.push(EXPLANATIONS.info());
        self.add(&EXPLANATIONS.path(), explanations)
    }

    /// Writes how features fare by role.
    pub fn role_stats(&mut self, stats: &RoleStats) -> Result<()> {
        self.layers.push(ROLE_STATS.info());
        self.add(&ROLE_STATS.path(), stats)
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
        &self.layers
    }

    /// Files written so far.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    fn add<T: Wire>(&mut self, path: &str, value: &T) -> Result<()> {
        let encoded = encode(value, path.to_owned())?;
        self.add_encoded(encoded)
    }

    fn add_encoded(&mut self, (info, bytes): EncodedFile) -> Result<()> {
        self.write(&info.path, &bytes)?;
        self.files.push(info);
        Ok(())
    }

    /// Writes the manifest and puts the bundle in its place, where it replaces one that was there.
    pub fn finish(self, manifest: &Manifest) -> Result<()> {
        self.write("manifest.json", &manifest.to_json()?)?;
        self.folder.publish()
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.folder().join(path);
        let write = || {
            make_folders(parent(&path))?;
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().with_context(|| format!("could not write the bundle ({})", path.display()))
    }
}
