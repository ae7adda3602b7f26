//! One tensor's place in a file, and reading it in pieces.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use tch::{Device, Kind, Tensor};

use super::{Select, WeightsError};

/// How much of a file is in memory at once, in bytes.
pub const PIECE_BYTES: usize = 4 << 20;

/// An open file and its length.
#[derive(Debug)]
pub struct Opened {
    pub path: PathBuf,
    pub len: u64,
    file: File,
}

impl Opened {
    pub fn open(path: &Path) -> Result<Arc<Self>, WeightsError> {
        let read = |source| WeightsError::Read { source, path: path.to_owned() };
        // Opening a named pipe would wait for a writer, so the kind of file is looked at first.
        let metadata = std::fs::metadata(path).map_err(read)?;
        if metadata.is_dir() {
            return Err(read(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        if !metadata.is_file() {
            return Err(read(std::io::Error::other("a pipe or device, expected a file")));
        }
        let file = File::open(path).map_err(read)?;
        Ok(Arc::new(Self { path: path.to_owned(), len: metadata.len(), file }))
    }

    /// Reads `len` bytes at `start`, both checked against the file first.
    pub fn read(&self, start: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        self.check("the file", start, len)?;
        let mut bytes = vec![0; len as usize];
        self.fill(start, &mut bytes)?;
        Ok(bytes)
    }

    pub fn fill(&self, start: u64, bytes: &mut [u8]) -> Result<(), WeightsError> {
        self.file
            .read_exact_at(bytes, start)
            .map_err(|source| WeightsError::Read { source, path: self.path.clone() })
    }

    pub fn check(&self, what: &str, start: u64, len: u64) -> Result<(), WeightsError> {
        let end = start.saturating_add(len);
        if end <= self.len {
            return Ok(());
        }
        Err(WeightsError::Truncated {
            what: what.to_owned(),
            expected: end,
            got: self.len,
            path: self.path.clone(),
        })
    }

    pub fn malformed(&self, container: &'static str, reason: impl Into<String>) -> WeightsError {
        WeightsError::Malformed { container, reason: reason.into(), path: self.path.clone() }
    }
}

/// Where bytes lie: as they are, or deflated.
#[derive(Clone, Debug)]
pub enum Span {
    /// `len` bytes at `start`.
    Stored { start: u64, len: u64 },
    /// `packed` bytes at `start` that inflate to `len`.
    Deflated { member: String, start: u64, packed: u64, len: u64 },
}

impl Span {
    pub fn len(&self) -> u64 {
        match self {
            Self::Stored { len, .. } | Self::Deflated { len, .. } => *len,
        }
    }

    /// The first `len` bytes, after inflation.
    pub fn head(&self, file: &Opened, len: u64) -> Result<Vec<u8>, WeightsError> {
        let len = len.min(self.len());
        match self {
            Self::Stored { start, .. } => file.read(*start, len),
            Self::Deflated { member, start, packed, .. } => inflate(file, member, *start, *packed, len),
        }
    }

    /// All bytes, after inflation; more or fewer than declared is an error.
    pub fn whole(&self, file: &Opened) -> Result<Vec<u8>, WeightsError> {
        let Self::Deflated { member, start, packed, len } = self else {
            return self.head(file, self.len());
        };
        let bytes = inflate(file, member, *start, *packed, len.saturating_add(1))?;
        if bytes.len() as u64 == *len {
            return Ok(bytes);
        }
        let reason = format!("\"{member}\" declares {len} bytes and unpacks to {} or more", bytes.len());
        Err(file.malformed("zip", reason))
    }
}

fn inflate(
    file: &Opened,
    member: &str,
    start: u64,
    packed: u64,
    limit: u64,
) -> Result<Vec<u8>, WeightsError> {
    let packed = file.read(start, packed)?;
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed.as_slice())
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| file.malformed("zip", format!("\"{member}\" cannot be unpacked: {error}")))?;
    Ok(bytes)
}

/// One tensor's type, shape and place.
#[derive(Clone, Debug)]
pub struct Entry {
    pub file: Arc<Opened>,
    pub kind: Kind,
    /// Whether the integers are unsigned: torch computes with signed ones, so bits are read as such and widened.
    pub unsigned: bool,
    pub shape: Vec<i64>,
    /// In elements; `None` where the tensor is contiguous, row by row.
    pub strides: Option<Vec<i64>>,
    pub span: Span,
    /// Where the tensor begins within the span, in bytes.
    pub offset: u64,
}

impl Entry {
    pub fn read(
        &self,
        name: &str,
        select: Select<'_>,
        kind: Kind,
        device: Device,
    ) -> Result<Tensor, WeightsError> {
        let reader = Reader { entry: self, name, kind, device };
        match (&self.span, &self.strides, select) {
            (Span::Stored { start, .. }, None, Select::All) => reader.all(start + self.offset),
            (Span::Stored { start, .. }, None, Select::Rows(rows)) => reader.rows(start + self.offset, rows),
            (Span::Stored { start, .. }, None, Select::Columns(columns)) => {
                reader.columns(start + self.offset, columns)
            }
            _ => reader.at_once(select),
        }
    }
}

/// Number of elements, `None` where it overflows.
pub fn n_elements(shape: &[i64]) -> Option<i64> {
    shape.iter().try_fold(1i64, |n, width| if *width < 0 { None } else { n.checked_mul(*width) })
}

struct Reader<'a> {
    entry: &'a Entry,
    name: &'a str,
    kind: Kind,
    device: Device,
}

impl Reader<'_> {
    fn all(&self, start: u64) -> Result<Tensor, WeightsError> {
        let n = n_elements(&self.entry.shape).unwrap_or(0) as usize;
        let width = self.entry.kind.elt_size_in_bytes();
        let out = self.torch(Tensor::f_empty([n as i64], (self.kind, self.device)))?;
        let per_piece = PIECE_BYTES / width;
        let mut bytes = vec![0; n.min(per_piece) * width];
        for first in (0..n).step_by(per_piece) {
            let count = per_piece.min(n - first);
            let piece = self.piece(start, first, count, &mut bytes, &[count as i64])?;
            self.torch(self.torch(out.f_narrow(0, first as i64, count as i64))?.f_copy_(&piece))?;
        }
        self.torch(out.f_reshape(&self.entry.shape))
    }

    fn rows(&self, start: u64, rows: &[i64]) -> Result<Tensor, WeightsError> {
        let (n_rows, row_len) = self.rows_and_row_len()?;
        self.check_indices(rows, n_rows)?;
        let mut shape = self.entry.shape.clone();
        shape[0] = rows.len() as i64;
        let out = self.torch(Tensor::f_empty(&shape, (self.kind, self.device)))?;
        let mut bytes = vec![0; row_len * self.entry.kind.elt_size_in_bytes()];
        for (at, row) in rows.iter().enumerate() {
            let row = self.piece(start, *row as usize * row_len, row_len, &mut bytes, &shape[1..])?;
            self.torch(self.torch(out.f_select(0, at as i64))?.f_copy_(&row))?;
        }
        Ok(out)
    }

    fn columns(&self, start: u64, columns: &[i64]) -> Result<Tensor, WeightsError> {
        let (n_rows, row_len) = self.rows_and_row_len()?;
        if self.entry.shape.len() != 2 {
            return self.at_once(Select::Columns(columns));
        }
        self.check_indices(columns, row_len as i64)?;
        let n_rows = n_rows as usize;
        let width = self.entry.kind.elt_size_in_bytes();
        let index = self.torch(Tensor::f_from_slice(columns))?;
        let out = [n_rows as i64, columns.len() as i64];
        let out = self.torch(Tensor::f_empty(out, (self.kind, self.device)))?;
        let per_piece = (PIECE_BYTES / width / row_len.max(1)).max(1);
        let mut bytes = vec![0; n_rows.min(per_piece) * row_len * width];
        for first in (0..n_rows).step_by(per_piece) {
            let count = per_piece.min(n_rows - first);
            let shape = [count as i64, row_len as i64];
            let piece = self.piece(start, first * row_len, count * row_len, &mut bytes, &shape)?;
            let piece = self.torch(piece.f_index_select(1, &index))?; // [count, n_columns]
            self.torch(self.torch(out.f_narrow(0, first as i64, count as i64))?.f_copy_(&piece))?;
        }
        Ok(out)
    }

    /// For deflated and strided tensors: the whole storage in memory, then the part that is wanted.
    fn at_once(&self, select: Select<'_>) -> Result<Tensor, WeightsError> {
        let bytes = self.entry.span.whole(&self.entry.file)?;
        let bytes = &bytes[self.entry.offset as usize..];
        self.check_finite(bytes)?;
        let n = bytes.len() / self.entry.kind.elt_size_in_bytes();
        let flat = self.widened(Tensor::f_from_data_size(bytes, &[n as i64], self.entry.kind))?;
        let whole = if let Some(strides) = &self.entry.strides {
            self.torch(flat.f_as_strided(&self.entry.shape, strides, 0))?
        } else {
            let n = n_elements(&self.entry.shape).unwrap_or(0);
            self.torch(self.torch(flat.f_narrow(0, 0, n))?.f_reshape(&self.entry.shape))?
        };
        let (axis, indices) = match select {
            Select::All => (0, None),
            Select::Rows(rows) => (0, Some(rows)),
            Select::Columns(columns) => (1, Some(columns)),
        };
        let part = match indices {
            None => whole,
            Some(indices) => {
                self.check_indices(indices, self.entry.shape.get(axis).copied().unwrap_or(0))?;
                let index = self.torch(Tensor::f_from_slice(indices))?;
                self.torch(whole.f_index_select(axis as i64, &index))?
            }
        };
        let part = self.torch(part.f_to_kind(self.kind))?;
        self.torch(self.torch(part.f_to(self.device))?.f_contiguous())
    }

    fn piece(
        &self,
        start: u64,
        first: usize,
        count: usize,
        bytes: &mut [u8],
        shape: &[i64],
    ) -> Result<Tensor, WeightsError> {
        let width = self.entry.kind.elt_size_in_bytes();
        let bytes = &mut bytes[..count * width];
        self.entry.file.fill(start + (first * width) as u64, bytes)?;
        self.check_finite(bytes)?;
        self.widened(Tensor::f_from_data_size(bytes, shape, self.entry.kind))
    }

    /// Unsigned integers as 64-bit ones; everything else as it is.
    fn widened(&self, tensor: Result<Tensor, tch::TchError>) -> Result<Tensor, WeightsError> {
        let tensor = self.torch(tensor)?;
        if !self.entry.unsigned {
            return Ok(tensor);
        }
        let mask = (1i64 << (8 * self.entry.kind.elt_size_in_bytes())) - 1;
        self.torch(self.torch(tensor.f_to_kind(Kind::Int64))?.f_bitwise_and(mask))
    }

    fn rows_and_row_len(&self) -> Result<(i64, usize), WeightsError> {
        let (n_rows, row) = self.entry.shape.split_first().ok_or_else(|| WeightsError::Rank {
            name: self.name.to_owned(),
            got: Vec::new(),
            path: self.entry.file.path.clone(),
        })?;
        Ok((*n_rows, n_elements(row).unwrap_or(0) as usize))
    }

    fn check_indices(&self, indices: &[i64], n: i64) -> Result<(), WeightsError> {
        match indices.iter().find(|index| !(0..n).contains(*index)) {
            None => Ok(()),
            Some(index) => Err(WeightsError::Index {
                name: self.name.to_owned(),
                index: *index,
                n,
                path: self.entry.file.path.clone(),
            }),
        }
    }

    fn check_finite(&self, bytes: &[u8]) -> Result<(), WeightsError> {
        if is_finite(bytes, self.entry.kind) {
            return Ok(());
        }
        Err(WeightsError::NotFinite { name: self.name.to_owned(), path: self.entry.file.path.clone() })
    }

    fn torch<T>(&self, result: Result<T, tch::TchError>) -> Result<T, WeightsError> {
        result.map_err(|source| WeightsError::Torch { name: self.name.to_owned(), source })
    }
}

/// Whether no float has all bits of its exponent set, as NaN and the infinities have. Folds without an
/// early end, so that it compiles to vector code.
fn is_finite(bytes: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Half => all16(bytes, 0x7C00),
        Kind::BFloat16 => all16(bytes, 0x7F80),
        Kind::Float => {
            const EXPONENT: u32 = 0x7F80_0000;
            bytes
                .as_chunks()
                .0
                .iter()
                .fold(true, |finite, four| finite & (u32::from_le_bytes(*four) & EXPONENT != EXPONENT))
        }
        Kind::Double => {
            const EXPONENT: u64 = 0x7FF0_0000_0000_0000;
            bytes
                .as_chunks()
                .0
                .iter()
                .fold(true, |finite, eight| finite & (u64::from_le_bytes(*eight) & EXPONENT != EXPONENT))
        }
        _ => true,
    }
}

fn all16(bytes: &[u8], exponent: u16) -> bool {
    bytes
        .as_chunks()
        .0
        .iter()
        .fold(true, |finite, two| finite & (u16::from_le_bytes(*two) & exponent != exponent))
}
