//! One tensor of a file: its type, shape and bytes.

use std::sync::Arc;

use super::dtype::Dtype;
use super::error::WeightsError;
use super::file::{InputFile, Span};

/// One tensor: type and shape are known, its bytes are read when they are asked for.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) file: Arc<InputFile>,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<i64>,
    /// In elements; `None` where the tensor is contiguous, row by row.
    pub(super) strides: Option<Vec<i64>>,
    pub(super) span: Span,
    /// Where the tensor begins within the span, in bytes.
    pub(super) offset: u64,
}

impl Entry {
    /// The file that holds it.
    pub fn file(&self) -> &InputFile {
        &self.file
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its widths.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// Steps between elements along each axis, in elements; `None` where it is contiguous, row by row.
    pub fn strides(&self) -> Option<&[i64]> {
        self.strides.as_deref()
    }

    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        n_elements(&self.shape).unwrap_or(0) as usize
    }

    /// Whether elements lie in the file one after another, so that [`fill`](Self::fill) can read any of them alone.
    pub fn is_stored(&self) -> bool {
        matches!(self.span, Span::Stored { .. }) && self.strides.is_none()
    }

    /// Fills `bytes` with whole elements from element `first` on, of a tensor that [`is_stored`](Self::is_stored).
    pub fn fill(&self, first: usize, bytes: &mut [u8]) -> Result<(), WeightsError> {
        let Span::Stored { start, .. } = self.span else {
            return Err(self.file.malformed("zip", "a packed tensor cannot be read in parts"));
        };
        self.file.fill(start + self.offset + (first * self.dtype.n_bytes()) as u64, bytes)
    }

    /// All bytes from the tensor's first element on, unpacked; a strided tensor's elements lie among them.
    pub fn storage(&self) -> Result<Vec<u8>, WeightsError> {
        let mut bytes = self.span.whole(&self.file)?;
        bytes.drain(..(self.offset as usize).min(bytes.len()));
        let whole = bytes.len() - bytes.len() % self.dtype.n_bytes();
        bytes.truncate(whole);
        Ok(bytes)
    }

    /// All elements of a small tensor in order, row by row, as floats.
    pub fn values(&self) -> Result<Vec<f64>, WeightsError> {
        /// A threshold for each of 16 million features; a float for each takes 128 MiB.
        const MOST: usize = 1 << 24;
        if self.n_elements() > MOST {
            let reason = format!("a tensor of {} values, expected at most {MOST} here", self.n_elements());
            return Err(self.file.malformed("weights", reason));
        }
        let width = self.dtype.n_bytes();
        let bytes = self.storage()?;
        let value = |at: usize| self.dtype.value(&bytes[at * width..(at + 1) * width]);
        let Some(strides) = &self.strides else { return Ok((0..self.n_elements()).map(value).collect()) };
        let mut values = Vec::with_capacity(self.n_elements());
        let mut index = vec![0i64; self.shape.len()];
        for _ in 0..self.n_elements() {
            let at: i64 = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
            values.push(value(at as usize));
            for (index, width) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *width {
                    break;
                }
                *index = 0;
            }
        }
        Ok(values)
    }

    /// Takes leading axes of width 1 away: `[1, d]` becomes `[d]`.
    pub(super) fn drop_leading_ones(&mut self) {
        let ones = self.shape.iter().take_while(|width| **width == 1).count();
        let ones = ones.min(self.shape.len().saturating_sub(1));
        self.shape.drain(..ones);
        if let Some(strides) = &mut self.strides {
            strides.drain(..ones);
        }
    }

    /// Makes one axis of the first two, where they lie so that it can be: `[n, d, d_sae]` becomes `[n d, d_sae]`.
    pub(super) fn merge_leading_axes(&mut self) {
        let [first, second, ..] = self.shape.as_slice() else { return };
        let Some(merged) = first.checked_mul(*second) else { return };
        if let Some(strides) = &mut self.strides {
            if strides[1].checked_mul(*second) != Some(strides[0]) {
                return;
            }
            strides.remove(0);
        }
        self.shape.remove(0);
        self.shape[0] = merged;
    }
}

/// Number of elements, `None` where it overflows.
pub(super) fn n_elements(shape: &[i64]) -> Option<i64> {
    shape.iter().try_fold(1i64, |n, width| if *width < 0 { None } else { n.checked_mul(*width) })
}
