//! What a corpus file holds and how it is packed, by its name.

use std::path::Path;

use super::CorpusError;

/// What a corpus file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorpusKind {
    /// Text, one document a file.
    Text,
    /// JSON, one document a line or a value of an array.
    Json,
    /// Parquet, one document a row.
    Parquet,
    /// Arrow's IPC format, one document a row: what `datasets` keeps.
    Arrow,
    /// Token ids, one row a row.
    Tokens,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl CorpusKind {
    /// By the file's name, and how it is compressed.
    pub fn with_compression(path: &Path) -> Result<(Self, Compression), CorpusError> {
        let extension = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let outer = extension(path);
        let compression = match outer.as_deref() {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        };
        let inner = match compression {
            Compression::None => outer,
            _ => path.file_stem().and_then(|stem| extension(Path::new(stem))),
        };
        match (inner.as_deref(), compression) {
            (Some("txt"), _) => Ok((Self::Text, compression)),
            (Some("jsonl" | "ndjson" | "json"), _) => Ok((Self::Json, compression)),
            (Some("parquet"), Compression::None) => Ok((Self::Parquet, compression)),
            (Some("arrow"), Compression::None) => Ok((Self::Arrow, compression)),
            (Some("npy" | "safetensors" | "pt"), Compression::None) => Ok((Self::Tokens, compression)),
            _ => Err(CorpusError::Format { path: path.to_owned() }),
        }
    }

    /// By the file's name.
    pub fn of(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self::with_compression(path)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_format() {
        let of = |name: &str| CorpusKind::with_compression(Path::new(name)).ok();
        assert_eq!(of("a.txt"), Some((CorpusKind::Text, Compression::None)));
        assert_eq!(of("a.JSONL.GZ"), Some((CorpusKind::Json, Compression::Gzip)));
        assert_eq!(of("c4-train.00000-of-01024.json.gz"), Some((CorpusKind::Json, Compression::Gzip)));
        assert_eq!(of("a.ndjson.zst"), Some((CorpusKind::Json, Compression::Zstd)));
        assert_eq!(of("a.parquet"), Some((CorpusKind::Parquet, Compression::None)));
        assert_eq!(of("data-00000-of-00001.arrow"), Some((CorpusKind::Arrow, Compression::None)));
        assert_eq!(of("a.npy"), Some((CorpusKind::Tokens, Compression::None)));
        assert_eq!((of("a.npy.gz"), of("a.csv"), of("a")), (None, None, None));
    }
}
