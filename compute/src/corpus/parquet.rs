//! Parquet: a column of text, or of lists of token ids; one row group in memory at a time.

use std::{fs::File, path::Path};

use parquet::{
    basic::{LogicalType, Type as Physical},
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, Row},
    schema::types::Type,
};

use super::CorpusError;

/// A column's values, read as they are asked for.
type Column<'a, T> = Box<dyn Iterator<Item = Result<T, CorpusError>> + 'a>;

/// Whether the column holds lists of integers rather than text.
pub fn holds_tokens(path: &Path, column: &str) -> Result<bool, CorpusError> {
    let reader = open(path)?;
    Ok(chosen(&reader, path, column)?.1)
}

/// The texts of `column`.
pub fn documents<'a>(path: &'a Path, column: &'a str) -> Result<Column<'a, String>, CorpusError> {
    rows(path, column, move |field| match field {
        Field::Str(text) => Ok(text),
        other => Err(format!("column {column} holds {other}, expected text")),
    })
}

/// The token ids of `column`, row by row.
pub fn token_rows<'a>(path: &'a Path, column: &'a str) -> Result<Column<'a, Vec<i64>>, CorpusError> {
    rows(path, column, move |field| {
        let Field::ListInternal(list) = field else { return Err(format!("column {column} holds no list")) };
        let id = |field: &Field| match *field {
            Field::Int(n) => Ok(n.into()),
            Field::Long(n) => Ok(n),
            Field::UInt(n) => Ok(n.into()),
            Field::Short(n) => Ok(n.into()),
            Field::UShort(n) => Ok(n.into()),
            _ => Err(format!("column {column} holds {field} in a list, expected token ids")),
        };
        list.elements().iter().map(id).collect()
    })
}

fn rows<'a, T: 'a>(
    path: &'a Path,
    column: &str,
    value: impl Fn(Field) -> Result<T, String> + 'a,
) -> Result<Column<'a, T>, CorpusError> {
    let wrong = move |reason: String| CorpusError::Parquet { reason, path: path.to_owned() };
    let reader = open(path)?;
    let (projection, _) = chosen(&reader, path, column)?;
    let rows = reader.into_iter().project(Some(projection)).map_err(|e| wrong(e.to_string()))?;
    let of_row = move |row: parquet::errors::Result<Row>| {
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let field = row.into_columns().into_iter().next().map_or(Field::Null, |(_, field)| field);
        value(field).map_err(wrong)
    };
    Ok(Box::new(rows.map(of_row)))
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, CorpusError> {
    let file = File::open(path).map_err(|source| CorpusError::Read { source, path: path.to_owned() })?;
    SerializedFileReader::new(file)
        .map_err(|e| CorpusError::Parquet { reason: e.to_string(), path: path.to_owned() })
}

/// The schema with the one column, and whether it holds lists of integers.
fn chosen(
    reader: &SerializedFileReader<File>,
    path: &Path,
    column: &str,
) -> Result<(Type, bool), CorpusError> {
    let wrong = |reason: String| CorpusError::Parquet { reason, path: path.to_owned() };
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields();
    let found = fields.iter().find(|f| f.name() == column).ok_or_else(|| {
        let names: Vec<&str> = fields.iter().map(|f| f.name()).collect();
        wrong(format!("no column \"{column}\", it has {}: name one with --text-column", names.join(", ")))
    })?;
    let list =
        matches!(found.get_basic_info().logical_type_ref(), Some(LogicalType::List)) || found.is_group();
    if !list && found.get_physical_type() != Physical::BYTE_ARRAY {
        return Err(wrong(format!("column \"{column}\" holds neither text nor lists of token ids")));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(vec![found.clone()]).build();
    Ok((projection.map_err(|e| wrong(e.to_string()))?, list))
}
