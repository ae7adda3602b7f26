//! The one pass over the corpus: forward, encode, keep what is active.
//!
//! Every row goes through the model once, for any number of features and both SAEs. What remains of it is the
//! sparse activations, the sums that neurons' correlations need, and the last residuals that effects start from.
//! No dense array is larger than one batch. On a GPU what is active goes to the host; sums and residuals stay.

mod batch;
mod gather;
mod subject;

pub use batch::batch_bytes;
pub use gather::{PassNeeds, PassOutput, gather};
pub use subject::Subject;
