//! The bundle: what `compute` writes and the viewer opens.
//!
//! This crate is the contract between the two and holds nothing else: the schema's types, the rules of
//! layouts, and the functions that turn bytes into checked values. It does no I/O and runs natively and in
//! WASM.
//!
//! Read in this order: [`manifest`] (what a bundle says of itself), [`feature`] (all that one feature's page
//! shows), [`sequence`] (examples, activations and effects), [`prompt`], [`layout`], [`layers`] (what may be there
//! besides), [`site`] (several bundles), [`paths`], [`bundle`] (encoding, checking), [`wire`] (bytes).
#![doc = include_str!("../FORMAT.md")]

pub mod archive;
pub mod ascending;
pub mod bundle;
mod checksum;
pub mod corpus;
pub mod decimals;
pub mod document;
pub mod error;
pub mod explanations;
pub mod feature;
pub mod health;
pub mod histogram;
pub mod index;
pub mod labels;
pub mod layers;
pub mod layout;
pub mod manifest;
pub mod neighbours;
pub mod paths;
pub mod prompt;
pub mod quantiles;
pub mod roles;
pub mod sequence;
pub mod shared_folder;
pub mod site;
mod text;
mod v2;
pub mod vocab;
pub mod wire;
pub mod zip;

pub use error::BundleError;
