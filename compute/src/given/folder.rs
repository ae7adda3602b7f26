//! The folder of activations that any program can write.
//!
//! | file | holds |
//! |---|---|
//! | `activations.json` | [`About`] |
//! | `tokens.safetensors` | `tokens`, integers `[n_rows, seq_len]` |
//! | `acts-NNNN.safetensors` | `positions` and `features`, integers, and `values`, floats: `[n]` each, one entry for each active feature at a position (`row * seq_len + pos`), ascending by position, then by feature, over all files in the order of their names |
//! | `decoder.safetensors`, if known | `W_dec`, floats `[n_features, d_out]` |
//! | `logits.safetensors`, if known | `logits`, floats `[n_features, d_vocab]`: what each feature adds to the logits of the next token |
//! | `hook_acts.safetensors`, if known | `hook_acts`, floats `[n_rows * seq_len, d_in]`, whose columns are called neurons |
//! | `vocab.json` or `tokenizer.json`, if known | texts of all tokens, a list; or a tokenizer of Hugging Face |

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use shared::vocab::Vocab;
use tch::{Device, Kind, Tensor};

use super::{
    Activations,
    entries::{Entry, EntryTaker},
};
use crate::{
    backend::to_host,
    corpus::{Rows, Tokenizer, vocab},
    exchange::Subject,
    store::BatchNeurons,
    weights::{Select, Weights},
};

/// What `activations.json` says.
#[derive(Debug, Deserialize)]
struct About {
    /// `sae-vis activations`.
    format: String,
    /// 1.
    version: u32,
    /// Number of features.
    n_features: u32,
    /// What the features are called together: an SAE's name, a probe's.
    name: Option<String>,
    /// The model that they were computed on.
    model: Option<String>,
    /// Where in the model they are read.
    hook: Option<String>,
    /// The text's name.
    dataset: Option<String>,
    /// Whether activations may be negative.
    #[serde(default)]
    signed: bool,
}

const FORMAT: &str = "sae-vis activations";
const VERSION: u32 = 1;
/// Bytes of the longest JSON file that is read.
const MAX_JSON_BYTES: u64 = 256 << 20;
/// Entries that are read at once.
const ENTRIES: i64 = 1 << 20;

/// Reads the folder at `folder`.
///
/// - `tokenizer`: token texts, where the folder has none
pub fn read_folder(folder: &Path, tokenizer: Option<&Tokenizer>) -> Result<Activations> {
    let about = about(folder)?;
    let n_features = about.n_features as usize;
    let (tokens, seq_len) = tokens(&folder.join("tokens.safetensors"))?;
    let n_positions = tokens.len();
    let rows = Rows::from_array(tokens, seq_len, None);
    let decoder = matrix(folder, "decoder", "W_dec", n_features)?;
    let logits = matrix(folder, "logits", "logits", n_features)?;
    let hook_acts = HookActs::open(folder, n_positions)?;
    let read = |first, n| hook_acts.as_ref().context("there are no neurons")?.read(first, n);
    let neurons =
        hook_acts.as_ref().map(|hook_acts| (hook_acts.d_in, &read as super::entries::ReadNeurons<'_>));
    let mut taker = EntryTaker::new((n_features, n_positions), about.signed, neurons)?;
    for path in entry_files(folder)? {
        read_entries(&path, |entry| taker.take(entry))
            .with_context(|| format!("could not read the activations ({})", path.display()))?;
    }
    let (acts, neurons) = taker.finish()?;
    let d_vocab = match &logits {
        Some(logits) => logits.size()[1] as usize,
        None => rows.token_ids().iter().max().map_or(0, |id| *id as usize + 1),
    };
    let vocab = vocabulary(folder, tokenizer, d_vocab)?;
    ensure!(
        rows.token_ids().iter().all(|id| (*id as usize) < vocab.len()),
        "the text has token ids beyond the {} that are known ({})",
        vocab.len(),
        folder.display()
    );
    let name = about.name.or_else(|| Some(folder.file_name()?.to_string_lossy().into_owned()));
    Ok(Activations {
        subject: Subject {
            model: about.model,
            sae: name,
            dataset: about.dataset,
            hook: about.hook,
            n_features: Some(about.n_features),
            signed: about.signed,
            ..Subject::default()
        },
        format: "own activations".to_owned(),
        rows,
        vocab,
        features: (0..about.n_features).collect(),
        acts,
        neurons,
        decoder,
        logits,
        explanations: Vec::new(),
    })
}

/// Reads a JSON file of a size that fits into memory.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let reading = || format!("could not read ({})", path.display());
    let about = fs::metadata(path).with_context(reading)?;
    ensure!(about.is_file() && about.len() <= MAX_JSON_BYTES, "{}: it is no such file", reading());
    serde_json::from_slice(&fs::read(path).with_context(reading)?).with_context(reading)
}

fn about(folder: &Path) -> Result<About> {
    let path = folder.join("activations.json");
    ensure!(
        path.is_file(),
        "no activations here: expected a folder with activations.json, as sae_vis_rs.write_activations writes it ({})",
        folder.display()
    );
    let about: About = json(&path)?;
    ensure!(
        about.format == FORMAT && about.version == VERSION,
        "expected format \"{FORMAT}\", version {VERSION}, got \"{}\", version {} ({})",
        about.format,
        about.version,
        path.display()
    );
    Ok(about)
}

/// All token ids, and the length of a row.
fn tokens(path: &Path) -> Result<(Vec<u32>, usize)> {
    let reading = || format!("could not read the tokens ({})", path.display());
    let weights = Weights::open(path).with_context(reading)?;
    let (n_rows, seq_len) = weights.matrix("tokens").with_context(reading)?;
    ensure!(
        n_rows > 0 && seq_len > 1,
        "{}: expected rows of at least 2 tokens, got [{n_rows}, {seq_len}]",
        reading()
    );
    ensure!(
        n_rows.saturating_mul(seq_len) <= i64::from(u32::MAX),
        "{}: there are more than {} tokens",
        reading(),
        u32::MAX
    );
    crate::corpus::check_token_ids(&weights, "tokens").map_err(anyhow::Error::msg).with_context(reading)?;
    let all = weights.read("tokens", Select::All, Kind::Int64, Device::Cpu).with_context(reading)?;
    let all = Vec::<i64>::try_from(all.f_contiguous()?.f_view([-1])?)?;
    let id = |id: i64| u32::try_from(id).ok().with_context(|| format!("{}: {id} is no token id", reading()));
    Ok((all.into_iter().map(id).collect::<Result<_>>()?, seq_len as usize))
}

/// The matrix in a file that may not be there: a row for each feature.
fn matrix(folder: &Path, file: &str, name: &'static str, n_features: usize) -> Result<Option<Tensor>> {
    let path = folder.join(file).with_extension("safetensors");
    if !path.exists() {
        return Ok(None);
    }
    let reading = || format!("could not read ({})", path.display());
    let weights = Weights::open(&path).with_context(reading)?;
    let (n_rows, _) = weights.matrix(name).with_context(reading)?;
    ensure!(
        n_rows as usize == n_features,
        "{name} has {n_rows} rows, expected one for each of {n_features} features ({})",
        path.display()
    );
    Ok(Some(weights.read(name, Select::All, Kind::Float, Device::Cpu).with_context(reading)?))
}

/// Activations of the neurons beside the features.
struct HookActs {
    path: PathBuf,
    weights: Weights,
    d_in: usize,
}

impl HookActs {
    fn open(folder: &Path, n_positions: usize) -> Result<Option<Self>> {
        let path = folder.join("hook_acts.safetensors");
        if !path.exists() {
            return Ok(None);
        }
        let reading = || format!("could not read ({})", path.display());
        let weights = Weights::open(&path).with_context(reading)?;
        let (n_rows, d_in) = weights.matrix("hook_acts").with_context(reading)?;
        ensure!(
            n_rows as usize == n_positions,
            "hook_acts has {n_rows} rows, expected one for each of {n_positions} positions ({})",
            path.display()
        );
        Ok(Some(Self { d_in: d_in as usize, weights, path }))
    }

    fn read(&self, first: usize, n: usize) -> Result<BatchNeurons> {
        let rows: Vec<i64> = (first as i64..(first + n) as i64).collect();
        let reading = || format!("could not read ({})", self.path.display());
        let values = self.weights.read("hook_acts", Select::Rows(&rows), Kind::Float, Device::Cpu);
        Ok(BatchNeurons::Neurons(to_host(&values.with_context(reading)?)?))
    }
}

/// The files of entries, by their names.
fn entry_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("could not read the folder ({})", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("acts-") && name.ends_with(".safetensors") {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no file acts-NNNN.safetensors ({})", folder.display());
    Ok(files)
}

/// Reads the entries of a file, some at a time.
fn read_entries(path: &Path, mut take: impl FnMut(Entry) -> Result<()>) -> Result<()> {
    let weights = Weights::open(path)?;
    let n = |name: &str| match weights.shape(name) {
        Some([n]) => Ok(*n),
        Some(shape) => bail!("{name} has shape {shape:?}, expected one axis"),
        None => bail!("it has no {name}, expected positions, features and values"),
    };
    let (n_positions, n_features, n_values) = (n("positions")?, n("features")?, n("values")?);
    ensure!(
        n_positions == n_values && n_features == n_values,
        "positions has {n_positions} entries, features {n_features}, values {n_values}: expected the same"
    );
    for first in (0..n_values).step_by(ENTRIES as usize) {
        let some: Vec<i64> = (first..n_values.min(first + ENTRIES)).collect();
        let whole = |name| -> Result<Vec<i64>> {
            Ok(Vec::try_from(weights.read(name, Select::Rows(&some), Kind::Int64, Device::Cpu)?)?)
        };
        let (positions, features) = (whole("positions")?, whole("features")?);
        let values = weights.read("values", Select::Rows(&some), Kind::Float, Device::Cpu)?;
        let values = Vec::<f32>::try_from(values)?;
        for ((position, feature), act) in positions.into_iter().zip(features).zip(values) {
            take(Entry { position, feature, act })?;
        }
    }
    Ok(())
}

/// Token texts: the folder's own, else the tokenizer's, else none for `d_vocab` ids.
fn vocabulary(folder: &Path, tokenizer: Option<&Tokenizer>, d_vocab: usize) -> Result<Vocab> {
    let texts = folder.join("vocab.json");
    if texts.exists() {
        let texts: Vec<String> = json(&texts)?;
        return Ok(Vocab::of(texts));
    }
    let own = folder.join("tokenizer.json");
    if own.exists() {
        return Ok(vocab(Some(&Tokenizer::read(&own)?), d_vocab));
    }
    Ok(vocab(tokenizer, d_vocab))
}
