//! Gemma Scope: `params.npz` of a JumpReLU SAE, nothing subtracted from its input. The folder's path
//! (`layer_12/width_16k/average_l0_82`) says the layer, the release the site; the file says neither.

use std::path::Path;

use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::source::{Matrix, Names, Source, Threshold};
use crate::weights::Weights;

/// Opens `params.npz`, or Gemma Scope 2's `params.safetensors`, whose names are in lower case.
pub fn open(file: &Path) -> Result<Source, SaeError> {
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
    let mut source = Source::new(SaeFormat::GemmaScope, weights, names, (None, None))?;
    source.config.architecture = Architecture::JumpRelu;
    source.config.transcoder |= source.names.w_skip.is_some();
    source.config.prepend_bos = Some(true);
    source.config.hook = hook(file);
    Ok(source)
}

/// `gemma-scope-2b-pt-res/layer_12/..` is `blocks.12.hook_resid_post`, where the path says so.
fn hook(file: &Path) -> Option<String> {
    let path = file.to_string_lossy();
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    let layer = parts.iter().find_map(|part| part.strip_prefix("layer_")?.parse::<u32>().ok())?;
    let release = parts.iter().find(|part| part.contains("gemma-scope"))?;
    let release = release.trim_end_matches("-canonical");
    let site = match release.rsplit('-').next()? {
        "res" => "hook_resid_post",
        "mlp" => "hook_mlp_out",
        "att" => "attn.hook_z",
        _ => return None,
    };
    Some(format!("blocks.{layer}.{site}"))
}
