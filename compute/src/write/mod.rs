//! Writes a bundle as a folder: into a temporary one beside it, which takes its place when all is there.

mod beside;

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;
use shared::{
    bundle::{Encoding, encode},
    manifest::{FileInfo, Manifest},
};
use tempfile::TempDir;

pub use beside::Beside;

/// A bundle in the making. Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    folder: TempDir,
    out: PathBuf,
    encoding: Encoding,
    files: Vec<FileInfo>,
}

impl BundleWriter {
    /// Begins a bundle that will be at `out`.
    pub fn new(out: &Path, encoding: Encoding) -> Result<Self> {
        // The name is chosen first, so that an interrupt finds the folder whenever it comes.
        let name = format!(".sae-vis-partial-{:016x}", rand::random::<u64>());
        clean_up_when_interrupted(parent(out).join(&name))?;
        let folder =
            tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(parent(out)).with_context(
                || format!("could not write to the output's folder ({})", parent(out).display()),
            )?;
        Ok(Self { folder, out: out.to_owned(), encoding, files: Vec::new() })
    }

    /// Encodes a value and writes it at `path`.
    pub fn add<T: Serialize>(&mut self, path: String, value: &T) -> Result<()> {
        let encoded = encode(value, path, self.encoding)?;
        self.add_encoded(encoded)
    }

    /// Writes a file that is encoded already.
    pub fn add_encoded(&mut self, (info, bytes): (FileInfo, Vec<u8>)) -> Result<()> {
        self.write(&info.path, &bytes)?;
        self.files.push(info);
        Ok(())
    }

    /// Files written so far.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
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
