//! One small file per weight format, and recognising which one a path holds.

mod dictionary_learning;
mod gemma_scope;
mod llama_scope;
mod openai;
mod sae_lens;
mod sae_vis;
mod sparsify;

use std::path::Path;

use super::config::SaeFormat;
use super::error::SaeError;
use super::source::Source;
use crate::weights::Weights;

/// Opens a file or folder; without a format, the one that its files are recognised as.
pub fn open(path: &Path, format: Option<SaeFormat>) -> Result<Source, SaeError> {
    let format = match format {
        Some(format) => format,
        None => recognise(path)?,
    };
    match format {
        SaeFormat::SaeLens => sae_lens::open(folder(path)),
        SaeFormat::SaeVis => sae_vis::open(&file(path, &["pt"])?),
        SaeFormat::Gpt2SmallSaes => sae_vis::open_pickled(&file(path, &["pt"])?),
        SaeFormat::GemmaScope => gemma_scope::open(&file(path, &["npz", "safetensors"])?),
        SaeFormat::OpenAi => openai::open(&file(path, &["pt"])?),
        SaeFormat::Sparsify => sparsify::open(folder(path)),
        SaeFormat::DictionaryLearning => dictionary_learning::open(&file(path, &["pt"])?),
        SaeFormat::LlamaScope => llama_scope::open(path),
    }
}

/// By the names of files; `.pt` files by the names of their tensors.
fn recognise(path: &Path) -> Result<SaeFormat, SaeError> {
    let inside = folder(path);
    let has = |name: &str| inside.join(name).is_file();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if has("cfg.json") && has("sae_weights.safetensors") && extension != "pt" {
        return Ok(SaeFormat::SaeLens);
    }
    if has("cfg.json") && has("sae.safetensors") && extension != "pt" {
        return Ok(SaeFormat::Sparsify);
    }
    if path.join("hyperparams.json").is_file() || path.ends_with("checkpoints/final.safetensors") {
        return Ok(SaeFormat::LlamaScope);
    }
    if path.is_dir() && has("sae_weights.safetensors") {
        return Ok(SaeFormat::SaeLens); // whose error will name the missing cfg.json
    }
    let file = file(path, &["npz", "pt"]).map_err(|_none| unknown(path, describe(path)))?;
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("npz") => Ok(SaeFormat::GemmaScope),
        _ => by_names(&Weights::open(&file)?, &file),
    }
}

fn by_names(weights: &Weights, file: &Path) -> Result<SaeFormat, SaeError> {
    let ends = |name: &str| weights.names().any(|own| own.strip_prefix("_orig_mod.").unwrap_or(own) == name);
    if ends("state_dict.W_enc") {
        Ok(SaeFormat::Gpt2SmallSaes)
    } else if ends("pre_bias") && ends("latent_bias") {
        Ok(SaeFormat::OpenAi)
    } else if ends("encoder.weight") || (ends("threshold") && ends("W_enc")) {
        Ok(SaeFormat::DictionaryLearning)
    } else if ends("W_enc") && ends("W_dec") {
        Ok(SaeFormat::SaeVis)
    } else {
        let names: Vec<&str> = weights.names().take(6).collect();
        let found = if names.is_empty() { "no tensors".to_owned() } else { names.join(", ") };
        Err(unknown(file, found))
    }
}

/// The folder itself, or that of a file in it.
fn folder(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

/// The file itself, or the only one of its kind in a folder.
fn file(path: &Path, extensions: &[&str]) -> Result<std::path::PathBuf, SaeError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let read = |source| SaeError::Config { reason: format!("{source}"), path: path.to_owned() };
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(read)? {
        let entry = entry.map_err(read)?.path();
        let extension = entry.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let helper = entry.to_string_lossy().contains("log_feature_sparsity");
        let expected = entry.file_name().is_some_and(|name| name == "expected.safetensors");
        if extensions.contains(&extension) && !helper && !expected {
            found.push(entry);
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(unknown(path, describe(path))),
        many => {
            let reason = format!("the folder holds {} SAEs: name one file of it", many.len());
            Err(SaeError::Config { reason, path: path.to_owned() })
        }
    }
}

fn describe(path: &Path) -> String {
    let Ok(entries) = path.read_dir() else { return "no such file or folder".to_owned() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(6);
    if names.is_empty() { "an empty folder".to_owned() } else { names.join(", ") }
}

fn unknown(path: &Path, found: String) -> SaeError {
    let expected = "cfg.json with sae_weights.safetensors or sae.safetensors, hyperparams.json, params.npz, or a .pt with W_enc or encoder.weight";
    SaeError::UnknownFormat { found, expected, path: path.to_owned() }
}
