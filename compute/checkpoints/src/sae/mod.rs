//! What the files of an SAE say: its config, and where each weight lies.
//!
//! [`SaeFiles::open`] recognises the format; `formats/` has one small file for each.

mod config;
mod error;
mod files;
mod formats;
mod origin;
mod registry;
mod settings;

use std::path::Path;

pub use config::{Architecture, DictionaryClass, ExcludedTokens, Fold, Normalize, SaeConfig, SaeFormat};
pub use error::SaeError;
pub use files::{Matrix, Names, SaeFiles, Threshold};
pub use registry::{Lookup, RegisteredSae, Registry, RegistryEntry, Release};

impl SaeFiles {
    /// Opens a file or folder; without a format, the one that its files are recognised as. No weights are read.
    pub fn open(path: &Path, format: Option<SaeFormat>) -> Result<Self, SaeError> {
        formats::open(path, format)
    }
}

impl SaeConfig {
    /// Reads what the files say, and shapes from their headers; no weights are read.
    pub fn read(path: &Path, format: Option<SaeFormat>) -> Result<Self, SaeError> {
        Ok(formats::open(path, format)?.config)
    }
}
