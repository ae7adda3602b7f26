//! Opening a corpus file: regular files only, unpacked as they are read.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use super::{Compression, CorpusError};

/// A file's bytes, unpacked.
pub type Bytes = Box<dyn BufRead + Send>;

/// Opens a regular file; a pipe would wait for ever, a device never end.
pub fn regular(path: &Path) -> Result<File, CorpusError> {
    let read = |cause| CorpusError::Read { cause, path: path.to_owned() };
    let kind = fs::metadata(path).map_err(read)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(CorpusError::NotAFile { path: path.to_owned() });
    }
    File::open(path).map_err(read)
}

/// Opens a text file at byte `start`, which is 0 for a compressed one; at the beginning a byte-order mark is dropped.
pub fn bytes(path: &Path, compression: Compression, start: u64) -> Result<Bytes, CorpusError> {
    let read = |cause| CorpusError::Read { cause, path: path.to_owned() };
    let mut file = regular(path)?;
    if start > 0 {
        file.seek(SeekFrom::Start(start)).map_err(read)?;
    }
    let file = BufReader::with_capacity(1 << 16, file);
    let mut plain: Bytes = match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))),
        Compression::Zstd => {
            let unpacked = zstd::Decoder::with_buffer(file).map_err(read)?;
            Box::new(BufReader::with_capacity(1 << 16, unpacked))
        }
    };
    if start == 0 {
        plain = without_mark(plain, path)?;
    }
    Ok(plain)
}

/// The bytes after a byte-order mark. Other encodings than UTF-8 and Git LFS pointers are refused.
fn without_mark(mut bytes: Bytes, path: &Path) -> Result<Bytes, CorpusError> {
    const LFS: &[u8] = b"version https://git-lfs";
    let read = |cause| CorpusError::Read { cause, path: path.to_owned() };
    let mut head = Vec::new();
    bytes.by_ref().take(LFS.len() as u64).read_to_end(&mut head).map_err(read)?;
    let wrong = |reason: &str| {
        Err(CorpusError::File { format: "text", reason: reason.to_owned(), path: path.to_owned() })
    };
    if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
        return wrong("it is UTF-16, expected UTF-8");
    }
    if head == LFS {
        return wrong("it is a Git LFS pointer, not the file itself: run git lfs pull");
    }
    if head.starts_with(&[0xEF, 0xBB, 0xBF]) {
        head.drain(..3);
    }
    Ok(Box::new(std::io::Cursor::new(head).chain(bytes)))
}
