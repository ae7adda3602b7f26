//! Sparse autoencoders and transcoders: architectures (encode, decode) and one file per weight format.
//!
//! The crate `checkpoints` recognises formats and reads configs; `tensors.rs` reads the weights; this file encodes and
//! decodes.
//!
//! | format | files | tested how |
//! |---|---|---|
//! | SAELens, new and flat config | `cfg.json`, `sae_weights.safetensors` | oracle: sae_lens 6.54: standard (4 settings, flat config), gated, topk (2), abstopk, jumprelu, matching pursuit, transcoders (4), BatchTopK and Matryoshka as training saves them, 1e-4 |
//! | sae_vis run1/run2, attention SAEs | `25.pt` (+ `25_cfg.json`) | oracle: the same |
//! | GPT2-Small-SAEs | `final_sparse_autoencoder_*.pt` | oracle: the same, with the config class that nobody has |
//! | Gemma Scope | `params.npz`: SAEs, transcoders | oracle: the same |
//! | Gemma Scope 2 | `params.safetensors` (+ `config.json`): SAEs, transcoders, affine skip | oracle: the same |
//! | Qwen-Scope | `layerN.sae.pt` | oracle: the same |
//! | circuit-tracer | `layer_N.safetensors`; `W_enc_N.safetensors`, `W_dec_N.safetensors` | oracle: the same |
//! | linear (Goodfire, DeepSeek R1) | `…-SAE-lN.pt`, `.pth` | oracle: the same |
//! | Llama Scope R1-Distill | `config.json`, `sae_weights.safetensors` | oracle: the same |
//! | Llama Scope | `hyperparams.json`, `checkpoints/final.safetensors` | written in the test from the format's definition |
//! | OpenAI | `.pt`, TopK or ReLU | the same |
//! | sparsify | `cfg.json`, `sae.safetensors` | the same |
//! | dictionary_learning | `config.json`, `ae.pt` | the same |
//!
//! | architecture | feature activations |
//! |---|---|
//! | standard | `ReLU(z)`, `z = x W_enc + b_enc` |
//! | gated | `(x W_enc + b_gate > 0) * ReLU(x W_enc exp(r_mag) + b_mag)` |
//! | jumprelu (and BatchTopK at its inference threshold) | `ReLU(z) * (z > threshold)` |
//! | topk | the `k` largest of `ReLU(z)` |
//! | abstopk | the `k` largest of `z` in size, with their signs |
//! | matching pursuit | one feature after another, see `pursuit.rs` |
//!
//! A transcoder is any of these with its own output width or hook, and may have a skip: `+ x W_skip^T`.
//! What SAELens calls `expected_average_only_in` needs a factor that may not be in the files: [`Normalize::ExpectedAverage`]
//! leaves activations as they are, and says so in the config.

mod error;
mod location;
mod normalize;
mod pursuit;
mod tensors;

use tch::{Device, Kind, TchError, Tensor};

pub use checkpoints::sae::{Architecture, DictionaryClass, ExcludedTokens, Normalize, SaeConfig, SaeFormat};
pub use error::SaeError;
pub use location::{Location, warning};
use tensors::Tensors;

/// No decoder row that is not zero is shorter.
const SMALLEST_NORM: f64 = 1e-30;

/// A sparse autoencoder or transcoder, in f32 on one device; its encoder's product may be in another kind.
///
/// Widths are checked when it is read; [`Sae::encode`] fails where activations of another width than [`SaeConfig::d_in`] are
/// given to it, or where memory does not suffice.
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
    pub fn load<'a>(
        from: impl Into<Location<'a>>,
        format: Option<SaeFormat>,
        device: Device,
    ) -> Result<Self, SaeError> {
        let files = from.into().open(format)?;
        let tensors = Tensors::load(&files, None, device)?;
        Ok(Self { config: files.config, tensors, features: None, encoder_whole: true })
    }

    /// Reads only the rows and columns of some features; TopK reads the whole encoder, because every
    /// feature takes part in the choice.
    pub fn load_features<'a>(
        from: impl Into<Location<'a>>,
        format: Option<SaeFormat>,
        device: Device,
        features: &[i64],
    ) -> Result<Self, SaeError> {
        let files = from.into().open(format)?;
        check_features(files.config.d_sae, features)?;
        let tensors = Tensors::load(&files, Some(features), device)?;
        let encoder_whole = files.config.architecture.needs_all_features();
        Ok(Self { config: files.config, tensors, features: Some(features.to_vec()), encoder_whole })
    }

    /// The same SAE, whose encoder's product is computed in `kind`; all else stays f32.
    #[must_use]
    pub fn encoding_in(mut self, kind: Kind) -> Self {
        if matches!(self.config.architecture, Architecture::MatchingPursuit { .. }) {
            return self; // its steps take away what they found, which rounded products would not
        }
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
    /// - returns `[.., n]`, f32, in the SAE's own scale; non-negative unless [`SaeConfig::is_signed`]
    pub fn encode(&self, acts: &Tensor) -> Result<Tensor, TchError> {
        let weights = &self.tensors;
        let (x, _) = normalize::apply(self.config.normalize, &acts.f_to_kind(Kind::Float)?)?;
        // Not in place: x may be the caller's own tensor.
        let x = match &weights.b_in {
            Some(b_in) => x.f_sub(b_in)?,
            None => x,
        };
        if let Architecture::MatchingPursuit {
            residual_threshold,
            max_iterations,
            stop_on_duplicate_support,
        } = self.config.architecture
        {
            let limits = pursuit::Limits { residual_threshold, max_iterations, stop_on_duplicate_support };
            return self.chosen(&pursuit::encode(&x, &weights.w_enc, limits)?, -1);
        }
        let kind = weights.w_enc.kind();
        let mut z = x.f_to_kind(kind)?.f_matmul(&weights.w_enc)?.f_to_kind(Kind::Float)?; // [.., n]
        if let Some(b_enc) = &weights.b_enc {
            drop(z.f_add_(b_enc)?);
        }
        let k = |k: i64| k.min(self.config.d_sae);
        let scaled = |f: Tensor| match &weights.scale {
            Some(scale) => f.f_mul(scale),
            None => Ok(f),
        };
        let f = match (self.config.architecture, &weights.gate, &weights.threshold) {
            (_, Some([b_gate, b_mag, r_mag]), _) => {
                let gate = z.f_add(b_gate)?.f_gt(0.0)?;
                scaled(z.f_mul(&r_mag.f_exp()?)?.f_add(b_mag)?.f_relu()?.f_mul(&gate)?)?
            }
            (_, None, Some(threshold)) => scaled(z.f_relu()?.f_mul(&z.f_gt_tensor(threshold)?)?)?,
            (Architecture::TopK { k: n }, ..) => {
                let f = scaled(z.f_relu()?)?;
                let (values, indices) = f.f_topk(k(n), -1, true, false)?; // [.., k]
                f.f_zeros_like()?.f_scatter(-1, &indices, &values)?
            }
            (Architecture::AbsTopK { k: n }, ..) => {
                let f = scaled(z)?;
                let (_, indices) = f.f_abs()?.f_topk(k(n), -1, true, false)?; // [.., k]
                f.f_zeros_like()?.f_scatter(-1, &indices, &f.f_gather(-1, &indices, false)?)?
            }
            _ => scaled(z.f_relu()?)?,
        };
        self.chosen(&f, -1) // [.., n]
    }

    /// Reconstructs from feature activations.
    ///
    /// - `feature_acts`: `[.., n]`, as [`encode`](Self::encode) gives them
    /// - `acts`: the input `[.., d_in]`, whose norm is restored and which a skip reads
    /// - returns `[.., d_out]`, f32; with chosen features, what those contribute and the biases
    pub fn decode(&self, feature_acts: &Tensor, acts: &Tensor) -> Result<Tensor, TchError> {
        let weights = &self.tensors;
        let acts = acts.f_to_kind(Kind::Float)?;
        let mut out = match self.decoder_scale()? {
            Some(scale) => feature_acts.f_div(&scale)?.f_matmul(&weights.w_dec)?,
            None => feature_acts.f_matmul(&weights.w_dec)?, // [.., d_out]
        };
        if let Some(b_dec) = &weights.b_dec {
            drop(out.f_add_(b_dec)?);
        }
        let (_, undo) = normalize::apply(self.config.normalize, &acts)?;
        let mut out = undo.apply(out)?;
        if let Some(w_skip) = &weights.w_skip {
            drop(out.f_add_(&acts.f_matmul(&w_skip.f_tr()?)?)?);
        }
        Ok(out)
    }

    /// What one unit of each feature writes: rows of `W_dec`, `[n, d_out]`, f32.
    pub fn decoder(&self) -> Result<Tensor, TchError> {
        match self.decoder_scale()? {
            Some(scale) => self.tensors.w_dec.f_div(&scale.f_unsqueeze(-1)?), // [n, d_out]
            None => Ok(self.tensors.w_dec.shallow_clone()),
        }
    }

    /// What each feature reads: columns of `W_enc`, `[d_in, n]`, in the kind of the encoder's product.
    pub fn encoder(&self) -> Result<Tensor, TchError> {
        self.chosen(&self.tensors.w_enc, 1)
    }

    fn decoder_scale(&self) -> Result<Option<Tensor>, TchError> {
        // A dead feature's decoder row may be zero: zero over this is zero, not NaN.
        let scale = |scale: &Tensor| self.chosen(scale, 0)?.f_clamp_min(SMALLEST_NORM);
        self.tensors.scale.as_ref().map(scale).transpose()
    }

    fn chosen(&self, x: &Tensor, axis: i64) -> Result<Tensor, TchError> {
        match (&self.features, self.encoder_whole) {
            (Some(features), true) => {
                x.f_index_select(axis, &Tensor::f_from_slice(features)?.f_to_device(x.device())?)
            }
            _ => Ok(x.shallow_clone()),
        }
    }
}

fn check_features(d_sae: i64, features: &[i64]) -> Result<(), SaeError> {
    match features.iter().find(|feature| !(0..d_sae).contains(*feature)) {
        None => Ok(()),
        Some(feature) => Err(SaeError::Feature { feature: *feature, d_sae }),
    }
}
