//! The rows of a corpus file, whatever its format.

use std::{
    io::{BufRead as _, Read as _},
    path::Path,
};

use super::{
    Compression, CorpusError, CorpusKind, Options, json, open, reading::Unit, record::Item, sample::Part,
    text,
};

/// Rows, read as they are asked for.
pub type Items = Box<dyn Iterator<Item = Result<Item, CorpusError>> + Send>;

/// Lines of plain text are longer only where text has no lines.
const MAX_LINE: u64 = 1 << 20;

/// The rows of a part of a file.
///
/// - `name`: the file's own, which says its format: in a cache the path may not
pub fn items(path: &Path, name: &str, part: &Part, options: &Options) -> Result<Items, CorpusError> {
    let (kind, compression) = CorpusKind::with_compression(name.as_ref())?;
    let column = options.column.as_deref();
    match kind {
        CorpusKind::Text => {
            let (bytes, at) = beginning_at(path, compression, part, MAX_LINE)?;
            let bytes: open::Bytes = match part.end {
                Some(end) => Box::new(bytes.take(end.saturating_sub(at))),
                None => bytes,
            };
            Ok(Box::new(text::Pieces::new(bytes, path.to_owned())))
        }
        CorpusKind::Json => {
            let (bytes, at) = beginning_at(path, compression, part, options.max_document)?;
            let rows = json::Rows::new(bytes, path.to_owned(), column, options.max_document)?;
            Ok(Box::new(rows.within(part.end.map(|end| end.saturating_sub(at)))))
        }
        CorpusKind::Parquet | CorpusKind::Arrow => columns(path, kind, part, column),
        CorpusKind::Tokens => Err(CorpusError::Mixed { path: path.to_owned() }),
    }
}

/// A text file from the part's beginning on, from the first whole line where that is not the file's, and where that is.
fn beginning_at(
    path: &Path,
    compression: Compression,
    part: &Part,
    max_line: u64,
) -> Result<(open::Bytes, u64), CorpusError> {
    let read = |cause| CorpusError::Read { cause, path: path.to_owned() };
    // The byte before tells whether a line begins here.
    let start = part.start.saturating_sub(1);
    let mut bytes = open::bytes(path, compression, start)?;
    let skipped =
        if part.start > 0 { bytes.by_ref().take(max_line).skip_until(b'\n').map_err(read)? } else { 0 };
    Ok((bytes, start + skipped as u64))
}

/// What rows of a file are called, for messages.
pub fn unit(kind: CorpusKind, strict: bool) -> Unit {
    let name = match kind {
        CorpusKind::Json => "line",
        CorpusKind::Text => "document",
        _ => "row",
    };
    Unit { name, strict }
}

#[cfg(feature = "parquet")]
fn format(kind: CorpusKind) -> super::columnar::Format {
    if kind == CorpusKind::Arrow { super::columnar::Format::Arrow } else { super::columnar::Format::Parquet }
}

#[cfg(feature = "parquet")]
fn columns(path: &Path, kind: CorpusKind, part: &Part, column: Option<&str>) -> Result<Items, CorpusError> {
    use super::columnar;
    let format = format(kind);
    let column = format.column(path, column)?;
    let part = part.group.map_or(columnar::Part::Whole, columnar::Part::Group);
    Ok(Box::new(format.rows(path, &column, part)?))
}

/// Row groups of a Parquet file; `None` where a file has none that can be read alone.
#[cfg(feature = "parquet")]
pub fn groups(path: &Path, kind: CorpusKind) -> Result<Option<usize>, CorpusError> {
    if kind == CorpusKind::Parquet { format(kind).groups(path) } else { Ok(None) }
}

#[cfg(not(feature = "parquet"))]
fn columns(path: &Path, kind: CorpusKind, _part: &Part, _column: Option<&str>) -> Result<Items, CorpusError> {
    let format = if kind == CorpusKind::Arrow { "Arrow" } else { "Parquet" };
    let reason = "this build of compute was made without its feature \"parquet\"".to_owned();
    Err(CorpusError::File { format, reason, path: path.to_owned() })
}

/// Without Parquet no file has row groups.
#[cfg(not(feature = "parquet"))]
pub fn groups(_path: &Path, _kind: CorpusKind) -> Result<Option<usize>, CorpusError> {
    Ok(None)
}
