//! Sparse autoencoders and transcoders: architectures (encode, decode) and one file per weight format.
//!
//! Ten minutes to read: `config.rs` says what an SAE can be, `source.rs` where a format keeps each weight,
//! `formats/` has one small file per format, and this file encodes and decodes.
//!
//! | format | files | tested how |
//! |---|---|---|
//! | SAELens, new and flat config | `cfg.json`, `sae_weights.safetensors` | oracle: sae_lens 6.54: standard (4 settings, flat config), gated, topk (2), jumprelu, transcoder (3), 1e-4 |
//! | sae_vis run1/run2 | `25.pt` (+ `25_cfg.json`) | oracle: the same SAE through torch.save |
//! | GPT2-Small-SAEs | `final_sparse_autoencoder_*.pt` | oracle: the same, with the config class that nobody has |
//! | Gemma Scope | `params.npz` | oracle: the JumpReLU SAE through numpy |
//! | OpenAI | `.pt`, TopK or ReLU | written in the test from the format's definition |
//! | sparsify | `cfg.json`, `sae.safetensors` | the same |
//! | dictionary_learning | `config.json`, `ae.pt` | the same |
//! | Llama Scope | `hyperparams.json`, `checkpoints/final.safetensors` | the same |
//!
//! | architecture | feature activations |
//! |---|---|
//! | standard | `ReLU(z)`, `z = x W_enc + b_enc` |
//! | gated | `(x W_enc + b_gate > 0) * ReLU(x W_enc exp(r_mag) + b_mag)` |
//! | jumprelu (and BatchTopK at its inference threshold) | `ReLU(z) * (z > threshold)` |
//! | topk | the `k` largest of `ReLU(z)` |
//!
//! A transcoder is any of these with its own output width or hook, and may have a skip: `+ x W_skip^T`.
//! What SAELens calls `expected_average_only_in` needs a factor that is not in the files: [`Normalize::ExpectedAverage`]
//! leaves activations as they are, and says so in the config.

mod error;
mod normalize;
mod tensors;

use std::path::Path;

use tch::{Device, Kind, Tensor};

use checkpoints::sae::SaeFiles;
pub use checkpoints::sae::{Architecture, DictionaryClass, Normalize, SaeConfig, SaeFormat};
pub use error::SaeError;
use tensors::Tensors;

/// No decoder row that is not zero is shorter.
const SMALLEST_NORM: f64 = 1e-30;

/// A sparse autoencoder or transcoder, in f32 on one device; its encoder's product may be in another kind.
///
/// Widths are checked when it is read; [`Sae::encode`] panics, as libtorch's plain calls do, where
/// activations of another width than [`SaeConfig::d_in`] are given to it.
#[derive(Debug)]
pub struct Sae {
    config: SaeConfig,
    tensors: Tensors,
    /// The chosen features; `None` is all.
    features: Option<Vec<i64>>,
    /// Whether the encoder still holds every feature: TopK needs all to choose.
    encoder_whole: bool,
}

impl Sae {
    /// Reads an SAE from a file or folder; the format is recognised from the files unless given.
    pub fn load(path: &Path, format: Option<SaeFormat>, device: Device) -> Result<Self, SaeError> {
        let files = SaeFiles::open(path, format)?;
        let tensors = Tensors::load(&files, None, device)?;
        Ok(Self { config: files.config, tensors, features: None, encoder_whole: true })
    }

    /// Reads only the rows and columns of some features; TopK reads the whole encoder, because every
    /// feature takes part in the choice.
    pub fn load_features(
        path: &Path,
        format: Option<SaeFormat>,
        device: Device,
        features: &[i64],
    ) -> Result<Self, SaeError> {
        let files = SaeFiles::open(path, format)?;
        check_features(files.config.d_sae, features)?;
        let tensors = Tensors::load(&files, Some(features), device)?;
        let encoder_whole = matches!(files.config.architecture, Architecture::TopK { .. });
        Ok(Self { config: files.config, tensors, features: Some(features.to_vec()), encoder_whole })
    }

    /// The same SAE, whose encoder's product is computed in `kind`; all else stays f32.
    #[must_use]
    pub fn encoding_in(mut self, kind: Kind) -> Self {
        self.tensors.w_enc = self.tensors.w_enc.to_kind(kind);
        self
    }

    /// What its files say.
    pub fn config(&self) -> &SaeConfig {
        &self.config
    }

    /// Number of chosen features.
    pub fn n_features(&self) -> usize {
        self.features.as_ref().map_or(self.config.d_sae as usize, Vec::len)
    }

    /// Number of features that [`encode`](Self::encode) computes, of which it gives the chosen ones.
    pub fn n_encoded(&self) -> usize {
        if self.encoder_whole { self.config.d_sae as usize } else { self.n_features() }
    }

    /// The chosen features' indices, or `None` for all.
    pub fn features(&self) -> Option<&[i64]> {
        self.features.as_deref()
    }

    /// Encodes hook activations into feature activations.
    ///
    /// - `acts`: `[.., d_in]`, any float kind, as read at the SAE's hook point
    /// - returns `[.., n]`, f32, non-negative, in the SAE's own scale
    pub fn encode(&self, acts: &Tensor) -> Tensor {
        let weights = &self.tensors;
        let (x, _) = normalize::apply(self.config.normalize, &acts.to_kind(Kind::Float));
        // Not in place: x may be the caller's own tensor.
        let x = weights.b_in.as_ref().map_or_else(|| x.shallow_clone(), |b_in| &x - b_in);
        let kind = weights.w_enc.kind();
        let mut z = x.to_kind(kind).matmul(&weights.w_enc).to_kind(Kind::Float); // [.., n]
        if let Some(b_enc) = &weights.b_enc {
            z += b_enc;
        }
        let mut f = match (&weights.gate, &weights.threshold) {
            (Some([b_gate, b_mag, r_mag]), _) => {
                let gate = (&z + b_gate).gt(0.0);
                (z * r_mag.exp() + b_mag).relu() * gate
            }
            (None, Some(threshold)) => z.relu() * z.gt_tensor(threshold),
            (None, None) => z.relu(),
        };
        if let Some(scale) = &weights.scale {
            f *= scale;
        }
        if let Architecture::TopK { k } = self.config.architecture {
            let (values, indices) = f.topk(k.min(self.config.d_sae), -1, true, false); // [.., k]
            f = f.zeros_like().scatter(-1, &indices, &values);
        }
        match (&self.features, self.encoder_whole) {
            (Some(features), true) => {
                f.index_select(-1, &Tensor::from_slice(features).to_device(f.device())) // [.., n]
            }
            _ => f,
        }
    }

    /// Reconstructs from feature activations.
    ///
    /// - `feature_acts`: `[.., n]`, as [`encode`](Self::encode) gives them
    /// - `acts`: the input `[.., d_in]`, whose norm is restored and which a skip reads
    /// - returns `[.., d_out]`, f32; with chosen features, what those contribute and the biases
    pub fn decode(&self, feature_acts: &Tensor, acts: &Tensor) -> Tensor {
        let weights = &self.tensors;
        let acts = acts.to_kind(Kind::Float);
        let mut out = match self.decoder_scale() {
            Some(scale) => (feature_acts / scale).matmul(&weights.w_dec),
            None => feature_acts.matmul(&weights.w_dec), // [.., d_out]
        };
        if let Some(b_dec) = &weights.b_dec {
            out += b_dec;
        }
        let (_, undo) = normalize::apply(self.config.normalize, &acts);
        let mut out = undo.apply(out);
        if let Some(w_skip) = &weights.w_skip {
            out += acts.matmul(&w_skip.tr());
        }
        out
    }

    /// What one unit of each feature writes: rows of `W_dec`, `[n, d_out]`, f32.
    pub fn decoder(&self) -> Tensor {
        match self.decoder_scale() {
            Some(scale) => &self.tensors.w_dec / scale.unsqueeze(-1), // [n, d_out]
            None => self.tensors.w_dec.shallow_clone(),
        }
    }

    /// What each feature reads: columns of `W_enc`, `[d_in, n]`, in the kind of the encoder's product.
    pub fn encoder(&self) -> Tensor {
        self.chosen(&self.tensors.w_enc, 1)
    }

    fn decoder_scale(&self) -> Option<Tensor> {
        // A dead feature's decoder row may be zero: zero over this is zero, not NaN.
        self.tensors.scale.as_ref().map(|scale| self.chosen(scale, 0).clamp_min(SMALLEST_NORM))
    }

    fn chosen(&self, x: &Tensor, axis: i64) -> Tensor {
        match (&self.features, self.encoder_whole) {
            (Some(features), true) => {
                x.index_select(axis, &Tensor::from_slice(features).to_device(x.device()))
            }
            _ => x.shallow_clone(),
        }
    }
}

fn check_features(d_sae: i64, features: &[i64]) -> Result<(), SaeError> {
    match features.iter().find(|feature| !(0..d_sae).contains(*feature)) {
        None => Ok(()),
        Some(feature) => Err(SaeError::Feature { feature: *feature, d_sae }),
    }
}
