//! Reads a model, sparse autoencoders and a corpus; writes a bundle.

pub mod model;
pub mod sae;
pub mod weights;
