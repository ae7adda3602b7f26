//! Documents of text files, one after another: no file is ever whole in memory but a `.txt`, which is one document.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{Compression, CorpusError, CorpusKind, parquet};

/// Documents on their way.
pub type Documents<'a> = Box<dyn Iterator<Item = Result<String, CorpusError>> + 'a>;

/// The documents of the file at `path`; `text_column` names the field of JSON Lines and the column of Parquet.
pub fn documents<'a>(path: &'a Path, text_column: &'a str) -> Result<Documents<'a>, CorpusError> {
    let read = |source| CorpusError::Read { source, path: path.to_owned() };
    let (kind, compression) = CorpusKind::of(path)?;
    if kind == CorpusKind::Parquet {
        return parquet::documents(path, text_column);
    }
    let file = BufReader::new(File::open(path).map_err(read)?);
    let mut plain: Box<dyn BufRead> = match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Compression::Zstd => Box::new(BufReader::new(zstd::Decoder::with_buffer(file).map_err(read)?)),
    };
    if kind == CorpusKind::JsonLines {
        return Ok(Box::new(json_lines(plain, path, text_column)));
    }
    let mut text = String::new();
    plain.read_to_string(&mut text).map_err(read)?;
    Ok(Box::new(std::iter::once(Ok(text))))
}

fn json_lines<'a>(
    reader: impl BufRead + 'a,
    path: &'a Path,
    field: &'a str,
) -> impl Iterator<Item = Result<String, CorpusError>> + 'a {
    reader.lines().enumerate().filter_map(move |(i, line)| {
        let wrong = |e: String| CorpusError::Line {
            line: i + 1,
            reason: format!("is not an object with a string \"{field}\": {e}"),
            path: path.to_owned(),
        };
        let line = match line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => line,
            Err(source) => return Some(Err(CorpusError::Read { source, path: path.to_owned() })),
        };
        Some(match serde_json::from_str::<Value>(&line) {
            Err(e) => Err(wrong(e.to_string())),
            Ok(mut value) => match value.get_mut(field).map(Value::take) {
                Some(Value::String(text)) => Ok(text),
                Some(_) => Err(wrong("it is something else".to_owned())),
                None => Err(wrong(format!("missing field `{field}`"))),
            },
        })
    })
}
