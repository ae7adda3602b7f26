//! The folder that a bundle is written to, and the one process that may.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{owned::check_replaceable, publish};
use crate::{
    interrupt,
    output::{Lock, hidden, lock_file, make_folders, parent, resolve, sync_folders, system},
};

const LOCK: &str = "lock";

/// A bundle's folder in the making. Dropped before [`OutputFolder::publish`], it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFolder {
    out: PathBuf,
    /// The hidden folder beside `out`.
    work: PathBuf,
    _lock: File,
    /// Folders that were made for it.
    made: Vec<PathBuf>,
    whole: bool,
}

/// Fails where a bundle cannot be written at `out`, before any work is done.
pub fn check(out: &Path) -> Result<()> {
    let path = resolve(out)?;
    ensure!(
        !is_mount_point(&path),
        "a file system is mounted at the output, which cannot be replaced: choose a folder inside it, such as {} ({})",
        path.join("bundle").display(),
        out.display()
    );
    check_replaceable(&path)?;
    let above = parent(&path).ancestors().find(|p| p.as_os_str().is_empty() || p.exists());
    let above = above.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(above)
        .map(drop)
        .with_context(|| format!("could not write to the output's folder ({})", above.display()))
}

/// Finishes or undoes what a process that was killed had begun to do to the bundle at `path`.
///
/// Does nothing where another process is at work on it.
pub fn settle(path: &Path) -> Result<()> {
    // `inspect .` is fine: only an output needs a name of its own.
    let path = resolve(path).or_else(|_| fs::canonicalize(path).context("no such folder"))?;
    let work = hidden(&path);
    if publish::is_begun(&work)
        && let Lock::Here(_lock) = lock_work(&work)?
    {
        let _placed = interrupt::held_off();
        if publish::is_begun(&work) {
            publish::finish(&work, &path)?;
        }
        leave(&work);
    }
    Ok(())
}

impl OutputFolder {
    /// Takes the output for this process, and settles what one that was killed had left.
    pub fn claim(out: &Path) -> Result<Self> {
        check(out)?;
        interrupt::listen()?;
        let out = resolve(out)?;
        let failed = || format!("could not write to the output's folder ({})", parent(&out).display());
        let made = make_folders(parent(&out)).with_context(failed)?;
        let work = hidden(&out);
        let Lock::Here(lock) = lock_work(&work).with_context(failed)? else {
            bail!(
                "another `compute` is writing this output: wait for it, or choose another --out ({})",
                out.display()
            )
        };
        let this = Self { out, work, _lock: lock, made, whole: false };
        if publish::is_begun(&this.work) {
            let _placed = interrupt::held_off();
            publish::finish(&this.work, &this.out)?;
        }
        publish::undo(&this.work)
            .and_then(|()| fs::create_dir(this.folder()))
            .with_context(|| format!("could not write to the output's folder ({})", this.work.display()))?;
        Ok(this)
    }

    /// Where files are written.
    pub fn folder(&self) -> PathBuf {
        self.work.join(publish::NEW)
    }

    /// Puts the folder in its place, where it replaces a bundle that was there. Its files are on the disk already.
    pub fn publish(mut self) -> Result<()> {
        let _placed = interrupt::held_off();
        interrupt::check()?;
        check_replaceable(&self.out)?;
        sync_folders(&self.folder())
            .with_context(|| format!("could not write the bundle ({})", self.work.display()))?;
        publish::begin(&self.work)?;
        self.whole = true;
        publish::finish(&self.work, &self.out)
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next run into this output. A whole bundle is not given up.
        if !publish::is_begun(&self.work) {
            publish::undo(&self.work).unwrap_or_default();
            leave(&self.work);
            for folder in self.made.iter().rev().filter(|_| !self.whole) {
                fs::remove_dir(folder).unwrap_or_default();
            }
        }
    }
}

/// Locks the hidden folder at `work`, new or left by a process that ended.
fn lock_work(work: &Path) -> io::Result<Lock> {
    loop {
        match DirBuilder::new().mode(0o700).create(work) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        match fs::symlink_metadata(work) {
            Ok(found) if !found.is_dir() || found.uid() != system::user() => {
                return Err(io::Error::other(format!(
                    "{} is in the way: it is no folder, or another user's",
                    work.display()
                )));
            }
            _ => {}
        }
        match lock_file(&work.join(LOCK)) {
            // Another process removed it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            held => return held,
        }
    }
}

/// Removes the hidden folder, which is locked.
fn leave(work: &Path) {
    // What cannot be removed is removed by the next run into this output.
    fs::remove_file(work.join(LOCK)).and_then(|()| fs::remove_dir(work)).unwrap_or_default();
}

/// Whether a file system is mounted at `path`.
fn is_mount_point(path: &Path) -> bool {
    let (Ok(own), Ok(above)) = (fs::metadata(path), fs::metadata(parent(path))) else { return false };
    let listed = || {
        let Ok(path) = fs::canonicalize(path) else { return false };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // Field 5; white space in it is written in octal.
        let text = path.to_string_lossy().replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(&text))
    };
    own.dev() != above.dev() || listed()
}
