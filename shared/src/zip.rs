//! The directory of a ZIP archive, read without I/O: the reader brings the bytes.
//!
//! It begins with the archive's end ([`TAIL_BYTES`]), by which [`directory`] says where the directory lies; [`entries`]
//! reads that, and [`data_start`] the header before a file. Format: APPNOTE.TXT 6.3 of PKWARE, with ZIP64.

use crate::error::{Invalid, ensure};

/// A reader begins with this many bytes at the end: the longest comment, and the records before it.
pub const TAIL_BYTES: u64 = 66 << 10;
/// Length of the header before each file's name.
pub const LOCAL_BYTES: u64 = 30;
/// Method of a file that lies there as it is.
pub const STORED: u16 = 0;
/// Method of a file that is compressed by DEFLATE.
pub const DEFLATED: u16 = 8;

pub(crate) const END: u32 = 0x0605_4b50;
pub(crate) const ENTRY: u32 = 0x0201_4b50;
pub(crate) const LOCAL: u32 = 0x0403_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END_BYTES: usize = 22;
const LOCATOR_64_BYTES: usize = 20;
const ENTRY_BYTES: usize = 46;
/// In the place of a number that the ZIP64 record holds.
const IN_64: u64 = 0xffff_ffff;

/// Where the directory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    /// Its first byte in the archive.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
}

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path in the archive.
    pub path: String,
    /// How it is compressed: [`STORED`], [`DEFLATED`] or another way.
    pub method: u16,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// Where its header begins.
    pub header: u64,
    /// Length as it lies there.
    pub packed: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Where the directory lies, by the last bytes of an archive of `total` bytes.
pub fn directory(tail: &[u8], total: u64) -> Result<Directory, Invalid> {
    let last = tail.len().checked_sub(END_BYTES);
    let mut ends = last.into_iter().flat_map(|last| (0..=last).rev());
    let is_end = |&at: &usize| {
        let comment = number(tail, at + 20, 2).unwrap_or_default();
        number(tail, at, 4) == Some(u64::from(END)) && comment == (tail.len() - at - END_BYTES) as u64
    };
    let end = ends.find(is_end).ok_or_else(|| Invalid("the end of a ZIP is missing".into()))?;
    let cut = || Invalid("the end of the ZIP is cut off".into());
    let field = |at, n| number(tail, at, n).ok_or_else(cut);
    let (mut bytes, mut start) = (field(end + 12, 4)?, field(end + 16, 4)?);
    if [bytes, start].contains(&IN_64) || field(end + 10, 2)? == 0xffff {
        let locator = end.checked_sub(LOCATOR_64_BYTES).ok_or_else(cut)?;
        let at = field(locator + 8, 8)?.checked_sub(total.saturating_sub(tail.len() as u64));
        let at = at.filter(|at| *at < locator as u64).ok_or_else(cut)? as usize;
        let found = field(locator, 4)? == u64::from(LOCATOR_64) && field(at, 4)? == u64::from(END_64);
        ensure(found, || "the end of the ZIP is damaged".into())?;
        (bytes, start) = (field(at + 40, 8)?, field(at + 48, 8)?);
    }
    let fits = start.checked_add(bytes).is_some_and(|end| end <= total);
    ensure(fits, || format!("the ZIP's directory lies outside the file of {total} bytes: is it cut off?"))?;
    Ok(Directory { start, bytes })
}

/// The files that a directory lists, of an archive of `total` bytes.
pub fn entries(mut directory: &[u8], total: u64) -> Result<Vec<Entry>, Invalid> {
    let mut entries = Vec::new();
    while !directory.is_empty() {
        let cut = || Invalid("the ZIP's directory is cut off".into());
        ensure(number(directory, 0, 4) == Some(u64::from(ENTRY)), || {
            "the ZIP's directory is damaged".into()
        })?;
        let field = |at, n| number(directory, at, n).ok_or_else(cut);
        let (flags, method) = (field(8, 2)?, field(10, 2)? as u16);
        let (mut packed, mut bytes, mut header) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
        let extra = ENTRY_BYTES + field(28, 2)? as usize;
        let comment = extra + field(30, 2)? as usize;
        let end = comment + field(32, 2)? as usize;
        let name = directory.get(ENTRY_BYTES..extra).ok_or_else(cut)?;
        large_sizes(directory.get(extra..comment).ok_or_else(cut)?, [&mut bytes, &mut packed, &mut header])?;
        directory = directory.get(end..).ok_or_else(cut)?;
        let path = String::from_utf8_lossy(name).into_owned();
        let inside = header.checked_add(LOCAL_BYTES).and_then(|start| start.checked_add(packed));
        let inside = inside.is_some_and(|end| end <= total);
        ensure(inside, || format!("{path:?} lies outside the file of {total} bytes: is it cut off?"))?;
        entries.push(Entry { path, method, is_encrypted: flags & 1 != 0, header, packed, bytes });
    }
    Ok(entries)
}

/// Takes those of `sizes` that did not fit into 32 bits from the fields after a file's name, where they follow in order.
fn large_sizes(mut fields: &[u8], sizes: [&mut u64; 3]) -> Result<(), Invalid> {
    let mut sizes = sizes.into_iter().filter(|size| **size == IN_64).peekable();
    while let (Some(id), Some(n), Some(_)) = (number(fields, 0, 2), number(fields, 2, 2), sizes.peek()) {
        let cut = || Invalid("the ZIP's directory is cut off".into());
        let field = fields.get(4..4 + n as usize).ok_or_else(cut)?;
        if id == 1 {
            for (i, size) in sizes.by_ref().enumerate() {
                *size = number(field, 8 * i, 8).ok_or_else(cut)?;
            }
        }
        fields = &fields[4 + n as usize..];
    }
    Ok(())
}

/// Where a file's bytes begin, by the header before them.
pub fn data_start(entry: &Entry, header: &[u8]) -> Result<u64, Invalid> {
    let lengths = (number(header, 26, 2), number(header, 28, 2));
    match (number(header, 0, 4), lengths) {
        (Some(signature), (Some(name), Some(extra))) if signature == u64::from(LOCAL) => {
            Ok(entry.header + LOCAL_BYTES + name + extra)
        }
        _ => Err(Invalid(format!("the header of {:?} is damaged", entry.path))),
    }
}

/// The little-endian number of `n` bytes at `at`.
fn number(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(n)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
