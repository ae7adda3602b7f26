//! Why a tensor could not be read.

use tch::TchError;

use crate::interrupt::Interrupted;

/// Why weights could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The program was asked to end.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] checkpoints::WeightsError),
    /// libtorch refused, usually for want of memory.
    #[error("libtorch could not take {name:?}: {}", first_line(cause))]
    Torch {
        /// The tensor.
        name: String,
        /// What libtorch said.
        cause: TchError,
    },
}

/// The first line of a libtorch message; the rest is a C++ stack trace.
pub fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
