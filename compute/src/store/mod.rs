//! What a pass over the corpus leaves behind, sized by what is active and not by what could be.
//!
//! Sparse activations ([`Store`]), the sums that neurons' correlations need ([`NeuronSums`]) and the last residuals that
//! effects start from ([`Residuals`]). What grows with the corpus is in memory within a budget, then in files
//! ([`Column`]).

mod column;
mod exact_sums;
mod neuron_sums;
mod resid;
mod segments;
mod sparse;

pub use column::Column;
pub use exact_sums::{ExactSums, ExactTensor};
pub use neuron_sums::{BatchNeurons, NeuronAccumulator, NeuronSums, PRODUCT_BYTES, ProductSums, sums_fit};
pub use resid::{BatchResid, ResidMeta, ResidSource, Residuals};
pub use segments::{SEGMENT_BYTES, SEGMENT_ENTRIES, Store, StoreMeta};
pub use sparse::{Active, ByFeature, ByPosition};

/// What failed where a column cannot be written.
pub const IN_A_FILE: &str = "could not keep activations in a temporary file (TMPDIR says in which folder)";
