//! One small file per weight format, and recognising which one a path holds.

mod sae_lens;

use std::path::Path;

use super::config::SaeFormat;
use super::error::SaeError;
use super::source::Source;

/// Opens a file or folder.
pub fn open(path: &Path, _format: Option<SaeFormat>) -> Result<Source, SaeError> {
    sae_lens::open(path)
}
