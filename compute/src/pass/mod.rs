//! The one pass over the corpus: forward, encode, keep what is active.
//!
//! Every row goes through the model once, for all taps and their SAEs. What remains of it is the sparse activations, the
//! sums that neurons' correlations need, and the last residuals that effects start from. No dense array is larger than
//! one batch. On a GPU what is active goes to the host; sums and residuals stay.
//!
//! A pass computes a range of batches. What passes over neighbouring ranges left behind is joined to the very bits that
//! one pass over all of them leaves: a batch is always computed whole, and totals are exact sums.

mod batch;
mod gather;
mod on_disk;
mod recompute;
mod subject;

pub use batch::batch_bytes;
pub use gather::{Pass, PassOutput, SaeOutput, TapOutput};
pub use recompute::RecomputedResid;
pub use subject::{Subject, Tap, TappedSae};
