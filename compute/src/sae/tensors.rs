//! The weights of an SAE as libtorch's tensors, in one orientation whatever their files' is.

use checkpoints::sae::{Architecture, Matrix, Normalize, SaeFiles, Threshold};
use tch::{Device, Kind, Tensor};

use crate::weights::{Select, WeightsError, read as read_tensor};

/// The weights, whatever file they came from. `n` is `d_sae`, or the number of chosen features.
#[derive(Debug)]
pub struct Tensors {
    /// `[d_in, n]`.
    pub w_enc: Tensor,
    /// `[n]`.
    pub b_enc: Option<Tensor>,
    /// `[n, d_out]`.
    pub w_dec: Tensor,
    /// `[d_out]`.
    pub b_dec: Option<Tensor>,
    /// Subtracted from the input, `[d_in]`.
    pub b_in: Option<Tensor>,
    /// `[n]`, or one for all.
    pub threshold: Option<Tensor>,
    /// `b_gate`, `b_mag`, `r_mag`, `[n]` each.
    pub gate: Option<[Tensor; 3]>,
    /// Feature activations are multiplied by this, and divided by it in decoding. `[n]`.
    pub scale: Option<Tensor>,
    /// `[d_out, d_in]`.
    pub w_skip: Option<Tensor>,
}

impl Tensors {
    /// Reads the weights, of some features or of all.
    pub fn load(files: &SaeFiles, features: Option<&[i64]>, device: Device) -> Result<Self, WeightsError> {
        let top_k = matches!(files.config.architecture, Architecture::TopK { .. });
        let encoder = if top_k { None } else { features };
        let read =
            |name: &str, select: Select<'_>| read_tensor(&files.weights, name, select, Kind::Float, device);
        let per_feature = |name: &str| read(name, encoder.map_or(Select::All, Select::Rows));
        let w_enc = match (&files.names.w_enc, encoder) {
            (Matrix::Plain(name), None) => read(name, Select::All)?,
            (Matrix::Plain(name), Some(features)) => read(name, Select::Columns(features))?,
            (Matrix::Transposed(name), None) => read(name, Select::All)?.tr(),
            (Matrix::Transposed(name), Some(features)) => read(name, Select::Rows(features))?.tr(),
        };
        let decoder = |features: Option<&[i64]>| match (&files.names.w_dec, features) {
            (Matrix::Plain(name), None) => read(name, Select::All),
            (Matrix::Plain(name), Some(features)) => read(name, Select::Rows(features)),
            (Matrix::Transposed(name), None) => Ok(read(name, Select::All)?.tr().contiguous()),
            (Matrix::Transposed(name), Some(features)) => {
                Ok(read(name, Select::Columns(features))?.tr().contiguous())
            }
        };
        let w_dec = decoder(features)?;
        let scale = match files.config.rescale_by_decoder_norm {
            true if top_k && features.is_some() => Some(norms(&decoder(None)?)),
            true => Some(norms(&w_dec)),
            false => None,
        };
        let maybe = |name: &Option<String>| name.as_deref().map(|name| read(name, Select::All)).transpose();
        let gate = match &files.names.gate {
            Some([b_gate, b_mag, r_mag]) => {
                Some([per_feature(b_gate)?, per_feature(b_mag)?, per_feature(r_mag)?])
            }
            None => None,
        };
        // Constants are folded into the weights, so that a decoder row is in the units of the hook point.
        let input_scale = match files.config.normalize {
            Normalize::Scale(scale) => scale,
            _ => 1.0,
        };
        let weight_scale = input_scale * files.config.weight_scale;
        Ok(Self {
            w_enc: times(w_enc, weight_scale),
            b_enc: files.names.b_enc.as_deref().map(per_feature).transpose()?,
            w_dec: times(w_dec, 1.0 / weight_scale),
            b_dec: maybe(&files.names.b_dec)?.map(|b_dec| times(b_dec, 1.0 / input_scale)),
            b_in: maybe(&files.names.b_in)?.map(|b_in| times(b_in, 1.0 / input_scale)),
            threshold: threshold(files, encoder, device)?,
            gate,
            scale,
            w_skip: maybe(&files.names.w_skip)?,
        })
    }
}

/// `[n]`, or one for all.
fn threshold(
    files: &SaeFiles,
    features: Option<&[i64]>,
    device: Device,
) -> Result<Option<Tensor>, WeightsError> {
    let name = match &files.names.threshold {
        Threshold::None => return Ok(None),
        Threshold::Constant(value) => {
            return Ok(Some(Tensor::from(*value as f32).to_device(device)));
        }
        Threshold::Tensor(name) => name,
    };
    let one = files.weights.shape(name).is_some_and(|shape| shape.iter().product::<i64>() == 1);
    let select = if one { Select::All } else { features.map_or(Select::All, Select::Rows) };
    Ok(Some(read_tensor(&files.weights, name, select, Kind::Float, device)?))
}

/// A tensor times a constant; by 1 it stays the same to the bit.
#[expect(clippy::float_cmp, reason = "exactly 1 stands for no scale")]
fn times(tensor: Tensor, factor: f64) -> Tensor {
    if factor == 1.0 { tensor } else { tensor * factor }
}

/// Each row's length. `[n, d_out]` -> `[n]`.
fn norms(w_dec: &Tensor) -> Tensor {
    w_dec.square().sum_dim_intlist(-1, false, Kind::Float).sqrt()
}
