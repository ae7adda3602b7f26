//! torch.save archives.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plain;
use super::entry::{Entry, Opened, Span};
use super::error::WeightsError;

/// The tensors and plain values of one archive.
pub fn entries(
    file: &Arc<Opened>,
    _members: &BTreeMap<String, Span>,
) -> Result<(BTreeMap<String, Entry>, BTreeMap<String, Plain>), WeightsError> {
    Err(file.malformed("torch", "not read yet"))
}
