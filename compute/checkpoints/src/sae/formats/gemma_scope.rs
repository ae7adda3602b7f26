//! Gemma Scope: `params.npz` of JumpReLU SAEs and transcoders, nothing subtracted from their input. The folder's path
//! (`layer_12/width_16k/average_l0_82`) says the layer, the release the hook point; the file says neither.
//!
//! Gemma Scope 2: `params.safetensors` with names in lower case, and a `config.json` in most folders. Where there is none,
//! the path says the same (`transcoder/layer_9_width_16k_l0_medium_affine`).
//!
//! SAEs of the embedding were trained on the table's rows, while `hook_embed` of a Gemma is those times sqrt(d_model).

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, Fold, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::origin::Origin;
use crate::sae::settings::Settings;

/// Opens `params.npz` or `params.safetensors`, and `config.json` beside it if there is one.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    let either = |name: &str| {
        let lower = name.to_lowercase();
        if weights.has(&lower) && !weights.has(name) { lower } else { name.to_owned() }
    };
    let mut names = Names::canonical();
    names.w_enc = Matrix::Plain(either("W_enc"));
    let w_dec = either("W_dec");
    let cross_layer = weights.shape(&w_dec).is_some_and(|shape| shape.len() == 3);
    names.w_dec = if cross_layer { Matrix::Summed(w_dec) } else { Matrix::Plain(w_dec) };
    names.b_in = None;
    names.threshold = Threshold::Tensor("threshold".to_owned());
    // [d_in, d_out], which is the other way round from SAELens's W_skip.
    let skip = Some("affine_skip_connection").filter(|name| weights.has(name));
    names.w_skip = skip.map(|name| Matrix::Transposed(name.to_owned()));
    let mut source = SaeFiles::new(SaeFormat::GemmaScope, weights, names, (None, None))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.transcoder |= source.names.w_skip.is_some();
    config.summed_decoder = cross_layer;
    config.prepend_bos = Some(true);
    config.context_size = Some(1024);
    let settings = Settings::read_if_any(&file.with_file_name("config.json"))?;
    if let Some(other) = settings.text("architecture")?.filter(|name| name != "jump_relu") {
        return Err(settings.unsupported("architecture", other, "jump_relu"));
    }
    config.model_name = settings.text("model_name")?;
    config.stated_l0 = settings.number("l0")?;
    let hooks = match settings.text("hf_hook_point_in")? {
        Some(read) => Hooks::named(&read, settings.text("hf_hook_point_out")?.as_deref()),
        None => Hooks::of(&Origin::of(file)),
    };
    match hooks {
        Hooks::Sae(hook) => config.hook = Some(hook),
        Hooks::Embedding => {
            let root = (config.d_in as f64).sqrt();
            config.hook = Some("hook_embed".to_owned());
            config.fold = Fold { w_enc: 1.0 / root, w_dec: root, ..Fold::NONE };
        }
        Hooks::Transcoder(read, written) => {
            config.transcoder = true;
            (config.hook, config.hook_out) = (Some(read), Some(written));
        }
        Hooks::Unknown => {}
    }
    if settings.text("type")?.as_deref() == Some("transcoder") {
        config.transcoder = true;
    }
    Ok(source)
}

/// The hook point that an SAE at this path reads, as far as the path tells.
pub fn hook_of(origin: &Origin) -> Option<String> {
    match Hooks::of(origin) {
        Hooks::Sae(hook) | Hooks::Transcoder(hook, _) => Some(hook),
        Hooks::Embedding => Some("hook_embed".to_owned()),
        Hooks::Unknown => None,
    }
}

/// The hook points, as far as config or path tell.
enum Hooks {
    Sae(String),
    Embedding,
    Transcoder(String, String),
    Unknown,
}

impl Hooks {
    /// From the modules that a config of Gemma Scope 2 names.
    fn named(read: &str, written: Option<&str>) -> Self {
        let hook = |module: &str| {
            let (layer, site) = module.strip_prefix("model.layers.")?.split_once('.')?;
            let site = match site {
                "output" => "hook_resid_post",
                "input" => "hook_resid_pre",
                "self_attn.o_proj.input" => "attn.hook_z",
                "pre_feedforward_layernorm.output" => "mlp.hook_in",
                "post_feedforward_layernorm.output" => "hook_mlp_out",
                "post_attention_layernorm.output" => "hook_attn_out",
                _ => return None,
            };
            Some(format!("blocks.{}.{site}", layer.parse::<u32>().ok()?))
        };
        // A module of another name is left for whoever knows the model's modules.
        let name = |module: &str| hook(module).unwrap_or_else(|| module.to_owned());
        match written.filter(|written| *written != read) {
            Some(written) => Self::Transcoder(name(read), name(written)),
            None => Self::Sae(name(read)),
        }
    }

    /// `gemma-scope-2b-pt-res/layer_12/..` is `blocks.12.hook_resid_post`, and so is `resid_post/layer_12_width_16k_l0_big`.
    fn of(origin: &Origin) -> Self {
        let parts = || origin.inner_first();
        let embedding = parts().any(|part| part == "embedding");
        let release = parts().find(|part| part.contains("gemma-scope"));
        let kind = release.map(|release| release.trim_end_matches("-canonical"));
        let kind = kind.and_then(|release| release.rsplit('-').next()).unwrap_or_default();
        if kind == "res" && embedding {
            return Self::Embedding;
        }
        let Some(layer) = origin.number_after("layer_") else { return Self::Unknown };
        let hook = |site: &str| format!("blocks.{layer}.{site}");
        match kind {
            "res" => return Self::Sae(hook("hook_resid_post")),
            "mlp" => return Self::Sae(hook("hook_mlp_out")),
            "att" => return Self::Sae(hook("attn.hook_z")),
            "transcoders" => return Self::Transcoder(hook("ln2.hook_normalized"), hook("hook_mlp_out")),
            _ => {}
        }
        let site = parts().find_map(|part| {
            ["resid_post", "attn_out", "mlp_out", "transcoder", "clt"]
                .into_iter()
                .find(|site| part == *site || part.strip_prefix(site) == Some("_all"))
        });
        match site {
            Some("resid_post") => Self::Sae(hook("hook_resid_post")),
            Some("attn_out") => Self::Sae(hook("attn.hook_z")),
            Some("mlp_out") => Self::Sae(hook("hook_mlp_out")),
            Some(_) => Self::Transcoder(hook("mlp.hook_in"), hook("hook_mlp_out")),
            None => Self::Unknown,
        }
    }
}
