//! A bundle as one JSON document, [`Document`], and back: what a bundle made of it says is the same to the byte.
//!
//! Both ways go part by part, so that a document may be larger than memory.

mod read;
mod write;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
#[cfg(doc)]
use shared::document::Document;

use crate::output::OwnKind;

pub use read::read_json;
pub use write::write_json;

/// What an exported document may replace.
pub const JSON_BUNDLE: OwnKind = OwnKind { name: "a bundle as JSON", is: is_document };
/// What every document begins with.
const BEGINNING: &str = "{\"manifest\":{\"schema\":";

/// Whether the file at `path` is a document as this program writes them.
fn is_document(path: &Path) -> bool {
    let read = || {
        let mut beginning = [0; BEGINNING.len()];
        unzipped(File::open(path)?)?.read_exact(&mut beginning)?;
        Ok::<_, std::io::Error>(beginning == BEGINNING.as_bytes())
    };
    read().unwrap_or(false)
}

/// What a file holds, decompressed where it is gzipped.
pub fn unzipped(file: File) -> std::io::Result<Box<dyn Read>> {
    use std::io::BufRead as _;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let is_gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}
