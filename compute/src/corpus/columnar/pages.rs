//! Page headers of Parquet, read before the library does: it allocates what they claim.
//!
//! A page header is a Thrift struct in compact protocol whose fields 2 and 3 are the page's sizes, unpacked and packed.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use parquet::{arrow::ProjectionMask, file::metadata::ParquetMetaData};

use super::MAX_UNPACKED;
use crate::corpus::open;

/// Headers are tens of bytes, with statistics hundreds.
const USUAL_BYTES: usize = 4 << 10;
/// The longest header, which holds a minimum and a maximum.
const MAX_BYTES: usize = 1 << 20;
/// The type that ends a struct.
const STOP: u8 = 0;
/// Structs in structs.
const MAX_DEPTH: usize = 8;

/// Refuses pages that claim more than a page has, or than the file.
pub fn check(
    path: &Path,
    file: &ParquetMetaData,
    mask: &ProjectionMask,
    groups: &[usize],
) -> Result<(), String> {
    let opened = open::regular(path).map_err(|e| e.to_string())?;
    let len = opened.metadata().map_err(|e| e.to_string())?.len();
    let groups = groups.iter().filter_map(|group| file.row_groups().get(*group));
    for group in groups {
        for (i, column) in group.columns().iter().enumerate() {
            if mask.leaf_included(i) {
                let (start, n) = column.byte_range();
                let end = start.checked_add(n).filter(|end| *end <= len);
                let end =
                    end.ok_or_else(|| format!("a column claims {n} bytes at {start}, the file has {len}"))?;
                check_pages(&opened, start, end)?;
            }
        }
    }
    Ok(())
}

fn check_pages(file: &File, start: u64, end: u64) -> Result<(), String> {
    let mut at = start;
    while at < end {
        let (header_bytes, sizes) = header(file, at, end)?;
        let packed = sizes.packed.filter(|n| *n <= end - at);
        let packed = packed.ok_or("a page is longer than its column")?;
        if sizes.unpacked.is_none_or(|n| n > MAX_UNPACKED) {
            return Err(format!("a page claims more than {MAX_UNPACKED} bytes unpacked"));
        }
        at += header_bytes + packed;
    }
    Ok(())
}

/// Sizes of a page; `None` where they are missing or negative.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    unpacked: Option<u64>,
    packed: Option<u64>,
}

/// The header at `at` and its own length.
fn header(file: &File, at: u64, end: u64) -> Result<(u64, Sizes), String> {
    for n in [USUAL_BYTES, MAX_BYTES] {
        let n = n.min((end - at) as usize);
        let mut bytes = vec![0; n];
        file.read_exact_at(&mut bytes, at).map_err(|e| e.to_string())?;
        let mut thrift = Thrift { bytes: &bytes };
        if let Some(sizes) = thrift.page_header() {
            return Ok(((n - thrift.bytes.len()) as u64, sizes));
        }
    }
    Err("a page has no header".to_owned())
}

/// What is left of a struct in compact protocol; every read gives `None` where it ends too early.
struct Thrift<'a> {
    bytes: &'a [u8],
}

impl Thrift<'_> {
    fn page_header(&mut self) -> Option<Sizes> {
        let mut sizes = Sizes::default();
        let mut id = 0;
        loop {
            let (field, kind) = self.field(id)?;
            id = field;
            match (field, kind) {
                (_, STOP) => return Some(sizes),
                (2, 5) => sizes.unpacked = u64::try_from(self.signed()?).ok(),
                (3, 5) => sizes.packed = u64::try_from(self.signed()?).ok(),
                (_, kind) => self.skip(kind, 0)?,
            }
        }
    }

    /// Number and type of the next field; [`STOP`] ends the struct.
    fn field(&mut self, before: i64) -> Option<(i64, u8)> {
        let byte = self.byte()?;
        if byte == STOP {
            return Some((0, STOP));
        }
        let id = match byte >> 4 {
            0 => self.signed()?,
            delta => before.checked_add(i64::from(delta))?,
        };
        Some((id, byte & 0x0F))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.signed()?),
            7 => self.take(8)?,
            8 => {
                let n = self.unsigned()?;
                self.take(usize::try_from(n).ok()?)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let n = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
                for _ in 0..n {
                    // Truth values take a byte each in lists.
                    let kind = if head & 0x0F <= 2 { 3 } else { head & 0x0F };
                    self.skip(kind, depth + 1)?;
                }
            }
            12 => {
                let mut id = 0;
                loop {
                    let (field, kind) = self.field(id)?;
                    if kind == STOP {
                        break;
                    }
                    id = field;
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, n: usize) -> Option<()> {
        self.bytes = self.bytes.get(n..)?;
        Some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Zigzag: 0, -1, 1, -2, …
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_among_other_fields() {
        // type = 0, unpacked = 300, packed = 5, a struct of a list of two truth values, end.
        let header = [0x15, 0, 0x15, 0xD8, 0x04, 0x15, 10, 0x2C, 0x19, 0x21, 1, 2, 0, 0, 99];
        let mut thrift = Thrift { bytes: &header };
        let sizes = Sizes { unpacked: Some(300), packed: Some(5) };
        assert_eq!(thrift.page_header(), Some(sizes));
        assert_eq!(thrift.bytes, [99]);
        for end in 0..header.len() - 1 {
            assert_eq!(Thrift { bytes: &header[..end] }.page_header(), None, "prefix of {end} bytes");
        }
    }
}
