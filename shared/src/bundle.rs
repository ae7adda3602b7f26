//! Files of a bundle: where they lie, how they are encoded, and how they are checked when read.
//!
//! | path | type |
//! |---|---|
//! | `manifest.json` | [`Manifest`], plain JSON |
//! | `vocab.*` | [`crate::vocab::Vocab`] |
//! | `corpus/NNNN.*` | [`crate::corpus::CorpusChunk`] |
//! | `features/index.*` | [`crate::index::FeatureIndex`] |
//! | `features/NNNN.*` | [`crate::feature::FeatureBlock`] |
//! | `features/labels.*` | [`crate::labels::Labels`], where there are any (since 2.1) |
//! | `prompts/index.*` | [`crate::prompt::PromptIndex`] |
//! | `prompts/NNNN.*` | [`crate::prompt::Prompt`] |
//!
//! Nothing is trusted: [`decode`] checks length, checksum, decompressed length and every relation between
//! values before a caller sees them.

use std::{
    borrow::Cow,
    io::{Read, Write},
};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use flate2::{Compression, bufread::DeflateDecoder, write::GzEncoder};
use postcard_schema::{Schema, schema::DataModelType};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{BundleError, Invalid},
    json,
    manifest::{FileInfo, Manifest},
};

/// No file of a bundle decompresses to more than this.
pub const MAX_DECODED_BYTES: u64 = 1 << 30;

/// The checksum of files, that of gzip. One table of 1 KB: the fast variants' tables do not compress, and weigh a
/// twentieth of the page.
pub(crate) static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// How a bundle's files are encoded. Both are gzipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Compact: [postcard](https://postcard.jamesmunns.com/wire-format).
    #[default]
    Postcard,
    /// The same types as JSON, for other programs to read.
    Json,
}

impl Encoding {
    fn extension(self) -> &'static str {
        match self {
            Self::Postcard => "bin",
            Self::Json => "json.gz",
        }
    }

    /// Path of the vocabulary.
    pub fn vocab_path(self) -> String {
        format!("vocab.{}", self.extension())
    }

    /// Path of corpus chunk `i`.
    pub fn corpus_path(self, i: usize) -> String {
        format!("corpus/{i:04}.{}", self.extension())
    }

    /// Path of the table over all features.
    pub fn index_path(self) -> String {
        format!("features/index.{}", self.extension())
    }

    /// Path of block `i` of features.
    pub fn block_path(self, i: usize) -> String {
        format!("features/{i:04}.{}", self.extension())
    }

    /// Path of the labels of features.
    pub fn labels_path(self) -> String {
        format!("features/labels.{}", self.extension())
    }

    /// Path of the list of prompts.
    pub fn prompt_index_path(self) -> String {
        format!("prompts/index.{}", self.extension())
    }

    /// Path of prompt `i`.
    pub fn prompt_path(self, i: usize) -> String {
        format!("prompts/{i:04}.{}", self.extension())
    }
}

/// A type of the schema that can check its own values.
pub trait Checked: DeserializeOwned + Schema {
    /// Fails where values contradict one another, so that readers need not check again.
    fn validate(&self) -> Result<(), Invalid>;
}

/// Encodes a value as the file at `path`: its bytes and its entry for the manifest.
pub fn encode<T: Serialize>(
    value: &T,
    path: String,
    encoding: Encoding,
) -> Result<(FileInfo, Vec<u8>), BundleError> {
    let failed = |reason: String| BundleError::Decode { reason, path: path.clone() };
    let plain = match encoding {
        Encoding::Postcard => postcard::to_stdvec(value).map_err(|e| failed(e.to_string()))?,
        Encoding::Json => serde_json::to_vec(value).map_err(|e| failed(e.to_string()))?,
    };
    // Level 6: level 9 gains 1 % of size for 2.5 times the time. The header carries no time, so bytes repeat.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(&plain).map_err(|e| failed(e.to_string()))?;
    let bytes = gzip.finish().map_err(|e| failed(e.to_string()))?;
    let info = FileInfo {
        crc32: CRC32.checksum(&bytes),
        bytes: bytes.len() as u64,
        decoded_bytes: plain.len() as u64,
        path,
    };
    Ok((info, bytes))
}

/// Decodes and checks the file at `path`, whose bytes are `bytes`, by what the manifest says of it.
///
/// A host that serves `.json.gz` with `Content-Encoding: gzip` hands over the decompressed bytes; these are
/// recognised by the missing gzip header and checked by their length alone.
pub fn decode<T: Checked>(manifest: &Manifest, path: &str, bytes: &[u8]) -> Result<T, BundleError> {
    let plain = plain(manifest, path, bytes, T::SCHEMA.ty)?;
    let failed = |e: postcard::Error| BundleError::Decode { reason: e.to_string(), path: path.to_owned() };
    let value: T = postcard::from_bytes(&plain).map_err(failed)?;
    value.validate().map_err(|Invalid(reason)| BundleError::Invalid { reason, path: path.to_owned() })?;
    Ok(value)
}

/// The checked file as postcard.
fn plain<'a>(
    manifest: &Manifest,
    path: &str,
    bytes: &'a [u8],
    ty: &'static DataModelType,
) -> Result<Cow<'a, [u8]>, BundleError> {
    let info = manifest.file(path)?;
    let failed = |reason: String| BundleError::Decode { reason, path: path.to_owned() };
    let limit = info.decoded_bytes.min(MAX_DECODED_BYTES);
    let plain = if bytes.starts_with(&[0x1f, 0x8b]) {
        check_stored(info, bytes)?;
        Cow::Owned(inflate(bytes, limit).map_err(|e| failed(e.to_string()))?)
    } else {
        Cow::Borrowed(bytes)
    };
    if plain.len() as u64 != info.decoded_bytes {
        let (expected, got) = (info.decoded_bytes, plain.len() as u64);
        return Err(BundleError::Truncated { expected, got, path: path.to_owned() });
    }
    match manifest.encoding {
        Encoding::Postcard => Ok(plain),
        Encoding::Json => json::to_postcard(&plain, ty).map(Cow::Owned).map_err(|e| failed(e.to_string())),
    }
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

/// Decompresses at most `limit` bytes and one more, which shows that there were too many.
///
/// The trailer's checksum is not computed: the manifest's covers the file as stored.
fn inflate(bytes: &[u8], limit: u64) -> std::io::Result<Vec<u8>> {
    let body = gzip_body(bytes).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut plain = Vec::new();
    DeflateDecoder::new(body).take(limit + 1).read_to_end(&mut plain)?;
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
