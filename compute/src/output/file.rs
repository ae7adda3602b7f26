//! One file, made beside its path.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{Lock, hidden, lock_file, make_folders, parent, resolve, sync_folder};

/// What a file may replace without being told to.
#[derive(Debug, Clone, Copy)]
pub struct OwnKind {
    /// In words, such as "an exported bundle".
    pub name: &'static str,
    /// Whether the file at a path is of this kind.
    pub is: fn(&Path) -> bool,
}

/// A file in the making. Dropped before [`OutputFile::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    hidden: PathBuf,
    file: File,
    /// Folders that were made for it.
    made: Vec<PathBuf>,
    finished: bool,
}

impl OutputFile {
    /// Begins the file that will be at `out`, where it replaces nothing but a file of `kind`, or with `force` any file.
    pub fn create(out: &Path, kind: OwnKind, force: bool) -> Result<Self> {
        let path = resolve(out)?;
        if let Ok(found) = fs::metadata(&path) {
            if !found.is_file() {
                bail!("the output is not a regular file: choose another --out ({})", out.display());
            }
            if !force && !(kind.is)(&path) {
                bail!(
                    "will not replace a file that is not {}: choose another --out, or add --force ({})",
                    kind.name,
                    out.display()
                );
            }
        }
        let made = make_folders(parent(&path))
            .with_context(|| format!("could not make the output's folder ({})", parent(&path).display()))?;
        Self::begin(path, made)
    }

    /// Begins the file that will be at `path` in a folder of this program's own, and replaces what is there.
    pub fn replacing(path: PathBuf) -> Result<Self> {
        Self::begin(path, Vec::new())
    }

    fn begin(path: PathBuf, made: Vec<PathBuf>) -> Result<Self> {
        let hidden = hidden(&path);
        let held = lock_file(&hidden)
            .with_context(|| format!("could not write to the output's folder ({})", hidden.display()))?;
        let Lock::Here(file) = held else {
            bail!("another `compute` is writing this output: wait for it ({})", path.display())
        };
        let this = Self { path, hidden, file, made, finished: false };
        // What a process that was killed had written.
        this.file.set_len(0).with_context(|| this.writing())?;
        Ok(this)
    }

    /// Where the file is made.
    pub fn hidden(&self) -> &Path {
        &self.hidden
    }

    /// Puts the file in its place once it is on the disk; returns its length in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let n_bytes = self.replace().with_context(|| self.writing())?;
        self.finished = true;
        sync_folder(parent(&self.path)).with_context(|| self.writing())?;
        Ok(n_bytes)
    }

    fn replace(&self) -> io::Result<u64> {
        if let Ok(old) = fs::metadata(&self.path) {
            self.file.set_permissions(old.permissions())?;
        }
        self.file.sync_all()?;
        fs::rename(&self.hidden, &self.path)?;
        Ok(self.file.metadata()?.len())
    }

    fn writing(&self) -> String {
        format!("could not write ({})", self.path.display())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // What cannot be removed is removed by the next command that writes this output.
        fs::remove_file(&self.hidden).unwrap_or_default();
        for folder in self.made.iter().rev() {
            fs::remove_dir(folder).unwrap_or_default();
        }
    }
}
