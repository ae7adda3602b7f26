//! safetensors: an eight-byte length, a JSON header, then the tensors' bytes. The header is read and checked by the
//! `safetensors` crate: tensors follow one another without gaps, and each is as long as its shape says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype as FileDtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use shared::paths::is_inside;

use super::dtype::Dtype;
use super::entry::Entry;
use super::error::WeightsError;
use super::file::{InputFile, Span};

const NAME: &str = "safetensors";
/// The most bytes of a header: some 80,000 tensors. The format allows more, but parsing takes many times as much memory.
const MAX_HEADER_BYTES: u64 = 8 << 20;
/// Bytes of one tensor's name.
const MAX_NAME_BYTES: usize = 1024;
/// The format's own limit on its header: what is longer is another format.
const MAX_LENGTH: u64 = 100_000_000;
/// Axes of one tensor.
const MAX_AXES: usize = 64;

/// Whether a file begins as this format does: a plausible length, and then a JSON object. Bytes of the length alone can
/// be those of a pickle.
pub(super) fn begins(file: &InputFile) -> Result<bool, WeightsError> {
    let start = file.read(0, file.len().min(9))?;
    let Some((length, [b'{'])) = start.split_first_chunk() else { return Ok(false) };
    Ok(u64::from_le_bytes(*length) <= MAX_LENGTH)
}

/// The tensors of one file.
pub(super) fn entries(file: &Arc<InputFile>) -> Result<BTreeMap<String, Entry>, WeightsError> {
    file.check("the header", 0, 8)?;
    let mut length = [0; 8];
    file.fill(0, &mut length)?;
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_LENGTH {
        return Err(file.malformed(NAME, "it does not begin with the length of a header"));
    }
    file.check("the header", 8, header_len)?;
    if header_len > MAX_HEADER_BYTES {
        let reason = format!("its header has {header_len} bytes, more than any checkpoint needs");
        return Err(file.malformed(NAME, reason));
    }
    let metadata: Metadata = serde_json::from_slice(&file.read(8, header_len)?)
        .map_err(|error| file.malformed(NAME, format!("its header: {error}")))?;
    file.check("the tensors", 8 + header_len, metadata.data_len() as u64)?;
    let mut entries = BTreeMap::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        if name.len() > MAX_NAME_BYTES || info.shape.len() > MAX_AXES {
            return Err(file.malformed(NAME, "a tensor's name or shape is longer than any checkpoint needs"));
        }
        let dtype = dtype(info.dtype).ok_or_else(|| WeightsError::Dtype {
            name: name.clone(),
            got: format!("{:?}", info.dtype),
            path: file.path().to_owned(),
        })?;
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let span = Span::Stored { start: 8 + header_len + start, len: end - start };
        let shape = info.shape.iter().map(|width| *width as i64).collect();
        entries.insert(name, Entry { file: Arc::clone(file), dtype, shape, strides: None, span, offset: 0 });
    }
    Ok(entries)
}

fn dtype(dtype: FileDtype) -> Option<Dtype> {
    Some(match dtype {
        FileDtype::F8_E4M3 => Dtype::F8E4M3,
        FileDtype::F8_E5M2 => Dtype::F8E5M2,
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::BF16,
        FileDtype::F32 => Dtype::F32,
        FileDtype::F64 => Dtype::F64,
        FileDtype::I8 => Dtype::I8,
        FileDtype::I16 => Dtype::I16,
        FileDtype::I32 => Dtype::I32,
        FileDtype::I64 => Dtype::I64,
        FileDtype::U8 => Dtype::U8,
        FileDtype::U16 => Dtype::U16,
        FileDtype::U32 => Dtype::U32,
        FileDtype::U64 => Dtype::U64,
        FileDtype::BOOL => Dtype::Bool,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names: plain file names, never paths that lead elsewhere.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, WeightsError> {
    /// Twice what the largest models have; parsing takes several times as much memory.
    const MAX_INDEX_BYTES: u64 = 16 << 20;
    let file = InputFile::open(index)?;
    let malformed = |reason: String| file.malformed("shard index", reason);
    if file.len() > MAX_INDEX_BYTES {
        return Err(malformed(format!("it has {} bytes, more than any checkpoint needs", file.len())));
    }
    let parsed: Index =
        serde_json::from_slice(&file.read(0, file.len())?).map_err(|error| malformed(error.to_string()))?;
    let shards: BTreeSet<String> = parsed.weight_map.into_values().collect();
    match shards.iter().find(|shard| shard.contains('/') || !is_inside(shard)) {
        Some(shard) => Err(malformed(format!("\"{shard}\" is not a plain file name"))),
        None => Ok(shards),
    }
}
