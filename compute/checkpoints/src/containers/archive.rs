//! Zip archives, as torch.save and numpy write them, with limits on everything.
//!
//! `shared`'s own reader of the directory rather than a crate's: what matters here is where a stored member's bytes lie
//! (for positioned reads) and that sizes are checked before anything is allocated.

use std::collections::BTreeMap;

use shared::{
    error::Invalid,
    zip::{DEFLATED, Entry, LOCAL_BYTES, STORED, TAIL_BYTES, data_start, directory, entries},
};

use super::{
    error::WeightsError,
    file::{InputFile, Span},
};

const NAME: &str = "zip";
/// Up to this many bytes in all, members may be as compressible as they like: a million zeros are a fair threshold vector.
const SMALL_BYTES: u64 = 64 << 20;
/// Weights deflate to some nine tenths; a hundredth is a bomb.
const MAX_RATIO: u64 = 100;
/// No checkpoint has more members.
const MAX_MEMBERS: usize = 100_000;
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;

/// The members by name.
pub fn members(file: &InputFile) -> Result<BTreeMap<String, Span>, WeightsError> {
    let wrong = |Invalid(reason)| file.malformed(NAME, reason);
    let tail_len = file.len().min(TAIL_BYTES);
    let tail = file.read(file.len() - tail_len, tail_len)?;
    let directory = directory(&tail, file.len()).map_err(wrong)?;
    if directory.bytes > MAX_DIRECTORY_BYTES {
        return Err(file.malformed(NAME, format!("its directory claims {} bytes", directory.bytes)));
    }
    let entries = entries(&file.read(directory.start, directory.bytes)?, file.len()).map_err(wrong)?;
    if entries.len() > MAX_MEMBERS {
        return Err(file.malformed(NAME, format!("its directory claims {} members", entries.len())));
    }
    let mut members = BTreeMap::new();
    let mut unpacked = 0u64;
    for entry in entries {
        let span = span(file, &entry)?;
        if let Span::Deflated { packed, len, .. } = &span {
            unpacked = unpacked.saturating_add(*len);
            if unpacked > SMALL_BYTES && len / MAX_RATIO > *packed {
                let (member, packed, unpacked) = (entry.path, *packed, *len);
                return Err(WeightsError::Bomb { member, packed, unpacked, path: file.path().to_owned() });
            }
        }
        members.insert(entry.path, span);
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

/// Where a member's bytes lie.
fn span(file: &InputFile, entry: &Entry) -> Result<Span, WeightsError> {
    let Entry { path: member, packed, bytes: len, .. } = entry.clone();
    let wrong = |reason: String| Err(file.malformed(NAME, format!("{member:?} {reason}")));
    if entry.is_encrypted {
        return wrong("is encrypted".to_owned());
    }
    let header = file.read(entry.header, LOCAL_BYTES)?;
    let start = data_start(entry, &header).map_err(|Invalid(reason)| file.malformed(NAME, reason))?;
    file.check(&format!("{member:?}"), start, packed)?;
    match entry.method {
        STORED if packed == len => Ok(Span::Stored { start, len }),
        STORED => wrong("is stored with two different sizes".to_owned()),
        DEFLATED => Ok(Span::Deflated { member, start, packed, len }),
        other => wrong(format!("is compressed by method {other}, expected {STORED} or {DEFLATED}")),
    }
}
