//! Tries any bytes as a gzip file of a bundle, whose checksum is right; four bytes before it say what it unpacks to.

use shared::bundle::decode;
use shared::manifest::FileInfo;
use shared::vocab::Vocab;

use super::good;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let (size, file) = bytes.split_first_chunk::<4>().map_or((0, bytes), |(n, rest)| (u32::from_le_bytes(*n), rest));
    let Some(mut manifest) = good::V2.clone() else { return Outcome::Refused };
    manifest.files = vec![FileInfo {
        path: good::PATH.to_owned(),
        bytes: file.len() as u64,
        decoded_bytes: size.into(),
        crc32: crc32fast::hash(file),
        shared: false,
    }];
    outcome(judged(decode::<Vocab>(&manifest, good::PATH, file)))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let plain = good::of_v2("vocab.bin");
    vec![[&(plain.len() as u32).to_le_bytes()[..], &good::gzip(&plain)].concat()]
}
