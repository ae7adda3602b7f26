//! Reading a tensor's bytes in pieces, onto a device.

use std::path::PathBuf;

use checkpoints::{Dtype, Entry, WeightsError as FileError};
use tch::{Device, Kind, Tensor};

use super::{Select, WeightsError};
use crate::interrupt;

/// How much of a file is in memory at once, in bytes.
pub const PIECE_BYTES: usize = 4 << 20;

/// Reads a tensor, or part of one, as `kind` onto `device`.
pub fn read(
    weights: &checkpoints::Weights,
    name: &str,
    select: Select<'_>,
    kind: Kind,
    device: Device,
) -> Result<Tensor, WeightsError> {
    interrupt::check()?;
    let entry = weights.entry(name)?;
    let reader = Reader { entry, name, kind, device };
    match select {
        Select::All if entry.is_stored() => reader.all(),
        Select::Rows(rows) if entry.is_stored() => reader.rows(rows),
        Select::Columns(columns) if entry.is_stored() => reader.columns(columns),
        _ => reader.at_once(select),
    }
}

struct Reader<'a> {
    entry: &'a Entry,
    name: &'a str,
    kind: Kind,
    device: Device,
}

impl Reader<'_> {
    fn all(&self) -> Result<Tensor, WeightsError> {
        let n = self.entry.n_elements();
        let width = self.entry.dtype().n_bytes();
        let out = self.torch(Tensor::f_empty([n as i64], (self.kind, self.device)))?;
        let per_piece = PIECE_BYTES / width;
        let mut bytes = vec![0; n.min(per_piece) * width];
        for first in (0..n).step_by(per_piece) {
            interrupt::check()?;
            let count = per_piece.min(n - first);
            let piece = self.piece(first, count, &mut bytes, &[count as i64])?;
            self.torch(self.torch(out.f_narrow(0, first as i64, count as i64))?.f_copy_(&piece))?;
        }
        self.torch(out.f_reshape(self.entry.shape()))
    }

    fn rows(&self, rows: &[i64]) -> Result<Tensor, WeightsError> {
        let (n_rows, row_len) = self.rows_and_row_len()?;
        self.check_indices(rows, n_rows)?;
        let mut shape = self.entry.shape().to_vec();
        shape[0] = rows.len() as i64;
        let out = self.torch(Tensor::f_empty(&shape, (self.kind, self.device)))?;
        let width = row_len * self.entry.dtype().n_bytes();
        // Rows that follow one another are read together.
        let per_piece = (PIECE_BYTES / width.max(1)).max(1);
        let mut bytes = vec![0; per_piece.min(rows.len()) * width];
        let mut at = 0;
        for run in rows.chunk_by(|a, b| a + 1 == *b).flat_map(|run| run.chunks(per_piece)) {
            interrupt::check()?;
            shape[0] = run.len() as i64;
            let piece = self.piece(run[0] as usize * row_len, run.len() * row_len, &mut bytes, &shape)?;
            self.torch(self.torch(out.f_narrow(0, at, run.len() as i64))?.f_copy_(&piece))?;
            at += run.len() as i64;
        }
        Ok(out)
    }

    fn columns(&self, columns: &[i64]) -> Result<Tensor, WeightsError> {
        let (n_rows, row_len) = self.rows_and_row_len()?;
        if self.entry.shape().len() != 2 {
            return self.at_once(Select::Columns(columns));
        }
        self.check_indices(columns, row_len as i64)?;
        let n_rows = n_rows as usize;
        let width = self.entry.dtype().n_bytes();
        let index = self.torch(Tensor::f_from_slice(columns))?;
        let out = [n_rows as i64, columns.len() as i64];
        let out = self.torch(Tensor::f_empty(out, (self.kind, self.device)))?;
        let per_piece = (PIECE_BYTES / width / row_len.max(1)).max(1);
        let mut bytes = vec![0; n_rows.min(per_piece) * row_len * width];
        for first in (0..n_rows).step_by(per_piece) {
            let count = per_piece.min(n_rows - first);
            let shape = [count as i64, row_len as i64];
            let piece = self.piece(first * row_len, count * row_len, &mut bytes, &shape)?;
            let piece = self.torch(piece.f_index_select(1, &index))?; // [count, n_columns]
            self.torch(self.torch(out.f_narrow(0, first as i64, count as i64))?.f_copy_(&piece))?;
        }
        Ok(out)
    }

    /// For deflated and strided tensors: the whole storage in memory, then the part that is wanted.
    fn at_once(&self, select: Select<'_>) -> Result<Tensor, WeightsError> {
        let bytes = self.entry.storage()?;
        self.check_finite(&bytes)?;
        let n = bytes.len() / self.entry.dtype().n_bytes();
        let flat = self.tensor(&bytes, &[n as i64])?;
        let whole = if let Some(strides) = self.entry.strides() {
            self.torch(flat.f_as_strided(self.entry.shape(), strides, 0))?
        } else {
            let n = self.entry.n_elements() as i64;
            self.torch(self.torch(flat.f_narrow(0, 0, n))?.f_reshape(self.entry.shape()))?
        };
        let (axis, indices) = match select {
            Select::All => (0, None),
            Select::Rows(rows) => (0, Some(rows)),
            Select::Columns(columns) => (1, Some(columns)),
        };
        let part = match indices {
            None => whole,
            Some(indices) => {
                self.check_indices(indices, self.entry.shape().get(axis).copied().unwrap_or(0))?;
                let index = self.torch(Tensor::f_from_slice(indices))?;
                self.torch(whole.f_index_select(axis as i64, &index))?
            }
        };
        let part = self.torch(part.f_to_kind(self.kind))?;
        self.torch(self.torch(part.f_to(self.device))?.f_contiguous())
    }

    fn piece(
        &self,
        first: usize,
        count: usize,
        bytes: &mut [u8],
        shape: &[i64],
    ) -> Result<Tensor, WeightsError> {
        let width = self.entry.dtype().n_bytes();
        let bytes = &mut bytes[..count * width];
        self.entry.fill(first, bytes)?;
        self.check_finite(bytes)?;
        self.tensor(bytes, shape)
    }

    /// Bytes as a tensor. Unsigned integers, which torch does not compute with, become 64-bit ones.
    fn tensor(&self, bytes: &[u8], shape: &[i64]) -> Result<Tensor, WeightsError> {
        let dtype = self.entry.dtype();
        let plain = |kind| self.torch(Tensor::f_from_data_size(bytes, shape, kind));
        let unsigned = |kind| {
            let mask = (1i64 << (8 * dtype.n_bytes())) - 1;
            self.torch(self.torch(plain(kind)?.f_to_kind(Kind::Int64))?.f_bitwise_and(mask))
        };
        match dtype {
            Dtype::F8E4M3 | Dtype::F8E5M2 => {
                let flat = self.torch(Tensor::f_from_slice(&dtype.floats(bytes)))?;
                self.torch(flat.f_reshape(shape))
            }
            Dtype::F16 => plain(Kind::Half),
            Dtype::BF16 => plain(Kind::BFloat16),
            Dtype::F32 => plain(Kind::Float),
            Dtype::F64 => plain(Kind::Double),
            Dtype::I8 => plain(Kind::Int8),
            Dtype::I16 => plain(Kind::Int16),
            Dtype::I32 => plain(Kind::Int),
            Dtype::I64 | Dtype::U64 => plain(Kind::Int64),
            Dtype::U8 => plain(Kind::Uint8),
            Dtype::U16 => unsigned(Kind::Int16),
            Dtype::U32 => unsigned(Kind::Int),
            Dtype::Bool => plain(Kind::Bool),
        }
    }

    fn rows_and_row_len(&self) -> Result<(i64, usize), WeightsError> {
        let (n_rows, row) = self.entry.shape().split_first().ok_or_else(|| FileError::Axes {
            name: self.name.to_owned(),
            got: Vec::new(),
            expected: 2,
            path: self.path(),
        })?;
        Ok((*n_rows, row.iter().product::<i64>() as usize))
    }

    fn check_indices(&self, indices: &[i64], n: i64) -> Result<(), WeightsError> {
        match indices.iter().find(|index| !(0..n).contains(*index)) {
            None => Ok(()),
            Some(index) => {
                Err(FileError::Index { name: self.name.to_owned(), index: *index, n, path: self.path() }
                    .into())
            }
        }
    }

    fn check_finite(&self, bytes: &[u8]) -> Result<(), WeightsError> {
        if self.entry.dtype().is_finite(bytes) {
            return Ok(());
        }
        Err(FileError::NotFinite { name: self.name.to_owned(), path: self.path() }.into())
    }

    fn torch<T>(&self, result: Result<T, tch::TchError>) -> Result<T, WeightsError> {
        result.map_err(|cause| WeightsError::Torch { name: self.name.to_owned(), cause })
    }

    fn path(&self) -> PathBuf {
        self.entry.file().path().to_owned()
    }
}
