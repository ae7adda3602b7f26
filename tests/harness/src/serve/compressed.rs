//! Files as static hosts send them: what compresses well gzipped, each file once.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use flate2::{Compression, write::GzEncoder};

/// Gzipped files, by path.
#[derive(Debug, Default)]
pub(super) struct Compressed(Mutex<HashMap<PathBuf, GzippedFile>>);

#[derive(Debug)]
struct GzippedFile {
    /// When the file was last changed.
    modified: SystemTime,
    bytes: Arc<[u8]>,
}

impl Compressed {
    /// `file` gzipped, which lies at `path`.
    pub fn of(&self, path: &Path, file: &mut File) -> io::Result<Arc<[u8]>> {
        let modified = file.metadata()?.modified()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get(path).filter(|kept| kept.modified == modified) {
            return Ok(Arc::clone(&kept.bytes));
        }
        let mut plain = Vec::new();
        file.read_to_end(&mut plain)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&plain)?;
        let bytes: Arc<[u8]> = gzip.finish()?.into();
        kept.insert(path.to_owned(), GzippedFile { modified, bytes: Arc::clone(&bytes) });
        Ok(bytes)
    }
}

/// Whether hosts compress files of this media type. Bundles' own files are gzipped as they are.
pub(super) fn is_compressible(mime_type: &str) -> bool {
    let is_text = mime_type.starts_with("text/");
    is_text || matches!(mime_type, "application/wasm" | "application/json" | "image/svg+xml")
}
