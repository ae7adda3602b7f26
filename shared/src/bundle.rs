//! Files of a bundle as bytes: how they are encoded, and how they are checked when read.
//!
//! A file is a value in the encoding of [`crate::wire`], gzipped. Nothing is trusted: [`decode`] checks length, checksum,
//! decompressed length and every relation between values before a caller sees them.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{Read, Write},
};

use flate2::{Compression, bufread::DeflateDecoder, write::GzEncoder};

use crate::{
    checksum::CRC32,
    corpus::CorpusChunk,
    error::{BundleError, Invalid, ensure},
    explanations::Explanations,
    feature::FeatureBlock,
    index::FeatureIndex,
    labels::Labels,
    manifest::{FileInfo, Manifest},
    neighbours::Neighbours,
    prompt::{Prompt, PromptIndex},
    roles::{ChunkRoles, RoleStats},
    v2,
    vocab::Vocab,
    wire::{Reader, Wire, WireError},
};

/// No file of a bundle decompresses to more than this.
pub const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Nor to more than this many times its stored length, beyond the first [`FREE_BYTES`]: what a file takes in memory is
/// bounded by what was fetched. Real blocks are packed three to five times, blocks of dead features twenty times.
const MAX_RATIO: u64 = 64;
/// Memory that the lists of any file may take: far more than those of a block, a chunk or a prompt.
const FREE_ROOM: u64 = 128 << 20;
/// Beyond that, memory for each stored byte. Large files are indices and vocabularies, which take some four.
const ROOM_RATIO: u64 = 24;
/// Decompressed length that any file may have.
const FREE_BYTES: u64 = 4 << 20;

/// A file of a bundle.
pub trait Checked: Wire {
    /// Fails where values contradict one another, or the manifest, so that readers need not check again.
    fn check(&self, manifest: &Manifest) -> Result<(), Invalid>;

    /// Reads what schema 2 wrote.
    fn read_v2(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read(from)
    }
}

/// Encodes a value as the file at `path`: its bytes and its entry for the manifest.
pub fn encode<T: Wire>(value: &T, path: String) -> Result<(FileInfo, Vec<u8>), BundleError> {
    let mut plain = Vec::new();
    value.write(&mut plain);
    // Level 6: level 9 gains 1 % of size for 2.5 times the time.
    let mut bytes = gzip(&plain, 6, &path)?;
    if plain.len() as u64 > most_decoded(bytes.len() as u64) {
        bytes = gzip(&plain, 0, &path)?;
    }
    let info = FileInfo {
        crc32: CRC32.checksum(&bytes),
        bytes: bytes.len() as u64,
        decoded_bytes: plain.len() as u64,
        shared: false,
        path,
    };
    Ok((info, bytes))
}

/// The header carries no time, so bytes repeat.
fn gzip(plain: &[u8], level: u32, path: &str) -> Result<Vec<u8>, BundleError> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(level));
    let written = gzip.write_all(plain).and_then(|()| gzip.finish());
    written.map_err(|e| BundleError::Decode { reason: e.to_string(), path: path.to_owned() })
}

/// Decodes and checks the file at `path`, whose bytes are `bytes`, by what the manifest says of it.
///
/// A host that serves files with `Content-Encoding: gzip` hands over the decompressed bytes; these are recognised by the
/// missing gzip header and checked by their length alone.
pub fn decode<T: Checked>(manifest: &Manifest, path: &str, bytes: &[u8]) -> Result<T, BundleError> {
    let info = manifest.file(path)?;
    let plain = unpack(info, bytes)?;
    let room = Cell::new(most_room(info.bytes));
    let mut reader = Reader::within(&plain, &room);
    let read = if manifest.is_v2() { T::read_v2(&mut reader) } else { T::read(&mut reader) };
    let value = read.map_err(|e| BundleError::Decode { reason: e.to_string(), path: path.to_owned() })?;
    let invalid = |Invalid(reason)| BundleError::Invalid { reason, path: path.to_owned() };
    value.check(manifest).map_err(invalid)?;
    Ok(value)
}

/// The most that `stored` bytes may decompress to.
fn most_decoded(stored: u64) -> u64 {
    stored.saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES).min(MAX_DECODED_BYTES)
}

/// The most memory that the lists in `stored` bytes may take.
fn most_room(stored: u64) -> u64 {
    stored.saturating_mul(ROOM_RATIO).saturating_add(FREE_ROOM)
}

/// The checked file, decompressed.
fn unpack<'a>(info: &FileInfo, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, BundleError> {
    let path = || info.path.clone();
    let most = most_decoded(info.bytes);
    if info.decoded_bytes > most {
        let (decoded, stored) = (info.decoded_bytes, info.bytes);
        let reason =
            format!("{stored} bytes are said to unpack to {decoded}, more than the {most} that they may");
        return Err(BundleError::Invalid { reason, path: path() });
    }
    let plain = if bytes.starts_with(&[0x1f, 0x8b]) {
        check_stored(info, bytes)?;
        let failed = |e: std::io::Error| BundleError::Decode { reason: e.to_string(), path: path() };
        Cow::Owned(inflate(bytes, info.decoded_bytes).map_err(failed)?)
    } else {
        Cow::Borrowed(bytes)
    };
    if plain.len() as u64 != info.decoded_bytes {
        let (expected, got) = (info.decoded_bytes, plain.len() as u64);
        return Err(BundleError::Truncated { expected, got, path: path() });
    }
    Ok(plain)
}

fn check_stored(info: &FileInfo, bytes: &[u8]) -> Result<(), BundleError> {
    let path = info.path.clone();
    if bytes.len() as u64 != info.bytes {
        return Err(BundleError::Truncated { expected: info.bytes, got: bytes.len() as u64, path });
    }
    let got = CRC32.checksum(bytes);
    if got != info.crc32 {
        return Err(BundleError::Checksum { expected: info.crc32, got, path });
    }
    Ok(())
}

/// Decompresses at most `expected` bytes and one more, which shows that there were too many.
///
/// The trailer's checksum is not computed: the manifest's covers the file as stored.
fn inflate(bytes: &[u8], expected: u64) -> std::io::Result<Vec<u8>> {
    let body = gzip_body(bytes).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut plain = Vec::with_capacity(expected as usize + 1);
    DeflateDecoder::new(body).take(expected + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// What follows the header of a gzip member (RFC 1952, section 2.3).
fn gzip_body(bytes: &[u8]) -> Option<&[u8]> {
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (header, mut body) = bytes.split_at_checked(10)?;
    let flags = header[3];
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes([*body.first()?, *body.get(1)?]);
        body = body.get(2 + usize::from(len)..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            body = body.get(body.iter().position(|b| *b == 0)? + 1..)?;
        }
    }
    if flags & CHECKSUM != 0 { body.get(2..) } else { Some(body) }
}

impl Checked for FeatureBlock {
    fn check(&self, _manifest: &Manifest) -> Result<(), Invalid> {
        self.validate()
    }

    fn read_v2(from: &mut Reader<'_>) -> Result<Self, WireError> {
        v2::feature_block(from)
    }
}

impl Checked for FeatureIndex {
    fn check(&self, manifest: &Manifest) -> Result<(), Invalid> {
        let (n, expected) = (self.len(), manifest.n_features());
        ensure(n == expected, || format!("the index has {n} features, the manifest {expected}"))?;
        self.validate()
    }

    fn read_v2(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read_v2(from)
    }
}

impl Checked for Prompt {
    fn check(&self, _manifest: &Manifest) -> Result<(), Invalid> {
        self.validate()
    }

    fn read_v2(from: &mut Reader<'_>) -> Result<Self, WireError> {
        v2::prompt(from)
    }
}

impl Checked for PromptIndex {
    fn check(&self, manifest: &Manifest) -> Result<(), Invalid> {
        let (n, expected) = (self.texts.len(), manifest.n_prompts);
        ensure(n as u64 == u64::from(expected), || {
            format!("there are {n} prompts, the manifest has {expected}")
        })
    }
}

impl Checked for Labels {
    fn check(&self, manifest: &Manifest) -> Result<(), Invalid> {
        let (n, most) = (self.features.len(), manifest.n_features());
        ensure(n <= most, || format!("{n} features have labels, the manifest has {most}"))?;
        self.validate()
    }
}

/// Files whose own values are all that is checked.
macro_rules! checked_alone {
    ($($name:ident),+) => {$(
        impl Checked for $name {
            fn check(&self, _manifest: &Manifest) -> Result<(), Invalid> {
                self.validate()
            }
        }
    )+};
}
checked_alone!(CorpusChunk, Vocab, Explanations, ChunkRoles, RoleStats, Neighbours);
