//! safetensors: an eight-byte length, a JSON header, then the tensors' bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tch::Kind;

use super::entry::{Entry, Opened, Span, n_elements};
use super::error::WeightsError;

const NAME: &str = "safetensors";
/// The format's own limit on its header, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<i64>,
    data_offsets: (u64, u64),
}

/// Whether a file begins as this format does: a plausible length, and then a JSON object. Bytes of the length alone can
/// be those of a pickle.
pub fn begins(file: &Opened) -> Result<bool, WeightsError> {
    let start = file.read(0, file.len.min(9))?;
    let Some((length, [b'{'])) = start.split_first_chunk() else { return Ok(false) };
    Ok(u64::from_le_bytes(*length) <= MAX_HEADER_BYTES)
}

/// The tensors of one file.
pub fn entries(file: &Arc<Opened>) -> Result<BTreeMap<String, Entry>, WeightsError> {
    file.check("the header", 0, 8)?;
    let mut length = [0; 8];
    file.fill(0, &mut length)?;
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_HEADER_BYTES {
        return Err(file.malformed(NAME, "it does not begin with the length of a header"));
    }
    file.check("the header", 8, header_len)?;
    let header = file.read(8, header_len)?;
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| file.malformed(NAME, format!("its header is not JSON: {error}")))?;
    let mut entries = BTreeMap::new();
    for (name, info) in header {
        if name == "__metadata__" {
            continue;
        }
        let info: Info = serde_json::from_value(info)
            .map_err(|error| file.malformed(NAME, format!("its entry \"{name}\": {error}")))?;
        let entry = entry(file, &name, info, 8 + header_len)?;
        entries.insert(name, entry);
    }
    Ok(entries)
}

fn entry(file: &Arc<Opened>, name: &str, info: Info, data: u64) -> Result<Entry, WeightsError> {
    let unsigned = matches!(info.dtype.as_str(), "U16" | "U32");
    let kind = kind(&info.dtype).ok_or_else(|| WeightsError::Dtype {
        name: name.to_owned(),
        dtype: info.dtype.clone(),
        path: file.path.clone(),
    })?;
    let (start, end) = info.data_offsets;
    let bytes = n_elements(&info.shape).and_then(|n| n.checked_mul(kind.elt_size_in_bytes() as i64));
    if end.checked_sub(start) != bytes.map(|bytes| bytes as u64) {
        let reason = format!("\"{name}\" of shape {:?} spans bytes {start} to {end}", info.shape);
        return Err(file.malformed(NAME, reason));
    }
    file.check(&format!("\"{name}\""), data, end)?;
    let span = Span::Stored { start: data + start, len: end - start };
    Ok(Entry { file: Arc::clone(file), kind, unsigned, shape: info.shape, strides: None, span, offset: 0 })
}

fn kind(dtype: &str) -> Option<Kind> {
    Some(match dtype {
        "F64" => Kind::Double,
        "F32" => Kind::Float,
        "F16" => Kind::Half,
        "BF16" => Kind::BFloat16,
        "I64" => Kind::Int64,
        "U32" | "I32" => Kind::Int,
        "U16" | "I16" => Kind::Int16,
        "I8" => Kind::Int8,
        "U8" => Kind::Uint8,
        "BOOL" => Kind::Bool,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names: plain file names, never paths that lead elsewhere.
pub fn shards(index: &Path) -> Result<BTreeSet<String>, WeightsError> {
    let file = Opened::open(index)?;
    let malformed = |reason: String| file.malformed("shard index", reason);
    let parsed: Index = serde_json::from_slice(&file.read(0, file.len.min(MAX_HEADER_BYTES))?)
        .map_err(|error| malformed(error.to_string()))?;
    let shards: BTreeSet<String> = parsed.weight_map.into_values().collect();
    match shards.iter().find(|shard| shard.contains(['/', '\\']) || shard.as_str() == "..") {
        Some(shard) => Err(malformed(format!("\"{shard}\" is not a plain file name"))),
        None => Ok(shards),
    }
}
