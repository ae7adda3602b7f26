//! One small file per weight format, and recognising which one a path holds.

mod circuit_tracer;
mod dictionary_learning;
pub(super) mod gemma_scope;
mod linear;
mod llama_scope;
mod openai;
mod qwen_scope;
mod sae_lens;
mod sae_vis;
mod sparsify;

use std::path::Path;

use super::config::SaeFormat;
use super::error::{self, SaeError};
use super::files::SaeFiles;
use crate::containers::Weights;

/// Opens a file or folder; without a format, the one that its files are recognised as.
pub fn open(path: &Path, format: Option<SaeFormat>) -> Result<SaeFiles, SaeError> {
    let format = match format {
        Some(format) => format,
        None => recognise(path)?,
    };
    match format {
        SaeFormat::SaeLens => sae_lens::open(path),
        SaeFormat::SaeVis => sae_vis::open(&file(path, TORCH)?),
        SaeFormat::Gpt2SmallSaes => sae_vis::open_pickled(&file(path, TORCH)?),
        SaeFormat::GemmaScope => gemma_scope::open(&file(path, &["npz", "safetensors"])?),
        SaeFormat::OpenAi => openai::open(&file(path, TORCH)?),
        SaeFormat::Sparsify => sparsify::open(folder(path)),
        SaeFormat::DictionaryLearning(class) => dictionary_learning::open(&file(path, TORCH)?, class),
        SaeFormat::LlamaScope if folder(path).join("config.json").is_file() => {
            llama_scope::open_r1_distill(path)
        }
        SaeFormat::LlamaScope => llama_scope::open(path),
        SaeFormat::QwenScope => qwen_scope::open(&file(path, TORCH)?),
        SaeFormat::PerLayerTranscoder => circuit_tracer::open_layer(&file(path, &["safetensors"])?),
        SaeFormat::CrossLayerTranscoder => circuit_tracer::open_cross_layer(path),
        SaeFormat::Linear => linear::open(&file(path, TORCH)?),
    }
}

const TORCH: &[&str] = &["pt", "pth"];

/// By the names of files; `.pt` files by the names of their tensors.
///
/// A `.safetensors` file is never told by its tensors: formats share their names, and only the config beside says which
/// activation function, which normalization and which bias are meant.
fn recognise(path: &Path) -> Result<SaeFormat, SaeError> {
    let inside = folder(path);
    let has = |name: &str| inside.join(name).is_file();
    let is = |name: &str| path.file_name().is_some_and(|own| own == name) || (path.is_dir() && has(name));
    if is("sae_weights.safetensors") {
        // Without either config, SAELens's error names the one that is missing.
        let r1_distill = !has("cfg.json") && has("config.json");
        return Ok(if r1_distill { SaeFormat::LlamaScope } else { SaeFormat::SaeLens });
    }
    if is("sae.safetensors") {
        return Ok(SaeFormat::Sparsify); // whose error names a missing cfg.json
    }
    if is("params.npz") || is("params.safetensors") {
        return Ok(SaeFormat::GemmaScope);
    }
    if path.join("hyperparams.json").is_file() || path.ends_with("checkpoints/final.safetensors") {
        return Ok(SaeFormat::LlamaScope);
    }
    if is("latest_ckpt.safetensors") && has("conf.yaml") {
        return Err(SaeError::Temporal { path: path.to_owned() });
    }
    if circuit_tracer::cross_layer(path).is_some() {
        return Ok(SaeFormat::CrossLayerTranscoder);
    }
    if path.is_file() && has_extension(&path.to_string_lossy(), &["safetensors"]) {
        if circuit_tracer::layer_of(path).is_some() {
            return Ok(SaeFormat::PerLayerTranscoder);
        }
        if has("cfg.json") {
            return Ok(SaeFormat::SaeLens);
        }
        return Err(SaeError::NoConfig { path: path.to_owned() });
    }
    let file = file(path, &["npz", "pt", "pth"])?;
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("npz") => Ok(SaeFormat::GemmaScope),
        _ => by_names(&Weights::open(&file)?, &file),
    }
}

fn by_names(weights: &Weights, file: &Path) -> Result<SaeFormat, SaeError> {
    let ends = |name: &str| weights.names().any(|own| own.strip_prefix("_orig_mod.").unwrap_or(own) == name);
    let named = |end: &str| file.to_string_lossy().ends_with(end);
    let config = |name: &str| file.with_file_name(name).is_file();
    if ends("state_dict.W_enc") {
        Ok(SaeFormat::Gpt2SmallSaes)
    } else if ends("pre_bias") && ends("latent_bias") {
        Ok(SaeFormat::OpenAi)
    } else if named(".sae.pt") && ends("W_enc") && ends("W_dec") {
        Ok(SaeFormat::QwenScope)
    } else if ends("encoder_linear.weight")
        || (ends("decoder.bias") && linear::layer(file).is_some() && !config("config.json"))
    {
        Ok(SaeFormat::Linear)
    } else if ends("encoder.weight") || (ends("threshold") && ends("W_enc")) {
        Ok(SaeFormat::DictionaryLearning(None))
    } else if ends("W_enc") && ends("W_dec") {
        Ok(SaeFormat::SaeVis)
    } else {
        let names: Vec<String> = weights.names().take(6).map(|name| format!("{name:?}")).collect();
        let found = if names.is_empty() { "no tensors".to_owned() } else { names.join(", ") };
        Err(unknown(file, found))
    }
}

/// The folder itself, or that of a file in it.
fn folder(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

/// Files that hold the SAE whatever lies beside them, such as an optimizer's state.
const NAMED: [&str; 5] =
    ["sae_weights.safetensors", "sae.safetensors", "ae.pt", "params.npz", "params.safetensors"];

/// The file itself, or the only one of its kind in a folder.
fn file(path: &Path, extensions: &[&str]) -> Result<std::path::PathBuf, SaeError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        let found =
            if path.exists() { "a pipe or device, expected a file" } else { "no such file or folder" };
        return Err(unknown(path, found.to_owned()));
    }
    let entries = entries(path)?;
    let named = |name: &&&str| has_extension(name, extensions) && entries.iter().any(|own| own == **name);
    if let Some(named) = NAMED.iter().find(named) {
        return Ok(path.join(named));
    }
    let helper = |name: &str| name.contains("log_feature_sparsity") || name == "expected.safetensors";
    let mut found = entries.iter().filter(|name| has_extension(name, extensions) && !helper(name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(path.join(only)),
        (None, _) => {
            let inside: Vec<String> =
                entries.iter().filter(|name| holds_weights(&path.join(name))).cloned().collect();
            if inside.is_empty() { Err(unknown(path, describe(&entries))) } else { Err(many(inside, path)) }
        }
        (Some(_), Some(_)) => {
            let of_kind = |name: &&String| has_extension(name, extensions) && !helper(name);
            Err(many(entries.iter().filter(of_kind).cloned().collect(), path))
        }
    }
}

/// The names in a folder, sorted.
fn entries(path: &Path) -> Result<Vec<String>, SaeError> {
    let read =
        |source: std::io::Error| SaeError::Config { reason: source.to_string(), path: path.to_owned() };
    let entries: Result<Vec<_>, _> = path.read_dir().map_err(read)?.collect();
    let mut names: Vec<String> = entries
        .map_err(read)?
        .into_iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    Path::new(name).extension().and_then(|own| own.to_str()).is_some_and(|own| extensions.contains(&own))
}

/// Whether a folder holds weights of any format.
fn holds_weights(folder: &Path) -> bool {
    let weights = |name: &String| has_extension(name, &["safetensors", "npz", "pt", "pth"]);
    folder.is_dir()
        && (folder.join("checkpoints").is_dir()
            || entries(folder).is_ok_and(|names| names.iter().any(weights)))
}

fn many(names: Vec<String>, path: &Path) -> SaeError {
    SaeError::Many { names, path: path.to_owned() }
}

fn describe(entries: &[String]) -> String {
    if entries.is_empty() { "an empty folder".to_owned() } else { error::first(entries) }
}

fn unknown(path: &Path, found: String) -> SaeError {
    let expected = "cfg.json with sae_weights.safetensors or sae.safetensors, params.npz or params.safetensors, \
                    hyperparams.json, layer_N.safetensors, W_enc_N.safetensors, or a .pt or .pth with W_enc or \
                    encoder.weight";
    SaeError::UnknownFormat { found, expected, path: path.to_owned() }
}
