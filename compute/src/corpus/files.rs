//! Which files make up a corpus: one, a folder's, or those of a glob; and what each holds.

use std::path::{Path, PathBuf};

use super::CorpusError;

/// What a corpus file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorpusKind {
    /// Text, one document a file.
    Text,
    /// JSON Lines, one document a line.
    JsonLines,
    /// Parquet, one document a row: text, or lists of token ids.
    Parquet,
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
    /// By the file's name.
    pub fn of(path: &Path) -> Result<(Self, Compression), CorpusError> {
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
            (Some("jsonl"), _) => Ok((Self::JsonLines, compression)),
            (Some("parquet"), Compression::None) => Ok((Self::Parquet, compression)),
            (Some("npy" | "safetensors"), Compression::None) => Ok((Self::Tokens, compression)),
            _ => Err(CorpusError::Format { path: path.to_owned() }),
        }
    }
}

/// The files that `data` names, in order of their paths: itself, those in a folder that are of a known format, or those
/// that a glob such as `pile/*.jsonl.zst` matches.
pub fn files(data: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let read = |source| CorpusError::Read { source, path: data.to_owned() };
    let mut found = Vec::new();
    if data.is_dir() {
        for entry in std::fs::read_dir(data).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.is_file() && CorpusKind::of(&path).is_ok() {
                found.push(path);
            }
        }
    } else if data.exists() {
        CorpusKind::of(data)?;
        return Ok(vec![data.to_owned()]);
    } else if let Some(pattern) = data.to_str().filter(|text| text.contains(['*', '?', '['])) {
        let paths = glob::glob(pattern)
            .map_err(|e| CorpusError::Glob { reason: e.to_string(), path: data.to_owned() })?;
        for path in paths {
            let path = path.map_err(|e| read(e.into()))?;
            CorpusKind::of(&path)?;
            found.push(path);
        }
    } else {
        return Err(read(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")));
    }
    found.sort();
    if found.is_empty() {
        return Err(CorpusError::Glob {
            reason: "no file of a known format".to_owned(),
            path: data.to_owned(),
        });
    }
    Ok(found)
}

/// Whether the files hold tokens; an error where some do and some do not.
pub fn hold_tokens(files: &[PathBuf], text_column: &str) -> Result<bool, CorpusError> {
    let mut of_first = None;
    for path in files {
        let tokens = match CorpusKind::of(path)?.0 {
            CorpusKind::Tokens => true,
            CorpusKind::Parquet => super::parquet::holds_tokens(path, text_column)?,
            CorpusKind::Text | CorpusKind::JsonLines => false,
        };
        if *of_first.get_or_insert(tokens) != tokens {
            return Err(CorpusError::Mixed { path: path.clone() });
        }
    }
    Ok(of_first.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_format() {
        let of = |name: &str| CorpusKind::of(Path::new(name)).ok();
        assert_eq!(of("a.txt"), Some((CorpusKind::Text, Compression::None)));
        assert_eq!(of("a.JSONL.GZ"), Some((CorpusKind::JsonLines, Compression::Gzip)));
        assert_eq!(of("a.jsonl.zst"), Some((CorpusKind::JsonLines, Compression::Zstd)));
        assert_eq!(of("a.parquet"), Some((CorpusKind::Parquet, Compression::None)));
        assert_eq!(of("a.npy"), Some((CorpusKind::Tokens, Compression::None)));
        assert_eq!((of("a.npy.gz"), of("a.csv"), of("a")), (None, None, None));
    }
}
