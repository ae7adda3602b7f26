//! Locks that end with their process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Attempts to lock what another process removes at this moment.
const ATTEMPTS: usize = 100;

/// Whether a lock could be had.
#[derive(Debug)]
pub enum Lock {
    /// By this process, until the file is dropped.
    Here(File),
    /// By another process.
    Elsewhere,
}

/// Opens the file at `path`, new or left by a process that ended, and locks it.
pub fn lock_file(path: &Path) -> io::Result<Lock> {
    let mut options = OpenOptions::new();
    // A link is not followed: the file may lie in a folder where others can make one.
    options.read(true).write(true).create(true).truncate(false);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let held = lock(path, || options.open(path))?;
    if let Lock::Here(file) = &held {
        let found = file.metadata()?;
        if !found.is_file() || found.nlink() != 1 || found.uid() != super::system::user() {
            return Err(io::Error::other("it is another user's, or no file of its own: remove it"));
        }
    }
    Ok(held)
}

/// Locks the folder at `path`.
pub fn lock_folder(path: &Path) -> io::Result<Lock> {
    lock(path, || File::open(path))
}

fn lock(path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<Lock> {
    for _ in 0..ATTEMPTS {
        let file = open()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Lock::Elsewhere),
            // A file system without locks: whether another process is at work cannot be known there.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // The lock is worth something only if the file is still the one that others find at its path.
        let own = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == (own.dev(), own.ino()) => return Ok(Lock::Here(file)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(Lock::Elsewhere)
}
