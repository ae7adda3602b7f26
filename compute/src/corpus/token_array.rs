//! Corpora that are tokenized already, one row a row: a two-dimensional integer array, or lists of one length.

use serde::{Deserialize, Serialize};
use std::path::Path;

use checkpoints::Dtype;
use tch::{Device, Kind};

use super::{
    CorpusError, CorpusKind, MAX_POSITIONS, Options, Rows, Rule, Source, files, reading::Reading,
    record::Record, sample::Part,
};
use crate::weights::{Select, Weights};

/// Names under which a file of tensors may hold its tokens; a file with one tensor needs no name.
const NAMES: [&str; 2] = ["tokens", "input_ids"];
/// Ids read at once.
const PIECE_IDS: i64 = 1 << 20;
/// Rows by which lists of token ids are judged to be of one length.
const JUDGED_ROWS: usize = 1024;

/// How a corpus becomes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Documents, joined and cut.
    Documents,
    /// Rows already, of so many tokens.
    Rows(usize),
}

/// How the corpus becomes rows, by its first file: lists of token ids are rows where all that are looked at have one
/// length, of at most `n_ctx`.
pub fn form(source: &Source, options: &Options, n_ctx: usize) -> Result<Form, CorpusError> {
    let Some(first) = source.files.first() else { return Ok(Form::Documents) };
    let is_array = |kind: CorpusKind| kind == CorpusKind::Tokens;
    let of_first = first.kind()?;
    for file in &source.files {
        if is_array(file.kind()?) != is_array(of_first) {
            return Err(CorpusError::Mixed { path: file.name.clone().into() });
        }
    }
    if is_array(of_first) {
        return width(&first.path()?).map(Form::Rows);
    }
    let mut width = None;
    let items = files::items(&first.path()?, &first.name, &Part::whole(0), options)?;
    for item in items.take(JUDGED_ROWS) {
        match item?.record {
            Ok(Record::TokenIds(ids)) if *width.get_or_insert(ids.len()) != ids.len() => {
                return Ok(Form::Documents);
            }
            Ok(Record::TokenIds(_)) | Err(_) => {}
            Ok(Record::Text(_) | Record::Messages(_)) => return Ok(Form::Documents),
        }
    }
    Ok(width.filter(|width| (2..=n_ctx).contains(width)).map_or(Form::Documents, Form::Rows))
}

/// Reads rows, file after file; `None` where lists turn out to be of unequal length after all.
pub fn read(
    source: &Source,
    options: &Options,
    rule: &Rule,
    d_vocab: usize,
) -> Result<Option<Rows>, CorpusError> {
    let mut rows = RowFiller { token_ids: Vec::new(), rule, d_vocab };
    let mut reading = Reading::default();
    for (i, file) in source.files.iter().enumerate() {
        if rows.is_full() {
            break;
        }
        let path = file.path()?;
        let kind = file.kind()?;
        if kind == CorpusKind::Tokens {
            rows.array(&path)?;
            continue;
        }
        let unit = files::unit(kind, options.strict);
        for item in files::items(&path, &file.name, &Part::whole(i), options)? {
            let item = item?;
            reading.note(&item, unit, &file.name)?;
            match item.record {
                Err(_) => {}
                Ok(Record::TokenIds(row)) if row.len() == rule.seq_len => {
                    rows.push(row.into_iter().map(i64::from), &path)?;
                }
                Ok(Record::TokenIds(row)) if rows.token_ids.is_empty() => {
                    let reason = format!("rows have {} tokens, --seq-len is {}", row.len(), rule.seq_len);
                    return Err(CorpusError::Array { reason, path });
                }
                Ok(Record::TokenIds(_)) => return Ok(None),
                Ok(_) => return Err(CorpusError::Mixed { path }),
            }
            if rows.is_full() {
                break;
            }
        }
    }
    Ok(Some(Rows::from_array(rows.token_ids, rule.seq_len, rule.max_rows).with_reading(reading)))
}

/// Rows on their way.
struct RowFiller<'a> {
    token_ids: Vec<u32>,
    rule: &'a Rule,
    d_vocab: usize,
}

impl RowFiller<'_> {
    fn is_full(&self) -> bool {
        self.rule.max_rows.is_some_and(|max| self.token_ids.len() / self.rule.seq_len >= max)
    }

    fn push(&mut self, ids: impl Iterator<Item = i64>, path: &Path) -> Result<(), CorpusError> {
        for id in ids {
            let token_id = u32::try_from(id).map_err(|_out_of_range| CorpusError::Array {
                reason: format!("it holds {id}, expected token ids"),
                path: path.to_owned(),
            })?;
            if token_id as usize >= self.d_vocab {
                return Err(CorpusError::OutOfVocabulary {
                    token_id,
                    d_vocab: self.d_vocab,
                    path: path.to_owned(),
                });
            }
            self.token_ids.push(token_id);
        }
        if self.token_ids.len() > MAX_POSITIONS {
            return Err(CorpusError::TooManyTokens { path: path.to_owned() });
        }
        Ok(())
    }

    /// The rows of a `.npy`, `.pt` or `.safetensors`, as many as are wanted, a piece at a time.
    fn array(&mut self, path: &Path) -> Result<(), CorpusError> {
        let wrong = |reason: String| CorpusError::Array { reason, path: path.to_owned() };
        let (weights, name) = open(path)?;
        let (n_rows, width) = weights.matrix(&name).map_err(|e| wrong(e.to_string()))?;
        if width as usize != self.rule.seq_len {
            return Err(wrong(format!("rows have {width} tokens, --seq-len is {}", self.rule.seq_len)));
        }
        let left = self
            .rule
            .max_rows
            .map_or(i64::MAX, |max| (max - self.token_ids.len() / self.rule.seq_len) as i64);
        let n_rows = n_rows.min(left);
        if (n_rows as u64).saturating_mul(width as u64) > MAX_POSITIONS as u64 {
            return Err(CorpusError::TooManyTokens { path: path.to_owned() });
        }
        let per_piece = (PIECE_IDS / width.max(1)).max(1);
        for first in (0..n_rows).step_by(per_piece as usize) {
            let rows: Vec<i64> = (first..n_rows.min(first + per_piece)).collect();
            let piece = weights.read(&name, Select::Rows(&rows), Kind::Int64, Device::Cpu);
            let piece = piece.map_err(|e| wrong(e.to_string()))?.contiguous().view(-1);
            self.push(Vec::<i64>::try_from(piece).map_err(|e| wrong(e.to_string()))?.into_iter(), path)?;
        }
        Ok(())
    }
}

/// Opens a file of tensors and finds its tokens.
fn open(path: &Path) -> Result<(Weights, String), CorpusError> {
    let wrong = |reason: String| CorpusError::Array { reason, path: path.to_owned() };
    drop(super::open::regular(path)?);
    let weights = Weights::open(path).map_err(|e| wrong(e.to_string()))?;
    let names: Vec<&str> = weights.names().collect();
    let found = NAMES.into_iter().find(|n| weights.has(n)).or(match names[..] {
        [only] => Some(only),
        _ => None,
    });
    let found = found.map(str::to_owned);
    let name =
        found.ok_or_else(|| wrong(format!("expected a tensor \"tokens\", got {}", names.join(", "))))?;
    check_token_ids(&weights, &name).map_err(wrong)?;
    Ok((weights, name))
}

/// Width of the rows in a token array.
fn width(path: &Path) -> Result<usize, CorpusError> {
    let (weights, name) = open(path)?;
    let matrix = weights.matrix(&name);
    let matrix = matrix.map_err(|e| CorpusError::Array { reason: e.to_string(), path: path.to_owned() })?;
    Ok(matrix.1 as usize)
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
