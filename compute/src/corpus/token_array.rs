//! Corpora that are tokenized already: a two-dimensional integer array, one row a row.

use std::path::Path;

use tch::{Device, Kind};

use super::{CorpusError, Rows, Rule};
use crate::weights::{Select, Weights};

/// Names under which a safetensors file may hold its tokens; a file with one tensor needs no name.
const NAMES: [&str; 2] = ["tokens", "input_ids"];

/// Reads a token array from `.npy` or `.safetensors`.
pub fn read(path: &Path, rule: &Rule) -> Result<Rows, CorpusError> {
    let wrong = |reason: String| CorpusError::Array { reason, path: path.to_owned() };
    let weights = Weights::open(path).map_err(|e| wrong(e.to_string()))?;
    let names: Vec<&str> = weights.names().collect();
    let name = NAMES.into_iter().find(|n| weights.has(n)).or(match names[..] {
        [only] => Some(only),
        _ => None,
    });
    let name = name.ok_or_else(|| wrong(format!("expected a tensor \"tokens\", got {}", names.join(", "))))?;
    let (n_rows, seq_len) = weights.matrix(name).map_err(|e| wrong(e.to_string()))?;
    if seq_len as usize != rule.seq_len && n_rows > 0 {
        return Err(wrong(format!("rows have {seq_len} tokens, --seq-len is {}", rule.seq_len)));
    }
    let n_read = rule.max_rows.map_or(n_rows, |max| n_rows.min(max as i64));
    let rows: Vec<i64> = (0..n_read).collect();
    let tokens = weights
        .read(name, Select::Rows(&rows), Kind::Int64, Device::Cpu)
        .map_err(|e| wrong(e.to_string()))?
        .contiguous()
        .view(-1); // [n_rows * seq_len]
    let tokens = Vec::<i64>::try_from(tokens).map_err(|e| wrong(e.to_string()))?;
    let id = |&t: &i64| u32::try_from(t).map_err(|_out_of_range| wrong(format!("token id {t} is not one")));
    let ids: Vec<u32> = tokens.iter().map(id).collect::<Result<_, _>>()?;
    Ok(Rows::from_array(ids, rule.seq_len, rule.max_rows))
}

/// Width of the rows in a token array, for a run that is not told the row length.
pub fn seq_len(path: &Path) -> Option<usize> {
    let weights = Weights::open(path).ok()?;
    let name = weights.names().next()?.to_owned();
    weights.matrix(&name).ok().map(|(_, seq_len)| seq_len as usize)
}
