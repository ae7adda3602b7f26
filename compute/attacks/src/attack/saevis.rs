//! Tries any bytes as a bundle in one file, `.saevis`: its end, its directory, and where each of its files lies.

use shared::archive::{ArchiveWriter, directory, entries};
use shared::zip::{LOCAL_BYTES, TAIL_BYTES, data_start};

use super::good;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    outcome(open(bytes))
}

fn open(bytes: &[u8]) -> Option<usize> {
    let total = bytes.len() as u64;
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES as usize)..];
    let found = judged(directory(tail, total))?;
    let listed = &bytes[found.start as usize..(found.start + found.bytes) as usize];
    let files = judged(entries(listed, total))?;
    for file in &files {
        let header = &bytes[file.header as usize..(file.header + LOCAL_BYTES) as usize];
        let _start = judged(data_start(file, header));
    }
    Some(files.len())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut archive = ArchiveWriter::new(Vec::new());
    let added = archive.add("manifest.json", b"{}").and_then(|()| archive.add("features/0000.bin", &[1, 2, 3]));
    let large = good::zip(&[("a", b"x")], false);
    added.and_then(|()| archive.finish()).into_iter().chain([large]).collect()
}
