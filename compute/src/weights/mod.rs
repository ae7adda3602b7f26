//! Files of named tensors as libtorch's tensors. The files themselves are read by the crate `checkpoints`.
//!
//! Bytes go to the device in pieces of [`PIECE_BYTES`], converted to the kind that is kept on the way, so
//! reading needs no more than the kept tensors and one piece. Every tensor that is read is checked for
//! NaN and infinities, because an SAE with one NaN weight shows nothing but NaN later on.

mod error;
mod tensors;

use std::{ops::Deref, path::Path};

use tch::{Device, Kind, Tensor};

pub use error::{WeightsError, first_line};
pub use tensors::{PIECE_BYTES, read};

/// Which part of a matrix to read.
#[derive(Clone, Copy, Debug)]
pub enum Select<'a> {
    /// The whole tensor, of any rank.
    All,
    /// These rows (first axis), in this order.
    Rows(&'a [i64]),
    /// These columns (second axis of two), in this order.
    Columns(&'a [i64]),
}

/// Named tensors in one or more files; headers are read, data is not.
#[derive(Debug)]
pub struct Weights(checkpoints::Weights);

impl Weights {
    /// Opens one file; its container is recognised from its first bytes, not from its name.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Ok(Self(checkpoints::Weights::open(path)?))
    }

    /// Opens every shard that a Hugging Face index file (`model.safetensors.index.json`) names.
    pub fn open_index(index: &Path) -> Result<Self, WeightsError> {
        Ok(Self(checkpoints::Weights::open_index(index)?))
    }

    /// Checks a shape; `axes` names its axes, as in `[d_in, d_sae]`.
    pub fn expect(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<(), WeightsError> {
        Ok(self.0.expect(name, axes, shape)?)
    }

    /// Keeps only the tensors whose name starts with `prefix`, without it.
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        Self(self.0.below(prefix))
    }

    /// Reads a tensor, or part of one, as `kind` onto `device`.
    pub fn read(
        &self,
        name: &str,
        select: Select<'_>,
        kind: Kind,
        device: Device,
    ) -> Result<Tensor, WeightsError> {
        read(&self.0, name, select, kind, device)
    }
}

impl Deref for Weights {
    type Target = checkpoints::Weights;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
