//! Writes a bundle as a folder: into a temporary one beside it, which takes its place when all is there.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use shared::{
    bundle::encode,
    corpus::CorpusChunk,
    feature::Feature,
    labels::Labels,
    layers::{LABELS, LayerInfo, ROLE_STATS, ROLES},
    manifest::{BlockInfo, FileInfo, Manifest},
    paths,
    prompt::{Prompt, PromptIndex},
    roles::{ChunkRoles, RoleStats},
    vocab::Vocab,
    wire::Wire,
};
use tempfile::TempDir;

use super::blocks::{Blocks, EncodedFile};

/// Tokens in a chunk of the corpus: about 100 KB compressed.
const CHUNK_TOKENS: usize = 1 << 16;

/// Rows in every chunk of a corpus but the last.
pub fn rows_per_chunk(seq_len: usize) -> usize {
    (CHUNK_TOKENS / seq_len).max(1)
}

/// A bundle in the making. Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    folder: TempDir,
    out: PathBuf,
    blocks: Blocks,
    layers: Vec<LayerInfo>,
    files: Vec<FileInfo>,
}

impl BundleWriter {
    /// Begins a bundle that will be at `out`.
    pub fn new(out: &Path) -> Result<Self> {
        // The name is chosen first, so that an interrupt finds the folder whenever it comes.
        let name = format!(".sae-vis-partial-{:016x}", rand::random::<u64>());
        clean_up_when_interrupted(parent(out).join(&name))?;
        let folder =
            tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(parent(out)).with_context(
                || format!("could not write to the output's folder ({})", parent(out).display()),
            )?;
        let (blocks, layers, files) = (Blocks::default(), Vec::new(), Vec::new());
        Ok(Self { folder, out: out.to_owned(), blocks, layers, files })
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
            self.add(&paths::chunk(i), &chunk)?;
        }
        Ok(())
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
        let index = encode(&self.blocks.index, paths::INDEX.to_owned())?;
        self.add_encoded(index)
    }

    /// Writes the prompts and their list.
    pub fn prompts(&mut self, prompts: &[Prompt]) -> Result<()> {
        let texts = prompts.iter().map(|p| p.text.clone()).collect();
        self.add(paths::PROMPTS, &PromptIndex { texts })?;
        let mut numbered = prompts.iter().enumerate();
        numbered.try_for_each(|(i, prompt)| self.add(&paths::prompt(i), prompt))
    }

    /// Writes the labels of features.
    pub fn labels(&mut self, labels: &Labels) -> Result<()> {
        self.layers.push(LABELS.info());
        self.add(&LABELS.path(), labels)
    }

    /// Writes the role of each token of the corpus, in the corpus' chunks.
    pub fn roles(&mut self, roles: &[u8], seq_len: usize) -> Result<()> {
        let n_rows = rows_per_chunk(seq_len);
        self.layers.push(ROLES.info());
        for (i, roles) in roles.chunks(n_rows * seq_len).enumerate() {
            let (first_row, seq_len) = ((i * n_rows) as u32, seq_len as u32);
            let chunk = ChunkRoles { first_row, seq_len, roles: roles.to_vec() };
            self.add(&ROLES.path_of(i), &chunk)?;
        }
        Ok(())
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
        let placing = || format!("could not put the bundle in its place ({})", self.out.display());
        // The old bundle goes into the temporary folder's place, and with it, only once the new one is whole.
        let old = self.folder.path().with_extension("old");
        if self.out.exists() {
            std::fs::rename(&self.out, &old).with_context(placing)?;
        }
        let folder = self.folder.keep();
        if let Err(e) = std::fs::rename(&folder, &self.out) {
            std::fs::remove_dir_all(&folder)
                .and_then(|()| std::fs::rename(&old, &self.out))
                .unwrap_or_default();
            return Err(e).with_context(placing);
        }
        set_mode(&self.out);
        if old.exists() {
            std::fs::remove_dir_all(&old)
                .with_context(|| format!("could not remove the old bundle ({})", old.display()))?;
        }
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.path().join(path);
        let writing = || format!("could not write the bundle ({})", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(writing)?;
        }
        std::fs::write(&path, bytes).with_context(writing)
    }
}

/// Puts a file in its place once it is whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let writing = || format!("could not write ({})", path.display());
    let mut file = tempfile::NamedTempFile::new_in(parent(path)).with_context(writing)?;
    file.write_all(bytes).with_context(writing)?;
    // A temporary file is its owner's alone; a bundle is for others to read.
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).with_context(writing)?;
    file.persist(path).with_context(writing)?;
    Ok(())
}

/// Removes the unfinished bundle where the program is told to stop (Ctrl-C, or a cluster's scheduler).
///
/// The exit skips the clean-up of C++ libraries: libtorch's other threads are still at work then, and would complain.
fn clean_up_when_interrupted(folder: PathBuf) -> Result<()> {
    use signal_hook::{consts::TERM_SIGNALS, iterator::Signals, low_level};
    /// A thread that writes at this moment can make the folder anew.
    const ATTEMPTS: usize = 100;
    /// What shells add to the number of the signal that ended a program.
    const BY_SIGNAL: i32 = 128;
    let mut signals = Signals::new(TERM_SIGNALS).context("could not listen for Ctrl-C")?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // What cannot be removed now could not be reported either: the program ends here.
            for _ in 0..ATTEMPTS {
                if std::fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
                    break;
                }
            }
            low_level::exit(BY_SIGNAL + signal);
        }
    });
    Ok(())
}

/// Folder in which `out` lies.
pub fn parent(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Lets others read the bundle: temporary folders are made for their owner alone, and web servers are others.
fn set_mode(folder: &Path) {
    // Some file systems have no modes; the bundle is whole all the same.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap_or_default();
}
