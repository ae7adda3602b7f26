//! One-file bundles, `.saevis`: a ZIP whose entries are stored as they are, under the paths of the folder.
//!
//! The directory at its end names every file, so that a reader with random access (a file on disk, HTTP ranges) reads
//! the end, then only what it shows. Format: APPNOTE.TXT 6.3 of PKWARE, without ZIP64 (below 4 GiB), encryption and
//! compression.

use std::io::{self, Write};

use crate::{
    checksum::CRC32,
    error::{Invalid, ensure},
};

/// A reader begins with this many bytes at the end, which hold the directory of any but the largest bundles.
pub const TAIL_BYTES: u64 = 64 * 1024;
const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const ENTRY: u32 = 0x0201_4b50;
const ENTRY_BYTES: usize = 46;
const LOCAL: u32 = 0x0403_4b50;
/// Length of the header before each file's name.
pub const LOCAL_BYTES: u64 = 30;

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path inside the bundle.
    pub path: String,
    /// Where its header begins.
    pub header: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Where the directory lies, `(start, length)`, by the last bytes of an archive of `total` bytes.
pub fn directory(tail: &[u8], total: u64) -> Result<(u64, u64), Invalid> {
    let last = tail.len().checked_sub(END_BYTES);
    let end = last.and_then(|last| (0..=last).rev().find(|&at| u32_at(tail, at) == Some(END)));
    let end = end.ok_or_else(|| Invalid("it is no .saevis file: the end of a ZIP is missing".into()))?;
    let field = |at| u32_at(tail, end + at).map(u64::from);
    let (Some(bytes), Some(start)) = (field(12), field(16)) else {
        return Err(Invalid("the end of the ZIP is cut off".into()));
    };
    let fits = start.checked_add(bytes).is_some_and(|e| e <= total);
    ensure(fits, || format!("the ZIP's directory lies outside the file of {total} bytes: is it cut off?"))?;
    Ok((start, bytes))
}

/// The files that a directory lists, of an archive of `total` bytes.
pub fn entries(mut directory: &[u8], total: u64) -> Result<Vec<Entry>, Invalid> {
    let mut entries = Vec::new();
    while !directory.is_empty() {
        let cut = || Invalid("the ZIP's directory is cut off".into());
        ensure(u32_at(directory, 0) == Some(ENTRY), || "the ZIP's directory is damaged".into())?;
        let u16_or = |at| u16_at(directory, at).ok_or_else(cut);
        let u32_or = |at| u32_at(directory, at).map(u64::from).ok_or_else(cut);
        let (method, stored, bytes) = (u16_or(10)?, u32_or(20)?, u32_or(24)?);
        let (name, extra, comment) = (u16_or(28)?, u16_or(30)?, u16_or(32)?);
        let header = u32_or(42)?;
        let name = directory.get(ENTRY_BYTES..ENTRY_BYTES + usize::from(name)).ok_or_else(cut)?;
        let path = String::from_utf8_lossy(name).into_owned();
        ensure(method == 0 && stored == bytes, || {
            format!("{path} is compressed, expected stored: make the file with `compute export`")
        })?;
        let inside = header + LOCAL_BYTES + bytes <= total;
        ensure(inside, || format!("{path} lies outside the file of {total} bytes"))?;
        let rest = ENTRY_BYTES + name.len() + usize::from(extra) + usize::from(comment);
        directory = directory.get(rest..).ok_or_else(cut)?;
        entries.push(Entry { path, header, bytes });
    }
    Ok(entries)
}

/// Where a file's bytes begin, by the header before them.
pub fn data_start(entry: &Entry, header: &[u8]) -> Result<u64, Invalid> {
    let lengths = (u16_at(header, 26), u16_at(header, 28));
    let (Some(LOCAL), (Some(name), Some(extra))) = (u32_at(header, 0), lengths) else {
        return Err(Invalid(format!("the header of {} is damaged", entry.path)));
    };
    Ok(entry.header + LOCAL_BYTES + u64::from(name) + u64::from(extra))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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
