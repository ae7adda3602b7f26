//! One-file bundles, `.saevis`: a ZIP whose entries are stored as they are, under the paths of the folder.
//!
//! The directory at its end names every file, so that a reader with random access (a file on disk, HTTP ranges) reads
//! the end, then only what it shows. Format: APPNOTE.TXT 6.3 of PKWARE, without ZIP64 (below 4 GiB), encryption and
//! compression.

use std::io::{self, Write};

use crate::{
    checksum::CRC32,
    error::{Invalid, ensure},
    zip::{self, Directory, END, ENTRY, Entry, LOCAL, STORED},
};

/// Where the directory lies, by the last bytes of an archive of `total` bytes.
pub fn directory(tail: &[u8], total: u64) -> Result<Directory, Invalid> {
    zip::directory(tail, total).map_err(|Invalid(reason)| Invalid(format!("it is no .saevis file: {reason}")))
}

/// The files that a directory lists, of an archive of `total` bytes.
pub fn entries(directory: &[u8], total: u64) -> Result<Vec<Entry>, Invalid> {
    let entries = zip::entries(directory, total)?;
    for entry in &entries {
        ensure(entry.method == STORED && entry.packed == entry.bytes && !entry.is_encrypted, || {
            format!("{} is compressed, expected stored: make the file with `compute export`", entry.path)
        })?;
    }
    Ok(entries)
}

/// Writes an archive, file by file.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    out: W,
    at: u64,
    n_entries: u16,
    directory: Vec<u8>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self { out, at: 0, n_entries: 0, directory: Vec::new() }
    }

    /// Adds the file `bytes` at `path`.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(path, bytes.len() as u64, CRC32.checksum(bytes))?;
        self.write(bytes)
    }

    /// Begins the file at `path`, whose `n_bytes` bytes of checksum `crc32` are then written by [`Self::write`].
    pub fn begin(&mut self, path: &str, n_bytes: u64, crc32: u32) -> io::Result<()> {
        let too_large =
            || io::Error::other("the bundle has more than 4 GiB or 65,535 files: keep it as a folder");
        let header = u32::try_from(self.at).ok().ok_or_else(too_large)?;
        let n_bytes = u32::try_from(n_bytes).ok().ok_or_else(too_large)?;
        let n_name = u16::try_from(path.len()).ok().ok_or_else(too_large)?;
        self.n_entries = self.n_entries.checked_add(1).ok_or_else(too_large)?;
        // Version 2.0, no flags, stored, 1980-01-01: the same bundle gives the same bytes.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for field in [crc32, n_bytes, n_bytes] {
            common.extend(field.to_le_bytes());
        }
        common.extend(n_name.to_le_bytes());
        common.extend([0, 0]);
        let local = [&LOCAL.to_le_bytes(), &common[..], path.as_bytes()].concat();
        self.write(&local)?;
        self.directory.extend([&ENTRY.to_le_bytes(), &[20, 0][..], &common, &[0; 10]].concat());
        self.directory.extend(header.to_le_bytes());
        self.directory.extend(path.as_bytes());
        Ok(())
    }

    /// Writes the next bytes of the file that was begun last.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes the directory, and gives back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        let too_large = |_| io::Error::other("the bundle has more than 4 GiB: keep it as a folder");
        let (start, bytes) = (u32::try_from(self.at), u32::try_from(self.directory.len()));
        let (start, bytes) = (start.map_err(too_large)?, bytes.map_err(too_large)?);
        let directory = std::mem::take(&mut self.directory);
        self.write(&directory)?;
        let n = self.n_entries.to_le_bytes();
        let end =
            [&END.to_le_bytes(), &[0; 4][..], &n, &n, &bytes.to_le_bytes(), &start.to_le_bytes(), &[0; 2]];
        self.write(&end.concat())?;
        Ok(self.out)
    }
}
