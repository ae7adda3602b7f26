//! What commands write: nothing is lost by it, whenever the program ends.
//!
//! A file or folder is made beside its path under a hidden name, `.NAME.sae-vis`, which is locked until it takes its
//! place in one step. The lock ends with its process: what a process left that was killed is recognised by its free lock
//! and removed, and two processes cannot write one output.
//!
//! [`OutputFile`] is one file; [`crate::bundle::OutputFolder`] is a bundle's folder, [`crate::exchange::NewFolder`] one for
//! other programs.

mod file;
mod lock;
pub mod system;

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

pub use file::{OutputFile, OwnKind};
pub use lock::{Lock, lock_file, lock_folder};

/// The path that an output has once links are followed, with its folder's name at its end.
///
/// What cannot be a file's or folder's own path is refused: `.`, `..`, `/`, a link to nothing.
pub fn resolve(out: &Path) -> Result<PathBuf> {
    let at = || format!("could not use the output's path ({})", out.display());
    // Without `/.` and `/` at the end, which the system refuses to rename.
    let plain: PathBuf = out.components().collect();
    let plain = match fs::symlink_metadata(&plain) {
        Ok(found) if found.is_symlink() => match fs::canonicalize(&plain) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                bail!(
                    "the output is a link to nothing: remove it, or choose another --out ({})",
                    out.display()
                )
            }
            target => target.with_context(at)?,
        },
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).with_context(at),
        _ => plain,
    };
    if plain.file_name().is_none() {
        bail!("the output has no name of its own: expected one such as ./bundle ({})", out.display());
    }
    Ok(plain)
}

/// The hidden path beside `out` at which it is made.
pub fn hidden(out: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(out.file_name().unwrap_or_default());
    name.push(".sae-vis");
    out.with_file_name(name)
}

/// Folder in which `out` lies.
pub fn parent(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the folder at `path` with those above it; gives back those that were not there, the innermost last.
pub fn make_folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    fs::create_dir_all(path)?;
    Ok(missing)
}

/// Makes sure that a folder's entries are on the disk.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems cannot; what they hold is as safe as they make it.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Makes sure that the entries of `folder` and of the folders in it are on the disk.
pub fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// Removes the folder at `path` with all that is in it, where there is one.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
