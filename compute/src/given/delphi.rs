//! What delphi leaves of a run: latents, explanations, scores.
//!
//! | path | holds |
//! |---|---|
//! | `latents/MODULE/START_END.safetensors` | of latents START to END: `locations` `[n, 3]` (row, position, latent − START), `activations` `[n]`, `tokens` `[n_rows, seq_len]` |
//! | `explanations/MODULE_latentN.txt` | a text as JSON |
//! | `scores/TEST/MODULE_latentN.txt` | judgements as JSON, each with `correct` |
//!
//! Source: the files that delphi 0.1 writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use shared::explanations::{Explanation, ExplanationScore};
use tch::{Device, Kind};

use super::{
    Activations,
    entries::{Entry, EntryTaker},
};
use crate::{
    corpus::{Rows, Tokenizer, vocab},
    exchange::Subject,
    store::NeuronSums,
    weights::{Select, Weights},
};

/// Entries that are read at once.
const ENTRIES: i64 = 1 << 20;
/// Bytes of the longest text or list of judgements that is read.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// A judgement of an example by an explanation.
#[derive(Deserialize)]
struct Judgement {
    correct: Option<bool>,
}

/// An entry: position, latent, activation.
type Found = (u32, u32, f32);

/// Reads the run in `folder`.
///
/// - `module`: the hook point's name, where there are several
/// - `tokenizer`: token texts
pub fn read_delphi(
    folder: &Path,
    module: Option<&str>,
    tokenizer: Option<&Tokenizer>,
) -> Result<Activations> {
    let (module, latents) = module_folder(folder, module)?;
    let (mut found, mut tokens, mut n_features) = (Vec::<Found>::new(), None, 0);
    for (start, end, path) in split_files(&latents)? {
        n_features = n_features.max(end + 1);
        let reading = || format!("could not read the latents ({})", path.display());
        let weights = Weights::open(&path).with_context(reading)?;
        if tokens.is_none() && weights.has("tokens") {
            tokens = Some(read_tokens(&weights).with_context(reading)?);
        }
        let (_, seq_len) = tokens.as_ref().with_context(|| {
            format!(
                "the latents were kept without their tokens, which the examples need ({})",
                path.display()
            )
        })?;
        read_latents(&weights, start, *seq_len, &mut found).with_context(reading)?;
    }
    let (tokens, seq_len) = tokens.with_context(|| format!("no latents here ({})", latents.display()))?;
    let rows = Rows::from_array(tokens, seq_len, None);
    found.sort_unstable_by_key(|(position, latent, _)| (*position, *latent));
    let signed = found.iter().any(|(_, _, act)| *act < 0.0);
    let mut taker = EntryTaker::new((n_features as usize, rows.n_positions()), signed, None)?;
    for (position, latent, act) in found {
        taker.take(Entry { position: position.into(), feature: latent.into(), act })?;
    }
    let (acts, _) = taker.finish()?;
    let d_vocab = rows.token_ids().iter().max().map_or(0, |id| *id as usize + 1);
    Ok(Activations {
        subject: Subject {
            sae: folder.file_name().map(|name| name.to_string_lossy().into_owned()),
            hook: Some(module.clone()),
            n_features: Some(n_features),
            signed,
            ..Subject::default()
        },
        format: "delphi's latents".to_owned(),
        vocab: vocab(tokenizer, d_vocab),
        rows,
        features: (0..n_features).collect(),
        acts,
        neurons: NeuronSums::default(),
        decoder: None,
        logits: None,
        explanations: explanations(folder, &module, n_features)?,
    })
}

/// The module's name, and the folder of its latents.
fn module_folder(folder: &Path, module: Option<&str>) -> Result<(String, PathBuf)> {
    let latents = folder.join("latents");
    let reading = || format!("no run of delphi here: expected a folder latents ({})", folder.display());
    let mut modules = Vec::new();
    for entry in fs::read_dir(&latents).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.path().is_dir() {
            modules.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    modules.sort();
    let module = match (module, modules.as_slice()) {
        (Some(module), _) if modules.iter().any(|known| known == module) => module.to_owned(),
        (None, [only]) => only.clone(),
        (None, []) => bail!("{}", reading()),
        (Some(module), _) => {
            bail!("no module {module}: there are {} ({})", modules.join(", "), folder.display())
        }
        (None, _) => bail!("there are several modules: name one with --module ({})", modules.join(", ")),
    };
    let path = latents.join(&module);
    Ok((module, path))
}

/// The files of a module, each with its first and last latent.
fn split_files(folder: &Path) -> Result<Vec<(u32, u32, PathBuf)>> {
    let reading = || format!("could not read the folder ({})", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let range =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".safetensors")?.split_once('_'));
        let range = range.and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
        if let Some((start, end)) = range {
            ensure!(
                start <= end && end < u32::MAX,
                "the file's name says latents {start} to {end} ({})",
                path.display()
            );
            files.push((start, end, path));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no files START_END.safetensors ({})", folder.display());
    Ok(files)
}

fn read_tokens(weights: &Weights) -> Result<(Vec<u32>, usize)> {
    let (n_rows, seq_len) = weights.matrix("tokens")?;
    ensure!(n_rows > 0 && seq_len > 1, "expected rows of at least 2 tokens, got [{n_rows}, {seq_len}]");
    ensure!(n_rows.saturating_mul(seq_len) <= i64::from(u32::MAX), "there are more than {} tokens", u32::MAX);
    let all = weights.read("tokens", Select::All, Kind::Int64, Device::Cpu)?;
    let all = Vec::<i64>::try_from(all.f_contiguous()?.f_view([-1])?)?;
    let id = |id: i64| u32::try_from(id).ok().with_context(|| format!("{id} is no token id"));
    Ok((all.into_iter().map(id).collect::<Result<_>>()?, seq_len as usize))
}

/// Appends the entries of a file whose first latent is `start`.
fn read_latents(weights: &Weights, start: u32, seq_len: usize, found: &mut Vec<Found>) -> Result<()> {
    let (n, width) = weights.matrix("locations")?;
    ensure!(width == 3, "locations has {width} columns, expected row, position and latent");
    ensure!(
        weights.shape("activations") == Some(&[n][..]),
        "activations has shape {:?}, expected [{n}] as locations has",
        weights.shape("activations").unwrap_or_default()
    );
    for first in (0..n).step_by(ENTRIES as usize) {
        let some: Vec<i64> = (first..n.min(first + ENTRIES)).collect();
        let locations = weights.read("locations", Select::Rows(&some), Kind::Int64, Device::Cpu)?;
        let locations = Vec::<i64>::try_from(locations.f_contiguous()?.f_view([-1])?)?;
        let acts = weights.read("activations", Select::Rows(&some), Kind::Float, Device::Cpu)?;
        let acts = Vec::<f32>::try_from(acts)?;
        for (location, act) in locations.chunks_exact(3).zip(acts) {
            let [row, position, latent] = [0, 1, 2].map(|axis| u32::try_from(location[axis]).ok());
            let at = row.and_then(|row| row.checked_mul(seq_len as u32));
            let inside = position.filter(|position| (*position as usize) < seq_len);
            let at = at.zip(inside).and_then(|(at, position)| at.checked_add(position));
            let latent = latent.and_then(|latent| latent.checked_add(start));
            let (Some(at), Some(latent)) = (at, latent) else {
                bail!("an activation is at row, position and latent {location:?}, rows have {seq_len} tokens")
            };
            found.push((at, latent, act));
        }
    }
    Ok(())
}

/// The explanations of a module's latents, with the share of right judgements by each test.
fn explanations(folder: &Path, module: &str, n_features: u32) -> Result<Vec<Explanation>> {
    let tests = folders(&folder.join("scores"))?;
    let mut all = Vec::new();
    for feature in 0..n_features {
        let file = format!("{module}_latent{feature}.txt");
        let Some(text) = json::<String>(&folder.join("explanations").join(&file))? else { continue };
        let mut scores = Vec::new();
        for (test, path) in &tests {
            let judgements =
                json::<Vec<Judgement>>(&path.join(&file)).unwrap_or_default().unwrap_or_default();
            let correct: Vec<bool> = judgements.iter().filter_map(|judgement| judgement.correct).collect();
            if !correct.is_empty() {
                let n_right = correct.iter().filter(|correct| **correct).count();
                let value = n_right as f64 / correct.len() as f64;
                scores.push(ExplanationScore { test: test.clone(), value, judge: None });
            }
        }
        let text = text.trim().to_owned();
        let method = Some("delphi".to_owned());
        all.push(Explanation { feature, text, author: None, method, date: None, scores });
    }
    Ok(all)
}

/// The folders in a folder that may not be there, with their names.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.with_context(|| format!("could not read the folder ({})", folder.display()))?.path();
        if path.is_dir() {
            found.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// A JSON file that may not be there.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let reading = || format!("could not read ({})", path.display());
    let Ok(about) = fs::metadata(path) else { return Ok(None) };
    ensure!(about.is_file() && about.len() <= MAX_TEXT_BYTES, "{}: it is no such file", reading());
    serde_json::from_slice(&fs::read(path).with_context(reading)?).with_context(reading).map(Some)
}
