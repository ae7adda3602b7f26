//! Parquet files.

use std::{fs::File, path::Path};

use arrow_schema::Schema;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{BATCH_ROWS, Batches, Part, pages};
use crate::corpus::open;

/// The columns.
pub fn schema(path: &Path) -> Result<Schema, String> {
    Ok(open(path)?.schema().as_ref().clone())
}

/// Row groups.
pub fn n_groups(path: &Path) -> Result<usize, String> {
    Ok(open(path)?.metadata().num_row_groups())
}

/// Batches of one column.
pub fn batches(path: &Path, index: usize, part: Part) -> Result<Batches, String> {
    let builder = open(path)?;
    let groups: Vec<usize> = match part {
        Part::Whole => (0..builder.metadata().num_row_groups()).collect(),
        Part::Group(group) => vec![group],
    };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
    pages::check(path, builder.metadata(), &mask, &groups)?;
    let reader = builder.with_projection(mask).with_row_groups(groups).with_batch_size(BATCH_ROWS);
    let reader = reader.build().map_err(|e| e.to_string())?;
    Ok(Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))))
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let file = open::regular(path).map_err(|e| e.to_string())?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())
}
