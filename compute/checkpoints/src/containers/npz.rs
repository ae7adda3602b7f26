//! numpy's `.npz`: a zip of `.npy` files, each a short header and raw values.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dtype::Dtype;
use super::entry::{Entry, n_elements};
use super::error::WeightsError;
use super::file::{InputFile, Span};

const NAME: &str = "npz";
/// numpy's own limit on a header it will evaluate, in bytes.
const MAX_HEADER_BYTES: usize = 10_000;

/// The arrays of an archive, by their names without `.npy`.
pub fn entries(
    file: &Arc<InputFile>,
    members: &BTreeMap<String, Span>,
) -> Result<BTreeMap<String, Entry>, WeightsError> {
    let mut entries = BTreeMap::new();
    for (member, span) in members {
        let Some(name) = member.strip_suffix(".npy") else { continue };
        entries.insert(name.to_owned(), entry(file, name, span)?);
    }
    if entries.is_empty() {
        return Err(file.malformed(NAME, "a zip archive with neither .npy arrays nor a torch pickle"));
    }
    Ok(entries)
}

/// The one array of a bare `.npy` file, under the name `array`.
pub fn single(file: &Arc<InputFile>) -> Result<BTreeMap<String, Entry>, WeightsError> {
    let name = "array";
    let span = Span::Stored { start: 0, len: file.len() };
    Ok(BTreeMap::from([(name.to_owned(), entry(file, name, &span)?)]))
}

fn entry(file: &Arc<InputFile>, name: &str, span: &Span) -> Result<Entry, WeightsError> {
    let bad = |reason: &str| file.malformed(NAME, format!("{name:?} {reason}"));
    let head = span.head(file, 12 + MAX_HEADER_BYTES as u64)?;
    let (start, len) = match head.get(..12) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..]) => {
            (10_usize, usize::from(u16::from_le_bytes([*a, *b])))
        }
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d]) => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => return Err(bad("is not an .npy array")),
    };
    let header = head.get(start..start.saturating_add(len)).ok_or_else(|| bad("has no whole header"))?;
    let header = std::str::from_utf8(header).map_err(|_utf8| bad("has a header that is not text"))?;
    let descr = field(header, "descr").ok_or_else(|| bad("has no descr"))?;
    let descr = descr.split(['\'', '"']).nth(1).unwrap_or_default().to_owned();
    let fortran = field(header, "fortran_order").is_some_and(|value| value.starts_with("True"));
    let shape = field(header, "shape").and_then(shape).ok_or_else(|| bad("has no shape"))?;
    let dtype = dtype(&descr).ok_or_else(|| WeightsError::Dtype {
        name: name.to_owned(),
        got: descr,
        path: file.path().to_owned(),
    })?;
    let offset = (start + len) as u64;
    let bytes = n_elements(&shape).and_then(|n| n.checked_mul(dtype.n_bytes() as i64));
    if bytes.map(|bytes| bytes as u64) != span.len().checked_sub(offset) {
        let reason = format!("of shape {shape:?} does not fill its {} bytes", span.len());
        return Err(bad(&reason));
    }
    let strides = (fortran && shape.len() > 1).then(|| {
        let widths = shape.iter();
        widths.scan(1, |next, width| Some(std::mem::replace(next, *next * width))).collect()
    });
    Ok(Entry { file: Arc::clone(file), dtype, shape, strides, span: span.clone(), offset })
}

/// What follows a key of the header, a Python dict written as text.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = header.split_once(&format!("'{key}':"))?;
    Some(after.trim_start())
}

fn shape(text: &str) -> Option<Vec<i64>> {
    let inner = text.strip_prefix('(')?.split_once(')')?.0;
    inner
        .split(',')
        .map(str::trim)
        .filter(|width| !width.is_empty())
        .map(|width| width.parse().ok())
        .collect()
}

fn dtype(descr: &str) -> Option<Dtype> {
    Some(match descr {
        "<f8" => Dtype::F64,
        "<f4" => Dtype::F32,
        "<f2" => Dtype::F16,
        "<i8" => Dtype::I64,
        "<i4" => Dtype::I32,
        "<i2" => Dtype::I16,
        "|i1" => Dtype::I8,
        "<u8" => Dtype::U64,
        "<u4" => Dtype::U32,
        "<u2" => Dtype::U16,
        "|u1" => Dtype::U8,
        "|b1" => Dtype::Bool,
        _ => return None,
    })
}
