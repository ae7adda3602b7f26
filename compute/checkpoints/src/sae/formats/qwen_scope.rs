//! Qwen-Scope: `layerN.sae.pt` with `W_enc [d_sae, d_in]` and `W_dec [d_in, d_sae]`, TopK SAEs of the residual stream after
//! block N, nothing subtracted from the input. `k` is nowhere but in the repository's name
//! (`SAE-Res-Qwen3-1.7B-Base-W32K-L0_50`).

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles};
use crate::sae::origin::Origin;

/// Opens the file.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let origin = Origin::of(file);
    let repository = origin.inner_first().find_map(|part| part.split_once("SAE-Res-").map(|(_, name)| name));
    let k = repository.and_then(|name| name.rsplit_once("-L0_")?.1.parse().ok()).filter(|k| *k > 0);
    let Some(k) = k else {
        let reason = "a Qwen-Scope SAE, whose k stands in the name of its repository alone: keep it in a folder named \
                      as the repository, such as SAE-Res-Qwen3-1.7B-Base-W32K-L0_50";
        return Err(SaeError::Ambiguous { reason: reason.to_owned(), path: file.to_owned() });
    };
    let mut names = Names::canonical();
    names.w_enc = Matrix::Transposed("W_enc".to_owned());
    names.w_dec = Matrix::Transposed("W_dec".to_owned());
    names.b_in = None;
    let mut source = SaeFiles::new(SaeFormat::QwenScope, Weights::open(file)?, names, (None, None))?;
    let config = &mut source.config;
    config.architecture = Architecture::TopK { k };
    config.stated_l0 = Some(k as f64);
    config.model_name =
        repository.and_then(|name| name.rsplit_once("-W")).map(|(model, _)| format!("Qwen/{model}"));
    config.prepend_bos = Some(true);
    config.hook = origin.number_after("layer").map(|layer| format!("blocks.{layer}.hook_resid_post"));
    Ok(source)
}
