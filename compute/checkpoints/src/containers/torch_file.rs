//! torch.save archives (torch 1.6 and later): a zip of one pickle and one member per storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PickleValue;
use super::dtype::Dtype;
use super::entry::{Entry, n_elements};
use super::error::WeightsError;
use super::file::{InputFile, Span};
use super::pickle::{Id, Node, Tree, parse};

const NAME: &str = "torch";
/// A checkpoint's pickle holds names and shapes: megabytes at the very most.
const MAX_PICKLE_BYTES: u64 = 16 << 20;
/// Dicts in dicts: state dicts of objects in checkpoints nest to four or so.
const MAX_DEPTH: usize = 12;
/// Bytes of one key of a dict.
const MAX_KEY_BYTES: usize = 1024;
/// Longer texts beside the tensors are no settings, and are passed over.
const MAX_TEXT_BYTES: usize = 4096;

type Contents = (BTreeMap<String, Entry>, BTreeMap<String, PickleValue>);

/// The tensors and plain values of one archive, by dotted paths (`state_dict.W_enc`).
pub fn entries(file: &Arc<InputFile>, members: &BTreeMap<String, Span>) -> Result<Contents, WeightsError> {
    let pickle = members.iter().find(|(name, _)| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let (name, span) = pickle.ok_or_else(|| file.malformed(NAME, "it has no data.pkl"))?;
    let root = name.strip_suffix("data.pkl").unwrap_or_default();
    if span.len() > MAX_PICKLE_BYTES {
        return Err(file.malformed(NAME, format!("its pickle declares {} bytes", span.len())));
    }
    if let Some(order) = members.get(&format!("{root}byteorder"))
        && order.head(file, 6)? != b"little"
    {
        return Err(file.malformed(NAME, "it was written on a big-endian machine"));
    }
    let bytes = span.whole(file)?;
    let tree = parse(&bytes, file)?;
    // Parts that are shared are walked again, but not more often than a real checkpoint shares any.
    let steps = 4 * tree.nodes.len() + 1000;
    let mut walk = Walk { tree: &tree, file, members, root, steps, found: Contents::default() };
    walk.visit(tree.root, "", 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    tree: &'a Tree,
    file: &'a Arc<InputFile>,
    members: &'a BTreeMap<String, Span>,
    root: &'a str,
    steps: usize,
    found: Contents,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<(), WeightsError> {
        self.steps = self.steps.saturating_sub(1);
        if depth > MAX_DEPTH || self.steps == 0 {
            return Err(self.file.malformed(NAME, "its pickle nests deeper than any checkpoint"));
        }
        let tree = self.tree;
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match &tree.nodes[id] {
            Node::Dict(items) => {
                for (key, value) in items {
                    if let Some(key) = tree.text(*key) {
                        if key.len() > MAX_KEY_BYTES {
                            let reason = format!("its pickle has a key of {} bytes", key.len());
                            return Err(self.file.malformed(NAME, reason));
                        }
                        self.visit(*value, &below(key), depth + 1)?;
                    }
                }
            }
            Node::Object(Some(attributes)) => self.visit(*attributes, name, depth + 1)?,
            Node::Tensor { storage, offset, shape, strides } => {
                let entry = self.entry(name, *storage, *offset, shape, strides)?;
                self.found.0.insert(name.to_owned(), entry);
            }
            Node::Value(PickleValue::Text(text)) if text.len() > MAX_TEXT_BYTES => {}
            Node::Value(value) => {
                self.found.1.insert(name.to_owned(), value.clone());
            }
            Node::Sequence(_) | Node::Object(None) | Node::Storage { .. } | Node::Mark => {}
        }
        Ok(())
    }

    fn entry(
        &self,
        name: &str,
        storage: Id,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Result<Entry, WeightsError> {
        let Node::Storage { key, class } = &self.tree.nodes[storage] else {
            return Err(self.file.malformed(NAME, format!("{name:?} has no storage")));
        };
        let dtype = dtype(class).ok_or_else(|| WeightsError::Dtype {
            name: name.to_owned(),
            got: class.clone(),
            path: self.file.path().to_owned(),
        })?;
        let member = format!("{}data/{key}", self.root);
        let span = self.members.get(&member);
        let span = span.ok_or_else(|| self.file.malformed(NAME, format!("it has no member {member:?}")))?;
        let width = dtype.n_bytes() as i64;
        let end = reach(shape, strides)
            .and_then(|reach| reach.checked_add(offset))
            .and_then(|end| end.checked_mul(width));
        if end.is_none_or(|end| end as u64 > span.len()) {
            let reason = format!("{name:?} of shape {shape:?} reaches past its {} bytes", span.len());
            return Err(self.file.malformed(NAME, reason));
        }
        let (file, span) = (Arc::clone(self.file), span.clone());
        let strides = (!is_contiguous(shape, strides)).then(|| strides.to_vec());
        let offset = (offset * width) as u64;
        Ok(Entry { file, dtype, shape: shape.to_vec(), strides, span, offset })
    }
}

/// One past the last element that a strided tensor touches; `None` where it overflows.
fn reach(shape: &[i64], strides: &[i64]) -> Option<i64> {
    // Expanded tensors (stride 0) may claim more elements than they store: bounded here as well.
    if n_elements(shape)? == 0 {
        return Some(0);
    }
    let mut last = 0i64;
    for (width, stride) in shape.iter().zip(strides) {
        last = last.checked_add((width - 1).checked_mul(*stride)?)?;
    }
    last.checked_add(1).filter(|reach| n_elements(shape).is_some_and(|n| n <= reach.saturating_mul(1024)))
}

fn is_contiguous(shape: &[i64], strides: &[i64]) -> bool {
    let mut expected = Some(1i64);
    shape.iter().zip(strides).rev().all(|(width, stride)| {
        let fits = *width == 1 || Some(*stride) == expected;
        // Beside a width of 0, the product of the others may be any.
        expected = expected.and_then(|expected| expected.checked_mul(*width));
        fits
    })
}

fn dtype(class: &str) -> Option<Dtype> {
    Some(match class.strip_prefix("torch.")? {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::Bool,
        _ => return None,
    })
}
