//! Corpora that are tokenized already: a two-dimensional integer array, one row a row.

use std::path::{Path, PathBuf};

use checkpoints::Dtype;
use tch::{Device, Kind};

use super::{CorpusError, CorpusKind, MAX_POSITIONS, Rows, Rule, parquet};
use crate::weights::{Select, Weights};

/// Names under which a safetensors file may hold its tokens; a file with one tensor needs no name.
const NAMES: [&str; 2] = ["tokens", "input_ids"];

/// Reads the token arrays in `files`, one after another.
pub fn read(files: &[PathBuf], column: &str, rule: &Rule) -> Result<Rows, CorpusError> {
    let mut ids = Vec::new();
    for path in files {
        let left = rule.max_rows.map_or(usize::MAX, |max| max - ids.len() / rule.seq_len);
        if left == 0 {
            break;
        }
        let wrong = |reason: String| CorpusError::Array { reason, path: path.clone() };
        let rows = if CorpusKind::of(path)?.0 == CorpusKind::Parquet {
            parquet::token_rows(path, column)?.take(left).collect::<Result<Vec<_>, _>>()?
        } else {
            array(path, left).map_err(wrong)?
        };
        for row in rows {
            if row.len() != rule.seq_len {
                return Err(wrong(format!("rows have {} tokens, --seq-len is {}", row.len(), rule.seq_len)));
            }
            for id in row {
                let id =
                    u32::try_from(id).map_err(|_out_of_range| wrong(format!("token id {id} is not one")))?;
                ids.push(id);
            }
            if ids.len() > MAX_POSITIONS {
                return Err(CorpusError::TooLong { path: path.clone() });
            }
        }
    }
    Ok(Rows::from_array(ids, rule.seq_len, rule.max_rows))
}

/// The first `max_rows` rows of a `.npy` or `.safetensors`.
fn array(path: &Path, max_rows: usize) -> Result<Vec<Vec<i64>>, String> {
    let weights = Weights::open(path).map_err(|e| e.to_string())?;
    let name = tokens_name(&weights)?;
    check_token_ids(&weights, &name)?;
    let (n_rows, seq_len) = weights.matrix(&name).map_err(|e| e.to_string())?;
    let n_rows = n_rows.min(i64::try_from(max_rows).unwrap_or(i64::MAX));
    let rows: Vec<i64> = (0..n_rows).collect();
    let tokens =
        weights.read(&name, Select::Rows(&rows), Kind::Int64, Device::Cpu).map_err(|e| e.to_string())?;
    let flat = Vec::<i64>::try_from(tokens.contiguous().view(-1)).map_err(|e| e.to_string())?;
    Ok(flat.chunks(seq_len.max(1) as usize).map(<[i64]>::to_vec).collect())
}

/// Refuses an array of fractions or truth values, which torch would cut to integers without a word.
pub fn check_token_ids(weights: &Weights, name: &str) -> Result<(), String> {
    let dtype = match weights.dtype(name) {
        Some(Dtype::Bool) => return Err("it holds true and false, expected token ids".to_owned()),
        Some(dtype) if dtype.is_float() => dtype,
        _ => return Ok(()),
    };
    let first = weights.read(name, Select::Rows(&[0]), Kind::Float, Device::Cpu);
    let first = first.map_err(|e| e.to_string())?.contiguous().view(-1);
    let first = Vec::<f32>::try_from(first).map_err(|e| e.to_string())?;
    let shown = first.iter().find(|v| v.fract() != 0.0).or(first.first()).copied().unwrap_or_default();
    let bits = 8 * dtype.n_bytes();
    Err(format!("it holds {shown}, expected token ids: {bits}-bit floats are not integers"))
}

fn tokens_name(weights: &Weights) -> Result<String, String> {
    let names: Vec<&str> = weights.names().collect();
    let found = NAMES.into_iter().find(|n| weights.has(n)).or(match names[..] {
        [only] => Some(only),
        _ => None,
    });
    found.map(str::to_owned).ok_or_else(|| format!("expected a tensor \"tokens\", got {}", names.join(", ")))
}

/// Width of the rows in a token array, for a run that is not told the row length.
pub fn seq_len(path: &Path, column: &str) -> Result<usize, CorpusError> {
    let wrong = |reason: String| CorpusError::Array { reason, path: path.to_owned() };
    if CorpusKind::of(path)?.0 == CorpusKind::Parquet {
        return Ok(parquet::token_rows(path, column)?.next().transpose()?.map_or(0, |row| row.len()));
    }
    let weights = Weights::open(path).map_err(|e| wrong(e.to_string()))?;
    let name = tokens_name(&weights).map_err(wrong)?;
    Ok(weights.matrix(&name).map_err(|e| wrong(e.to_string()))?.1 as usize)
}
