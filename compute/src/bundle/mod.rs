//! Bundles on disk: how they are read, written, and made into one file.
//!
//! A run hands what it computed to a [`BackgroundWriter`], whose [`BundleWriter`] encodes and writes it. [`Bundle`] reads what was written. [`archive`] and [`html`] make one file of a bundle.

pub mod archive;
mod background;
mod blocks;
pub mod html;
mod reader;
mod writer;

pub use background::BackgroundWriter;
pub use reader::{Bundle, read_manifest};
pub use writer::{BundleWriter, parent, replace, rows_per_chunk};
