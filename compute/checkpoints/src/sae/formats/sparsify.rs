//! EleutherAI's sparsify: `cfg.json` and `sae.safetensors`, TopK SAEs and transcoders. The folder is named
//! after the module that it reads (`layers.5.mlp`).
//!
//! Follows sparsify's own code: `W_dec` is `[d_sae, d_in]` as stored, and `b_dec` is subtracted from the
//! input unless the SAE is a transcoder.

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::origin::Origin;
use crate::sae::settings::Settings;

/// Opens a folder.
pub fn open(folder: &Path) -> Result<SaeFiles, SaeError> {
    let cfg = Settings::read(&folder.join("cfg.json"))?;
    let flag = |name: &str| Ok::<_, SaeError>(cfg.flag(name)?.unwrap_or(false));
    let activation = cfg.text("activation")?.unwrap_or_else(|| "topk".to_owned());
    if activation != "topk" {
        return Err(cfg.unsupported("activation", activation, "topk"));
    }
    let k = cfg.positive_int("k")?.ok_or_else(|| cfg.error("a topk SAE without k".to_owned()))?;
    let weights = Weights::open(&folder.join("sae.safetensors"))?;
    let transcode = flag("transcode")?;
    let skips = flag("skip_connection")?;
    let names = Names {
        w_enc: Matrix::Transposed("encoder.weight".to_owned()),
        b_enc: Some("encoder.bias".to_owned()),
        w_dec: Matrix::Plain("W_dec".to_owned()),
        b_dec: Some("b_dec".to_owned()),
        b_in: Some("b_dec".to_owned()).filter(|_| !transcode),
        threshold: Threshold::None,
        gate: None,
        w_skip: skips.then(|| Matrix::Plain("W_skip".to_owned())),
    };
    // num_latents of 0 stands for d_in times expansion_factor.
    let d_sae = cfg.int("num_latents")?.filter(|n| *n > 0);
    let mut source = SaeFiles::new(SaeFormat::Sparsify, weights, names, (cfg.int("d_in")?, d_sae))?;
    source.config.architecture =
        if flag("signed")? { Architecture::AbsTopK { k } } else { Architecture::TopK { k } };
    source.config.transcoder = transcode;
    (source.config.hook, source.config.hook_out) = hooks(Origin::of(folder).name(), transcode);
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
