//! Reads bundles, as folders and as one file: nothing in them is trusted.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use shared::{
    archive::{directory, entries},
    bundle::{Checked, decode},
    error::BundleError,
    explanations::Explanations,
    labels::Labels,
    layers::{EXPLANATIONS, LABELS, ROLE_STATS},
    manifest::{FileInfo, Manifest},
    paths,
    prompt::Prompt,
    roles::RoleStats,
    vocab::Vocab,
    zip::{Entry, LOCAL_BYTES, TAIL_BYTES, data_start},
};

use super::owned::{MAX_MANIFEST_BYTES, manifest_bytes};

/// A bundle, opened.
#[derive(Debug)]
pub struct Bundle {
    source: Source,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its vocabulary.
    pub vocab: Vocab,
}

/// Where a bundle's files lie.
#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    /// A `.saevis`, and the files in it.
    Archive(PathBuf, Vec<Entry>),
}

impl Bundle {
    /// Opens the bundle at `path`, a folder or a `.saevis`.
    pub fn open(path: &Path) -> Result<Self> {
        let (source, json) = if path.is_file() {
            let entries = archive_entries(path)?;
            let source = Source::Archive(path.to_owned(), entries);
            let json = source.bytes(Path::new(""), paths::MANIFEST, None)?;
            (source, json)
        } else {
            (Source::Folder(path.to_owned()), folder_manifest(path)?)
        };
        let manifest = Manifest::from_json(&json)?;
        let mut bundle = Self { source, manifest, vocab: Vocab::default() };
        bundle.vocab = bundle.file(paths::VOCAB)?;
        Ok(bundle)
    }

    /// Fails where `path` is no folder, such as a bundle as one file.
    pub fn check_folder(path: &Path) -> Result<()> {
        ensure!(
            !path.is_file(),
            "the bundle is one file, expected its folder: give the folder that it was made of ({})",
            path.display()
        );
        Ok(())
    }

    /// Its labels; none where it has no such file.
    pub fn labels(&self) -> Result<Labels> {
        if !self.manifest.has_layer(&LABELS) {
            return Ok(Labels::default());
        }
        self.file(&self.manifest.labels_path())
    }

    /// The explanations of its features; none where it has no such layer.
    pub fn explanations(&self) -> Result<Explanations> {
        if !self.manifest.has_layer(&EXPLANATIONS) {
            return Ok(Explanations::default());
        }
        self.file(&EXPLANATIONS.path())
    }

    /// Density and maximum of its features by role; `None` where it has no such layer.
    pub fn role_stats(&self) -> Result<Option<RoleStats>> {
        let stored = self.manifest.has_layer(&ROLE_STATS);
        stored.then(|| self.file(&ROLE_STATS.path())).transpose()
    }

    /// Texts of its prompts.
    pub fn prompt_texts(&self) -> Result<Vec<String>> {
        let text = |i| Ok(self.file::<Prompt>(&paths::prompt(i))?.text);
        (0..self.manifest.n_prompts as usize).map(text).collect()
    }

    /// The bytes of a file that the manifest lists, as they are stored.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let info = self.manifest.file(path)?;
        let (folder, path) = self.place(info);
        self.source.bytes(&folder, &path, Some(info.bytes))
    }

    /// Where the file of a bundle in a folder lies.
    pub fn path_of(&self, info: &FileInfo) -> Result<PathBuf> {
        let Source::Folder(own) = &self.source else {
            bail!("the bundle is one file: {} is in it", info.path)
        };
        let (folder, path) = self.place(info);
        open_inside(&own.join(&folder), &path)?;
        Ok(own.join(folder).join(path))
    }

    /// The folder beyond which a file may not lie, seen from the bundle's: its own or its site's; and its path in there.
    fn place(&self, info: &FileInfo) -> (PathBuf, String) {
        match self.manifest.shared.as_ref().filter(|_| info.shared) {
            Some(shared) => {
                (PathBuf::from("../".repeat(shared.n_up())), format!("{}/{}", shared.folder(), info.path))
            }
            None => (PathBuf::new(), info.path.clone()),
        }
    }

    /// Reads and checks the file at `path` inside the bundle.
    pub fn file<T: Checked>(&self, path: &str) -> Result<T> {
        Ok(decode(&self.manifest, path, &self.bytes(path)?)?)
    }
}

impl Source {
    /// The file at `path` of the folder `above`, as seen from the bundle's; of another length than `expected` none of it is
    /// read.
    fn bytes(&self, above: &Path, path: &str, expected: Option<u64>) -> Result<Vec<u8>> {
        let (file, stored, shown) = match self {
            Self::Folder(folder) => {
                let folder = folder.join(above);
                let (file, stored) = open_inside(&folder, path)?;
                (file, stored, folder.join(path))
            }
            Self::Archive(archive, entries) => {
                let (file, stored) = open_entry(archive, entries, path)?;
                (file, stored, archive.clone())
            }
        };
        let expected = expected.unwrap_or(stored.min(MAX_MANIFEST_BYTES));
        if expected != stored {
            return Err(BundleError::Truncated { expected, got: stored, path: path.to_owned() }.into());
        }
        let mut bytes = Vec::new();
        file.take(stored)
            .read_to_end(&mut bytes)
            .with_context(|| format!("could not read the bundle ({})", shown.display()))?;
        Ok(bytes)
    }
}

/// Reads the manifest of the bundle in `folder`.
pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    Ok(Manifest::from_json(&folder_manifest(folder)?)?)
}

/// The manifest of the bundle in `folder` as it is stored, once what a killed process left is settled.
pub fn folder_manifest(folder: &Path) -> Result<Vec<u8>> {
    // A folder that may not be written to is read as it is.
    match super::settle(folder) {
        Err(e) if !folder.exists() => return Err(e),
        _ => {}
    }
    let path = folder.join(paths::MANIFEST);
    manifest_bytes(folder).with_context(|| format!("could not open the bundle ({})", path.display()))
}

/// Opens the file at `path` of the bundle in `folder`, and gives its length: a regular file that lies inside.
pub fn open_inside(folder: &Path, path: &str) -> Result<(File, u64)> {
    let full = folder.join(path);
    let reading = || format!("could not read the bundle ({})", full.display());
    ensure!(paths::is_inside(path), "the manifest lists a file outside the bundle ({path})");
    let found = fs::canonicalize(&full).with_context(reading)?;
    ensure!(
        found.starts_with(fs::canonicalize(folder).with_context(reading)?),
        "a file of the bundle is a link to outside of it ({})",
        full.display()
    );
    let about = fs::metadata(&found).with_context(reading)?;
    ensure!(about.is_file(), "a file of the bundle is not a regular file ({})", full.display());
    let file = File::open(&found).with_context(reading)?;
    Ok((file, about.len()))
}

/// The files in the `.saevis` at `path`.
fn archive_entries(path: &Path) -> Result<Vec<Entry>> {
    let at = || format!("could not open the bundle ({})", path.display());
    let wrong = |e: shared::error::Invalid| anyhow!("could not open the bundle: {e} ({})", path.display());
    let mut file = File::open(path).with_context(at)?;
    let total = file.metadata().with_context(at)?.len();
    let mut read = |start: u64, len: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let tail_start = total.saturating_sub(TAIL_BYTES);
    let tail = read(tail_start, total - tail_start).with_context(at)?;
    let directory = directory(&tail, total).map_err(wrong)?;
    entries(&read(directory.start, directory.bytes).with_context(at)?, total).map_err(wrong)
}

/// Opens the archive at the first byte of its file `path`, and gives that file's length.
fn open_entry(archive: &Path, entries: &[Entry], path: &str) -> Result<(File, u64)> {
    let at = || format!("could not read the bundle ({})", archive.display());
    let Some(entry) = entries.iter().find(|entry| entry.path == path) else {
        bail!("could not open the bundle: it has no {path} ({})", archive.display())
    };
    let mut file = File::open(archive).with_context(at)?;
    let mut header = [0; LOCAL_BYTES as usize];
    file.seek(SeekFrom::Start(entry.header)).and_then(|_| file.read_exact(&mut header)).with_context(at)?;
    let start = data_start(entry, &header).map_err(|e| anyhow!("{e} ({})", archive.display()))?;
    file.seek(SeekFrom::Start(start)).with_context(at)?;
    Ok((file, entry.bytes))
}
