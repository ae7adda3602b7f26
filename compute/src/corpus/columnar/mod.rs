//! Parquet and Arrow: a column of text, of lists of token ids, or of conversations, a batch of rows at a time.

mod arrow;
mod pages;
mod parquet;
mod values;

use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;

use super::{
    CorpusError,
    record::{self, Item, Shape},
};
use crate::panics::caught;

/// Rows decoded at once.
const BATCH_ROWS: usize = 256;
/// No column of a batch takes more memory, unpacked: a page of Parquet is written at about 1 MB.
const MAX_UNPACKED: u64 = 256 << 20;

/// A column to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
    /// Its position.
    index: usize,
}

/// Parts of a file that can be read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// A row group of Parquet.
    Group(usize),
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Arrow's IPC, as a stream or a file.
    Arrow,
}

/// Batches of one column, read as they are asked for.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        }
    }

    fn wrong(self, path: &Path) -> impl Fn(String) -> CorpusError + use<> {
        let path = path.to_owned();
        move |reason| CorpusError::File { format: self.name(), reason, path: path.clone() }
    }

    /// The column that is read: the one named, or the first of the usual ones.
    pub fn column(self, path: &Path, given: Option<&str>) -> Result<Column, CorpusError> {
        let schema = whole(|| match self {
            Self::Parquet => parquet::schema(path),
            Self::Arrow => arrow::schema(path),
        });
        chosen(&schema.map_err(self.wrong(path))?, path, given)
    }

    /// Row groups of a Parquet file; `None` where the file can only be read from its beginning.
    pub fn groups(self, path: &Path) -> Result<Option<usize>, CorpusError> {
        match self {
            Self::Parquet => whole(|| parquet::n_groups(path)).map(Some).map_err(self.wrong(path)),
            Self::Arrow => Ok(None),
        }
    }

    /// The rows of a column.
    pub fn rows(self, path: &Path, column: &Column, part: Part) -> Result<Rows, CorpusError> {
        let wrong = self.wrong(path);
        let batches = whole(|| match self {
            Self::Parquet => parquet::batches(path, column.index, part),
            Self::Arrow => arrow::batches(path, column.index),
        });
        let batches = batches.map_err(&wrong)?;
        Ok(Rows { batches, wrong: Box::new(wrong), items: Vec::new().into_iter(), at: 0, ended: false })
    }
}

/// Does `call`; a panic in the library is an error like any other.
fn whole<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    caught(call).unwrap_or_else(|panic| Err(format!("it is damaged: {panic}")))
}

fn chosen(schema: &Schema, path: &Path, given: Option<&str>) -> Result<Column, CorpusError> {
    let columns: Vec<(String, Shape)> =
        schema.fields().iter().map(|f| (f.name().clone(), values::shape(f.data_type()))).collect();
    let refused = |reason: String| CorpusError::Column { reason, path: path.to_owned() };
    let index = record::choose(given, &columns).map_err(refused)?;
    let (name, shape) = columns[index].clone();
    if shape == Shape::Other {
        let reason = format!(
            "column \"{name}\" holds neither text nor lists of token ids nor messages: name another with --text-column"
        );
        return Err(refused(reason));
    }
    Ok(Column { name, shape, index })
}

/// The rows of a column, as they are asked for.
pub struct Rows {
    batches: Batches,
    wrong: Box<dyn Fn(String) -> CorpusError + Send>,
    items: std::vec::IntoIter<Result<record::Record, String>>,
    at: u64,
    ended: bool,
}

impl Iterator for Rows {
    type Item = Result<Item, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.items.next() {
                self.at += 1;
                return Some(Ok(Item { at: self.at, continues: false, replaced: false, record }));
            }
            if self.ended {
                return None;
            }
            let batches = &mut self.batches;
            let records = whole(|| {
                let Some(batch) = batches.next() else { return Ok(None) };
                let batch = batch?;
                let column: Option<&ArrayRef> = batch.columns().first();
                column.map_or(Ok(None), |column| values::records(column).map(Some))
            });
            match records {
                Ok(Some(records)) => self.items = records.into_iter(),
                Ok(None) => self.ended = true,
                Err(reason) => {
                    self.ended = true;
                    return Some(Err((self.wrong)(reason)));
                }
            }
        }
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("at", &self.at).finish_non_exhaustive()
    }
}
