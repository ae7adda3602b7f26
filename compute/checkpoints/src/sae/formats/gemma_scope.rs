//! Gemma Scope: `params.npz` of JumpReLU SAEs and transcoders, nothing subtracted from their input. The folder's path
//! (`layer_12/width_16k/average_l0_82`) says the layer, the release the hook point; the file says neither.
//!
//! SAEs of the embedding were trained on the table's rows, while `hook_embed` of a Gemma is those times sqrt(d_model).

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::origin::Origin;

/// Opens `params.npz`, or Gemma Scope 2's `params.safetensors`, whose names are in lower case.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    let either = |name: &str| {
        let lower = name.to_lowercase();
        if weights.has(&lower) && !weights.has(name) { lower } else { name.to_owned() }
    };
    let mut names = Names::canonical();
    names.w_enc = Matrix::Plain(either("W_enc"));
    names.w_dec = Matrix::Plain(either("W_dec"));
    names.b_in = None;
    names.threshold = Threshold::Tensor("threshold".to_owned());
    names.w_skip = Some("affine_skip_connection".to_owned()).filter(|name| weights.has(name));
    let mut source = SaeFiles::new(SaeFormat::GemmaScope, weights, names, (None, None))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.transcoder |= source.names.w_skip.is_some();
    config.prepend_bos = Some(true);
    match Hooks::of(&Origin::of(file)) {
        Hooks::Sae(hook) => config.hook = Some(hook),
        Hooks::Embedding => {
            config.hook = Some("hook_embed".to_owned());
            config.weight_scale = 1.0 / (config.d_in as f64).sqrt();
        }
        Hooks::Transcoder(read, written) => {
            config.transcoder = true;
            (config.hook, config.hook_out) = (Some(read), Some(written));
        }
        Hooks::Unknown => {}
    }
    Ok(source)
}

/// The hook points, as far as the path tells.
enum Hooks {
    Sae(String),
    Embedding,
    Transcoder(String, String),
    Unknown,
}

impl Hooks {
    /// `gemma-scope-2b-pt-res/layer_12/..` is `blocks.12.hook_resid_post`.
    fn of(origin: &Origin) -> Self {
        let Some(release) = origin.inner_first().find(|part| part.contains("gemma-scope")) else {
            return Self::Unknown;
        };
        let kind = release.trim_end_matches("-canonical").rsplit('-').next();
        if kind == Some("res") && origin.inner_first().any(|part| part == "embedding") {
            return Self::Embedding;
        }
        let Some(layer) = origin.number_after("layer_") else { return Self::Unknown };
        let hook = |site: &str| format!("blocks.{layer}.{site}");
        match kind {
            Some("res") => Self::Sae(hook("hook_resid_post")),
            Some("mlp") => Self::Sae(hook("hook_mlp_out")),
            Some("att") => Self::Sae(hook("attn.hook_z")),
            Some("transcoders") => Self::Transcoder(hook("ln2.hook_normalized"), hook("hook_mlp_out")),
            _ => Self::Unknown,
        }
    }
}
