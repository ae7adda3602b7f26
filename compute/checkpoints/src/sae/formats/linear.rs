//! One SAE in a `.pt` or `.pth` of two linear layers, ReLU between them and nothing subtracted from the input, as Goodfire
//! (`encoder_linear.weight`) and qresearch (`encoder.weight`) publish theirs. The file's name says the layer:
//! `Llama-3.1-8B-Instruct-SAE-l19.pth` reads the residual stream after block 19.

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::SaeFormat;
use crate::sae::error::SaeError;
use crate::sae::files::{Names, SaeFiles};
use crate::sae::origin::Origin;

/// Opens the file.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    let names = if weights.has("encoder_linear.weight") {
        Names::linear("encoder_linear", "decoder_linear")
    } else {
        Names::linear("encoder", "decoder")
    };
    let mut source = SaeFiles::new(SaeFormat::Linear, weights, names, (None, None))?;
    source.config.hook = layer(file).map(|layer| format!("blocks.{layer}.hook_resid_post"));
    source.config.prepend_bos = Some(true);
    Ok(source)
}

/// The layer that the file's name ends with: 19 in `…-SAE-l19.pth`.
pub fn layer(file: &Path) -> Option<u32> {
    let origin = Origin::of(file);
    let stem = origin.name().rsplit_once('.')?.0;
    stem.rsplit_once("SAE-l")?.1.parse().ok()
}
