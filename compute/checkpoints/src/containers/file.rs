//! A file of weights, read by position, and spans of it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use super::error::WeightsError;

/// How much packed data is in memory at once while it is unpacked, in bytes.
const PACKED_PIECE_BYTES: usize = 256 << 10;

/// An open file and its length; or the same bytes in memory, where there are no files.
#[derive(Debug)]
pub struct InputFile {
    path: PathBuf,
    len: u64,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    #[cfg(unix)]
    File(std::fs::File),
    Memory(Vec<u8>),
}

impl InputFile {
    /// Opens a file; its first bytes are not looked at.
    pub fn open(path: &Path) -> Result<Arc<Self>, WeightsError> {
        let read = |cause| WeightsError::Read { cause, path: path.to_owned() };
        // Opening a named pipe would wait for a writer, so the kind of file is looked at first.
        let metadata = std::fs::metadata(path).map_err(read)?;
        if metadata.is_dir() {
            return Err(read(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        if !metadata.is_file() {
            return Err(read(std::io::Error::other("a pipe or device, expected a file")));
        }
        #[cfg(unix)]
        let bytes = Bytes::File(std::fs::File::open(path).map_err(read)?);
        #[cfg(not(unix))]
        let bytes = Bytes::Memory(std::fs::read(path).map_err(read)?);
        Ok(Arc::new(Self { path: path.to_owned(), len: metadata.len(), bytes }))
    }

    /// Bytes in memory, under a name for messages.
    pub fn from_memory(name: &Path, bytes: Vec<u8>) -> Arc<Self> {
        let len = bytes.len() as u64;
        Arc::new(Self { path: name.to_owned(), len, bytes: Bytes::Memory(bytes) })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads `len` bytes at `start`, both checked against the file first.
    pub(super) fn read(&self, start: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        self.check("the file", start, len)?;
        let mut bytes = vec![0; len as usize];
        self.fill(start, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` from `start` on.
    pub(super) fn fill(&self, start: u64, bytes: &mut [u8]) -> Result<(), WeightsError> {
        match &self.bytes {
            #[cfg(unix)]
            Bytes::File(file) => std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
                .map_err(|cause| WeightsError::Read { cause, path: self.path.clone() }),
            Bytes::Memory(all) => {
                self.check("the file", start, bytes.len() as u64)?;
                let start = start as usize;
                bytes.copy_from_slice(&all[start..start + bytes.len()]);
                Ok(())
            }
        }
    }

    /// Checks that a span lies within the file; `what` names it.
    pub(super) fn check(&self, what: &str, start: u64, len: u64) -> Result<(), WeightsError> {
        let end = start.saturating_add(len);
        if end <= self.len {
            return Ok(());
        }
        Err(WeightsError::Truncated {
            what: what.to_owned(),
            expected: end,
            got: self.len,
            path: self.path.clone(),
        })
    }

    /// The error for contents that make no sense.
    pub(super) fn malformed(&self, container: &'static str, reason: impl Into<String>) -> WeightsError {
        WeightsError::Malformed { container, reason: reason.into(), path: self.path.clone() }
    }
}

/// Where bytes lie: as they are, or deflated.
#[derive(Clone, Debug)]
pub(super) enum Span {
    /// `len` bytes at `start`.
    Stored { start: u64, len: u64 },
    /// `packed` bytes at `start` that inflate to `len`.
    Deflated { member: String, start: u64, packed: u64, len: u64 },
}

impl Span {
    /// Length after inflation.
    pub fn len(&self) -> u64 {
        match self {
            Self::Stored { len, .. } | Self::Deflated { len, .. } => *len,
        }
    }

    /// The first `len` bytes, after inflation.
    pub fn head(&self, file: &InputFile, len: u64) -> Result<Vec<u8>, WeightsError> {
        let len = len.min(self.len());
        match self {
            Self::Stored { start, .. } => file.read(*start, len),
            Self::Deflated { member, start, packed, .. } => inflate(file, member, *start, *packed, len),
        }
    }

    /// All bytes, after inflation; more or fewer than declared is an error.
    pub fn whole(&self, file: &InputFile) -> Result<Vec<u8>, WeightsError> {
        let Self::Deflated { member, start, packed, len } = self else {
            return self.head(file, self.len());
        };
        let bytes = inflate(file, member, *start, *packed, len.saturating_add(1))?;
        if bytes.len() as u64 == *len {
            return Ok(bytes);
        }
        let reason = format!("{member:?} declares {len} bytes and unpacks to {} or more", bytes.len());
        Err(file.malformed("zip", reason))
    }
}

fn inflate(
    file: &InputFile,
    member: &str,
    start: u64,
    packed: u64,
    limit: u64,
) -> Result<Vec<u8>, WeightsError> {
    let packed =
        std::io::BufReader::with_capacity(PACKED_PIECE_BYTES, Part { file, at: start, end: start + packed });
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| file.malformed("zip", format!("{member:?} cannot be unpacked: {error}")))?;
    Ok(bytes)
}

/// Part of a file as a stream.
struct Part<'a> {
    file: &'a InputFile,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let n = (self.end - self.at).min(bytes.len() as u64) as usize;
        self.file.fill(self.at, &mut bytes[..n]).map_err(std::io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}
