//! Zip archives, as torch.save and numpy write them: the central directory, with limits on everything.
//!
//! Its own reader rather than a crate's: what matters here is where a stored member's bytes lie (for
//! positioned reads) and that sizes are checked before anything is allocated.

use std::collections::BTreeMap;

use super::error::WeightsError;
use super::file::{InputFile, Span};

const NAME: &str = "zip";
/// The end record is 22 bytes and a comment of at most 65,535.
const END_BYTES: u64 = 22;
/// Up to this many bytes in all, members may be as compressible as they like: a million zeros are a fair threshold vector.
const SMALL_BYTES: u64 = 64 << 20;
/// Weights deflate to some nine tenths; a hundredth is a bomb.
const MAX_RATIO: u64 = 100;
/// No checkpoint has more members.
const MAX_MEMBERS: u64 = 100_000;
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;

/// The members by name.
pub fn members(file: &InputFile) -> Result<BTreeMap<String, Span>, WeightsError> {
    let (count, directory_len, directory_start) = directory(file)?;
    if count > MAX_MEMBERS || directory_len > MAX_DIRECTORY_BYTES {
        return Err(file.malformed(NAME, format!("its directory claims {count} members")));
    }
    file.check("the archive's directory", directory_start, directory_len)?;
    let bytes = file.read(directory_start, directory_len)?;
    let mut fields = Fields { bytes: &bytes, file };
    let mut members = BTreeMap::new();
    let mut unpacked = 0u64;
    for _ in 0..count {
        let (name, span) = member(file, &mut fields)?;
        if let Span::Deflated { packed, len, .. } = &span {
            unpacked = unpacked.saturating_add(*len);
            if unpacked > SMALL_BYTES && len / MAX_RATIO > *packed {
                let (member, packed, unpacked) = (name, *packed, *len);
                return Err(WeightsError::Bomb { member, packed, unpacked, path: file.path().to_owned() });
            }
        }
        members.insert(name, span);
    }
    refuse_overlaps(file, &members)?;
    Ok(members)
}

/// Members that share bytes are a way to claim more than a file holds.
fn refuse_overlaps(file: &InputFile, members: &BTreeMap<String, Span>) -> Result<(), WeightsError> {
    let mut spans: Vec<(u64, u64, &str)> = members
        .iter()
        .map(|(name, span)| match span {
            Span::Stored { start, len } => (*start, start + len, name.as_str()),
            Span::Deflated { start, packed, .. } => (*start, start + packed, name.as_str()),
        })
        .filter(|(start, end, _)| start < end)
        .collect();
    spans.sort_unstable();
    match spans.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        None => Ok(()),
        Some(pair) => {
            let reason = format!("\"{}\" and \"{}\" lie over one another", pair[0].2, pair[1].2);
            Err(file.malformed(NAME, reason))
        }
    }
}

/// Count of members, length and start of the central directory.
fn directory(file: &InputFile) -> Result<(u64, u64, u64), WeightsError> {
    let tail_len = file.len().min(END_BYTES + 65_535);
    let tail_start = file.len() - tail_len;
    let tail = file.read(tail_start, tail_len)?;
    let end = tail
        .windows(4)
        .rposition(|four| four == b"PK\x05\x06")
        .ok_or_else(|| file.malformed(NAME, "it has no directory at its end: it is truncated"))?;
    let mut fields = Fields { bytes: &tail[end..], file };
    fields.skip(10)?;
    let (count, len, start, comment_len) = (fields.u16()?, fields.u32()?, fields.u32()?, fields.u16()?);
    if fields.bytes.len() as u64 != comment_len {
        return Err(file.malformed(NAME, "its end record is cut short: it is truncated"));
    }
    if count != 0xFFFF && len != 0xFFFF_FFFF && start != 0xFFFF_FFFF {
        return Ok((count, len, start));
    }
    let locator = (tail_start + end as u64)
        .checked_sub(20)
        .ok_or_else(|| file.malformed(NAME, "its zip64 locator is missing"))?;
    let bytes = file.read(locator, 20)?;
    let mut fields = Fields { bytes: &bytes, file };
    fields.signature(*b"PK\x06\x07")?;
    fields.skip(4)?;
    let bytes = file.read(fields.u64()?, 56)?;
    let mut fields = Fields { bytes: &bytes, file };
    fields.signature(*b"PK\x06\x06")?;
    fields.skip(28)?;
    Ok((fields.u64()?, fields.u64()?, fields.u64()?))
}

fn member(file: &InputFile, fields: &mut Fields<'_>) -> Result<(String, Span), WeightsError> {
    fields.signature(*b"PK\x01\x02")?;
    fields.skip(4)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.skip(8)?;
    let (mut packed, mut len) = (fields.u32()?, fields.u32()?);
    let (name_len, extra_len, comment_len) = (fields.u16()?, fields.u16()?, fields.u16()?);
    fields.skip(8)?;
    let mut header = fields.u32()?;
    let name = String::from_utf8_lossy(fields.take(name_len)?).into_owned();
    let mut extra = Fields { bytes: fields.take(extra_len)?, file };
    fields.skip(comment_len)?;
    while extra.bytes.len() >= 4 {
        let (id, size) = (extra.u16()?, extra.u16()?);
        let mut field = Fields { bytes: extra.take(size)?, file };
        if id == 1 {
            for value in [&mut len, &mut packed, &mut header] {
                if *value == 0xFFFF_FFFF {
                    *value = field.u64()?;
                }
            }
        }
    }
    if flags & 1 != 0 {
        return Err(file.malformed(NAME, format!("{name:?} is encrypted")));
    }
    let start = data_start(file, &name, header)?;
    file.check(&format!("{name:?}"), start, packed)?;
    let span = match method {
        0 if packed == len => Span::Stored { start, len },
        0 => return Err(file.malformed(NAME, format!("{name:?} is stored with two different sizes"))),
        8 => Span::Deflated { member: name.clone(), start, packed, len },
        other => {
            let reason = format!("{name:?} is compressed by method {other}, expected 0 or 8");
            return Err(file.malformed(NAME, reason));
        }
    };
    Ok((name, span))
}

/// Past the member's local header, whose extra field may differ from the directory's.
fn data_start(file: &InputFile, name: &str, header: u64) -> Result<u64, WeightsError> {
    file.check(&format!("{name:?}"), header, 30)?;
    let bytes = file.read(header, 30)?;
    let mut fields = Fields { bytes: &bytes, file };
    fields.signature(*b"PK\x03\x04")?;
    fields.skip(22)?;
    Ok(header + 30 + fields.u16()? + fields.u16()?)
}

/// Little-endian fields, one after another.
struct Fields<'a> {
    bytes: &'a [u8],
    file: &'a InputFile,
}

impl<'a> Fields<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], WeightsError> {
        let n = n as usize;
        if n > self.bytes.len() {
            return Err(self.file.malformed(NAME, "a record of its directory is cut short"));
        }
        let (taken, rest) = self.bytes.split_at(n);
        self.bytes = rest;
        Ok(taken)
    }

    fn skip(&mut self, n: u64) -> Result<(), WeightsError> {
        self.take(n).map(|_| ())
    }

    fn signature(&mut self, expected: [u8; 4]) -> Result<(), WeightsError> {
        if self.take(4)? == expected {
            return Ok(());
        }
        Err(self.file.malformed(NAME, "a record of its directory is not where it should be"))
    }

    fn number(&mut self, n: u64) -> Result<u64, WeightsError> {
        Ok(self.take(n)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Result<u64, WeightsError> {
        self.number(2)
    }

    fn u32(&mut self) -> Result<u64, WeightsError> {
        self.number(4)
    }

    fn u64(&mut self) -> Result<u64, WeightsError> {
        self.number(8)
    }
}
