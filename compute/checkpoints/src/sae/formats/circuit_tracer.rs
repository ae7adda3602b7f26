//! Transcoders as circuit-tracer's repositories hold them, with a `config.yaml` that names the hook points: one
//! `layer_N.safetensors` a layer, or `W_enc_N.safetensors` and `W_dec_N.safetensors` where each feature writes to all layers
//! from N on. Encoders lie as `[d_sae, d_in]`, and nothing is subtracted from the input.

use std::path::{Path, PathBuf};

use crate::containers::Weights;
use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::origin::Origin;
use crate::sae::settings::Settings;

/// Opens `layer_N.safetensors`.
pub fn open_layer(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    if weights.has("W_skip") {
        let reason =
            "a per-layer transcoder with W_skip, whose orientation this layout does not say: save it as \
                      SAELens or sparsify do"
                .to_owned();
        return Err(SaeError::Ambiguous { reason, path: file.to_owned() });
    }
    let mut names = Names::canonical();
    names.w_enc = Matrix::Transposed("W_enc".to_owned());
    names.b_in = None;
    let threshold = ["threshold", "activation_function.threshold"].into_iter().find(|name| weights.has(name));
    if let Some(name) = threshold {
        names.threshold = Threshold::Tensor(name.to_owned());
    }
    let mut source = SaeFiles::new(SaeFormat::PerLayerTranscoder, weights, names, (None, None))?;
    source.config.transcoder = true;
    if threshold.is_some() {
        source.config.architecture = Architecture::JumpRelu;
    }
    describe(&mut source, file, layer_of(file))?;
    Ok(source)
}

/// Opens layer N of a set: `W_enc_N.safetensors`, or the folder's path with `/N`.
///
/// The output is the sum of what a feature writes to every layer, which is no reconstruction of any.
pub fn open_cross_layer(path: &Path) -> Result<SaeFiles, SaeError> {
    let (folder, layer) = cross_layer(path).ok_or_else(|| SaeError::Config {
        reason: "expected W_enc_N.safetensors of one layer N".to_owned(),
        path: path.to_owned(),
    })?;
    let file = folder.join(format!("W_enc_{layer}.safetensors"));
    let mut weights = Weights::open(&file)?;
    weights.extend(Weights::open(&folder.join(format!("W_dec_{layer}.safetensors")))?);
    let name = |part: &str| format!("{part}_{layer}");
    let mut names = Names::canonical();
    names.w_enc = Matrix::Transposed(name("W_enc"));
    names.b_enc = Some(name("b_enc"));
    names.w_dec = Matrix::Summed(name("W_dec"));
    names.b_dec = Some(name("b_dec"));
    names.b_in = None;
    if weights.has(&name("threshold")) {
        names.threshold = Threshold::Tensor(name("threshold"));
    }
    let mut source = SaeFiles::new(SaeFormat::CrossLayerTranscoder, weights, names, (None, None))?;
    if source.names.threshold.name().is_some() {
        source.config.architecture = Architecture::JumpRelu;
    }
    source.config.transcoder = true;
    source.config.summed_decoder = true;
    describe(&mut source, &file, Some(layer))?;
    Ok(source)
}

/// The number in `layer_3.safetensors`.
pub fn layer_of(file: &Path) -> Option<u32> {
    let name = file.file_name()?.to_str()?;
    name.strip_prefix("layer_")?.strip_suffix(".safetensors")?.parse().ok()
}

/// Folder and layer of a cross-layer transcoder, by the name of its encoder or by the layer's number alone.
pub fn cross_layer(path: &Path) -> Option<(PathBuf, u32)> {
    let folder = path.parent()?.to_owned();
    let name = path.file_name()?.to_str()?;
    let of_file = || name.strip_prefix("W_enc_")?.strip_suffix(".safetensors")?.parse().ok();
    if let Some(layer) = of_file() {
        return Some((folder, layer));
    }
    let layer = name.parse().ok().filter(|_| !path.exists())?;
    folder.join(format!("W_enc_{layer}.safetensors")).is_file().then_some((folder, layer))
}

/// Hook points and model, as `config.yaml` names them.
fn describe(source: &mut SaeFiles, file: &Path, layer: Option<u32>) -> Result<(), SaeError> {
    let settings = Settings::read_yaml_if_any(&file.with_file_name("config.yaml"))?;
    let config = &mut source.config;
    config.model_name = settings.text("model_name")?;
    let mut sites = [settings.text("feature_input_hook")?, settings.text("feature_output_hook")?];
    // A few of these repositories lack their config.
    if sites == [None, None] && Origin::of(file).inner_first().any(|part| part.starts_with("qwen3-")) {
        sites = ["mlp.hook_in", "hook_mlp_out"].map(|site| Some(site.to_owned()));
    }
    let hook = |site: Option<String>| Some(format!("blocks.{}.{}", layer?, site?));
    let [read, written] = sites.map(hook);
    (config.hook, config.hook_out) = (read, written);
    Ok(())
}
