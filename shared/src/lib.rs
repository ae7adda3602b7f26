//! The bundle: what `compute` writes and the viewer opens.
//!
//! This crate is the contract between the two and holds nothing else: the schema's types, the rules of
//! layouts, and the functions that turn bytes into checked values. It does no I/O and runs natively and in
//! WASM.
//!
//! Read in this order: [`manifest`] (what a bundle says of itself), [`feature`] (all that one feature's page
//! shows), [`sequence`] (examples, activations and effects), [`prompt`], [`layout`], [`bundle`] (paths,
//! encoding, checking).

pub mod archive;
pub mod ascending;
pub mod bundle;
pub mod corpus;
pub mod decimals;
pub mod error;
pub mod feature;
pub mod histogram;
pub mod index;
mod json;
pub mod labels;
pub mod layout;
pub mod manifest;
pub mod prompt;
pub mod quantiles;
pub mod sequence;
pub mod vocab;

pub use error::BundleError;
