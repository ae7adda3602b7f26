//! How a finished bundle takes its place: in one step where the system can exchange two folders, else in two.
//!
//! From the moment that the journal is there the new bundle is whole and on the disk, and [`finish`] does the rest; it is
//! called again, by the next command on the same output, where the process ended in the middle. Whatever step was the
//! last, it finds out from what lies where:
//!
//! | beside the output | in | step |
//! |---|---|---|
//! | the manifest that the journal names | `new` | put it in its place; the bundle that was there is then in `new` or `old` |
//! | something else | `new`, `old` | move what is not a bundle's from it to the output; rename it to `done` |
//! | anything | `done` | remove it |

use std::{fs, io, io::Write, path::Path};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::owned::{OwnFiles, check_replaceable, manifest_bytes};
use crate::output::{
    Lock, OutputFile, hidden, lock_folder, parent, remove_folder, sync_folder, system::exchange,
};

/// The bundle in the making, in the hidden folder.
pub const NEW: &str = "new";
/// The bundle that was there, while the new one takes its place in two steps.
const OLD: &str = "old";
/// What is to be removed.
const DONE: &str = "done";
/// SHA-256 of the manifest in `new`.
const JOURNAL: &str = "journal";

/// Writes the journal: the bundle in `work` is whole.
pub fn begin(work: &Path) -> Result<()> {
    let sha256 = sha256_of_manifest(&work.join(NEW)).context("could not read the new manifest")?;
    let mut journal = OutputFile::replacing(work.join(JOURNAL))?;
    journal.write_all(sha256.as_bytes()).context("could not write the journal")?;
    journal.finish().map(drop)
}

/// Whether a bundle in `work` is whole but not, or not altogether, in its place.
pub fn is_begun(work: &Path) -> bool {
    work.join(JOURNAL).exists()
}

/// Puts the whole bundle in `work` at `out`, from whatever step it has come to.
pub fn finish(work: &Path, out: &Path) -> Result<()> {
    let [new, old, done, journal] = [NEW, OLD, DONE, JOURNAL].map(|name| work.join(name));
    let placing = || {
        format!(
            "could not put the bundle in its place; it is whole, and the next command on it tries again ({})",
            out.display()
        )
    };
    let named = fs::read_to_string(&journal).with_context(placing)?;
    // Labels that are put into the old bundle at this moment come before it is replaced.
    let _not_labelled = match lock_folder(out) {
        Ok(Lock::Here(lock)) => Some(lock),
        Ok(Lock::Elsewhere) => {
            bail!("another `compute` changes this bundle: wait for it ({})", out.display())
        }
        Err(_nothing_there) => None,
    };
    if sha256_of_manifest(&new).is_ok_and(|sha256| sha256 == named.trim()) {
        check_replaceable(out).with_context(|| {
            format!("a bundle is whole, but could not take its place: move it yourself ({})", new.display())
        })?;
        put(&new, &old, out).with_context(placing)?;
    } else if !out.exists() && old.exists() {
        fs::rename(&old, out).with_context(placing)?;
    }
    for folder in [&new, &old] {
        retire(folder, &done, out).with_context(|| {
            format!("could not take over other files of the old bundle ({})", folder.display())
        })?;
    }
    remove_folder(&done)
        .and_then(|()| fs::remove_file(&journal))
        .with_context(|| format!("could not remove the old bundle ({})", done.display()))
}

/// Removes what a process left that ended before its bundle was whole.
pub fn undo(work: &Path) -> io::Result<()> {
    [NEW, OLD, DONE].iter().try_for_each(|name| remove_folder(&work.join(name)))?;
    match fs::remove_file(hidden(&work.join(JOURNAL))) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Renames `new` to `out`; what was there is then at `new` or at `old`.
fn put(new: &Path, old: &Path, out: &Path) -> io::Result<()> {
    if out.exists() {
        fs::set_permissions(new, fs::metadata(out)?.permissions())?;
        match exchange(new, out) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                fs::rename(out, old)?;
                if let Err(e) = fs::rename(new, out) {
                    fs::rename(old, out)?;
                    return Err(e);
                }
            }
            exchanged => exchanged?,
        }
    } else {
        fs::rename(new, out)?;
    }
    sync_folder(parent(out))?;
    sync_folder(parent(new))
}

/// Moves what is not the old bundle's own from `folder` to `out`, and the rest to `done`.
fn retire(folder: &Path, done: &Path, out: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    remove_folder(done)?;
    if let Some(owned) = OwnFiles::of(folder) {
        owned.move_others(folder, out)?;
        sync_folder(out)?;
    }
    fs::rename(folder, done)
}

fn sha256_of_manifest(folder: &Path) -> io::Result<String> {
    Ok(format!("{:x}", Sha256::digest(manifest_bytes(folder)?)))
}
