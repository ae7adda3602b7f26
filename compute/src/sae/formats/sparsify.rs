//! EleutherAI's sparsify: `cfg.json` and `sae.safetensors`, TopK SAEs and transcoders. The folder is named
//! after the module that it reads (`layers.5.mlp`).
//!
//! Follows sparsify's own code: `W_dec` is `[d_sae, d_in]` as stored, and `b_dec` is subtracted from the
//! input unless the SAE is a transcoder.

use std::path::Path;

use serde_json::Value;

use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::source::{Matrix, Names, Source, Threshold, json};
use crate::weights::Weights;

/// Opens a folder.
pub fn open(folder: &Path) -> Result<Source, SaeError> {
    let path = folder.join("cfg.json");
    let cfg = json(&path)?;
    let flag = |name: &str| cfg.get(name).and_then(Value::as_bool).unwrap_or(false);
    let int = |name: &str| cfg.get(name).and_then(Value::as_i64).filter(|value| *value > 0);
    let activation = cfg.get("activation").and_then(Value::as_str).unwrap_or("topk");
    let unsupported =
        |what, got: String, expected| Err(SaeError::Unsupported { what, got, expected, path: path.clone() });
    if activation != "topk" {
        return unsupported("activation", activation.to_owned(), "topk");
    }
    if flag("signed") {
        return unsupported("signed", "true".to_owned(), "false");
    }
    let Some(k) = int("k") else {
        let reason = "a topk SAE without k".to_owned();
        return Err(SaeError::Config { reason, path });
    };
    let weights = Weights::open(&folder.join("sae.safetensors"))?;
    let transcode = flag("transcode");
    let names = Names {
        w_enc: Matrix::Transposed("encoder.weight".to_owned()),
        b_enc: Some("encoder.bias".to_owned()),
        w_dec: Matrix::Plain("W_dec".to_owned()),
        b_dec: Some("b_dec".to_owned()),
        b_in: Some("b_dec".to_owned()).filter(|_| !transcode),
        threshold: Threshold::None,
        gate: None,
        w_skip: Some("W_skip".to_owned()).filter(|_| flag("skip_connection")),
    };
    let mut source = Source::new(SaeFormat::Sparsify, weights, names, (int("d_in"), int("num_latents")))?;
    source.config.architecture = Architecture::TopK { k };
    source.config.transcoder = transcode;
    let module = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (source.config.hook, source.config.hook_out) = hooks(&module, transcode);
    Ok(source)
}

/// A module's output, or a transcoder's module from its input to its output, in TransformerLens's names.
fn hooks(module: &str, transcode: bool) -> (Option<String>, Option<String>) {
    let parts: Vec<&str> = module.split('.').collect();
    let site =
        |layer: &str, site: &str| layer.parse::<u32>().ok().map(|layer| format!("blocks.{layer}.{site}"));
    match (parts.as_slice(), transcode) {
        (["embed_tokens"], false) => (Some("hook_embed".to_owned()), None),
        ([.., "layers" | "h", layer], false) => (site(layer, "hook_resid_post"), None),
        ([.., "layers" | "h", layer, "mlp"], false) => (site(layer, "mlp.hook_out"), None),
        ([.., "layers" | "h", layer, "mlp"], true) => {
            (site(layer, "mlp.hook_in"), site(layer, "mlp.hook_out"))
        }
        _ => (None, None),
    }
}
