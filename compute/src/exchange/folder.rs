//! A folder of files for other programs, made beside its path.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::{Compression, write::GzEncoder};

use crate::{
    interrupt,
    output::{Lock, hidden, lock_file, make_folders, parent, resolve, sync_folder},
};

/// A folder in the making, at a path where nothing is yet. Dropped before [`NewFolder::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    hidden: PathBuf,
    lock: PathBuf,
    _lock: File,
    finished: bool,
}

impl NewFolder {
    /// Begins the folder that will be at `out`, where nothing is yet, or an empty folder.
    pub fn create(out: &Path) -> Result<Self> {
        let path = resolve(out)?;
        if fs::symlink_metadata(&path).is_ok() {
            let is_empty = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
            ensure!(
                is_empty,
                "the output is there already, expected a new or an empty folder: choose another ({})",
                out.display()
            );
        }
        let failed = || format!("could not write to the output's folder ({})", out.display());
        interrupt::listen()?;
        make_folders(parent(&path)).with_context(failed)?;
        let hidden = hidden(&path);
        let mut lock = hidden.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let Lock::Here(held) = lock_file(&lock).with_context(failed)? else {
            bail!("another `compute` is writing this output: wait for it ({})", out.display())
        };
        let this = Self { path, hidden, lock, _lock: held, finished: false };
        // What a process that was killed had written.
        if this.hidden.exists() {
            fs::remove_dir_all(&this.hidden).with_context(failed)?;
        }
        fs::create_dir(&this.hidden).with_context(failed)?;
        Ok(this)
    }

    /// Writes the file `name`, compressed where its name ends in `.gz`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        interrupt::check()?;
        let path = self.hidden.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            if Path::new(name).extension().is_some_and(|extension| extension == "gz") {
                let mut gzip = GzEncoder::new(&mut file, Compression::default());
                gzip.write_all(bytes)?;
                gzip.finish()?;
            } else {
                file.write_all(bytes)?;
            }
            file.sync_all()
        };
        write().with_context(|| format!("could not write ({})", self.path.join(name).display()))
    }

    /// Puts the folder in its place.
    pub fn finish(mut self) -> Result<()> {
        let _placed = interrupt::held_off();
        interrupt::check()?;
        let put = || {
            sync_folder(&self.hidden)?;
            fs::rename(&self.hidden, &self.path)?;
            sync_folder(parent(&self.path))
        };
        put().with_context(|| format!("could not write ({})", self.path.display()))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next command that writes this output.
        if !self.finished {
            fs::remove_dir_all(&self.hidden).unwrap_or_default();
        }
        fs::remove_file(&self.lock).unwrap_or_default();
    }
}
