//! The weights of an SAE as libtorch's tensors, in one orientation whatever their files' is.

use checkpoints::sae::{Matrix, SaeFiles, Threshold};
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
        let (config, names, fold) = (&files.config, &files.names, files.config.fold);
        let reader = Reader { files, device };
        let whole = config.architecture.needs_all_features();
        let encoder = if whole { None } else { features };
        let w_enc = reader.transposed(&names.w_enc, encoder)?.tr(); // [d_in, n]
        let w_dec = reader.rows(&names.w_dec, features)?; // [n, d_out]
        let of_scaled = matches!(names.threshold, Threshold::OfScaled(_));
        let scale = match config.rescale_by_decoder_norm || of_scaled {
            true if whole && features.is_some() => Some(norms(&reader.rows(&names.w_dec, None)?)),
            true => Some(norms(&w_dec)),
            false => None,
        };
        let mut threshold = reader.threshold(encoder)?;
        if let (true, Some(scale)) = (of_scaled, &scale) {
            threshold = threshold.map(|threshold| threshold / scale);
        }
        let all = |name: &Option<String>| name.as_deref().map(|name| reader.all(name)).transpose();
        let per_feature = |name: &String| reader.vector(name, encoder);
        let gate = match &names.gate {
            Some([b_gate, b_mag, r_mag]) => {
                Some([per_feature(b_gate)?, per_feature(b_mag)?, per_feature(r_mag)?])
            }
            None => None,
        };
        Ok(Self {
            w_enc: times(w_enc, fold.w_enc),
            b_enc: names.b_enc.as_ref().map(per_feature).transpose()?,
            w_dec: times(w_dec, fold.w_dec),
            b_dec: all(&names.b_dec)?.map(|b_dec| times(b_dec, fold.b_dec)),
            b_in: all(&names.b_in)?.map(|b_in| times(b_in, fold.b_in)),
            threshold,
            gate,
            scale: scale.filter(|_| config.rescale_by_decoder_norm),
            w_skip: names.w_skip.as_ref().map(|w_skip| reader.rows(w_skip, None)).transpose()?,
        })
    }
}

/// Reads parts of the files as f32.
struct Reader<'a> {
    files: &'a SaeFiles,
    device: Device,
}

impl Reader<'_> {
    fn read(&self, name: &str, select: Select<'_>) -> Result<Tensor, WeightsError> {
        read_tensor(&self.files.weights, name, select, Kind::Float, self.device)
    }

    fn all(&self, name: &str) -> Result<Tensor, WeightsError> {
        self.read(name, Select::All)
    }

    /// - `features`: of `[d_sae]`; `None` is all
    fn vector(&self, name: &str, features: Option<&[i64]>) -> Result<Tensor, WeightsError> {
        self.read(name, features.map_or(Select::All, Select::Rows))
    }

    /// Rows of a matrix in its canonical orientation, contiguous.
    fn rows(&self, matrix: &Matrix, rows: Option<&[i64]>) -> Result<Tensor, WeightsError> {
        match matrix {
            Matrix::Plain(name) => self.read(name, rows.map_or(Select::All, Select::Rows)),
            Matrix::Transposed(name) => {
                Ok(self.read(name, rows.map_or(Select::All, Select::Columns))?.tr().contiguous())
            }
            Matrix::Summed(name) => {
                let rows = self.read(name, rows.map_or(Select::All, Select::Rows))?; // [n, n_layers, d_out]
                Ok(rows.sum_dim_intlist(1, false, Kind::Float)) // [n, d_out]
            }
            Matrix::Stacked(name) => {
                let all = self.all(name)?.transpose(0, 1); // [d_sae, n_layers, d]
                let chosen = match rows {
                    Some(rows) => all.index_select(0, &Tensor::from_slice(rows).to_device(self.device)),
                    None => all,
                };
                Ok(chosen.flatten(1, 2)) // [n, n_layers d]
            }
        }
    }

    /// Columns of a matrix in its canonical orientation, as rows.
    fn transposed(&self, matrix: &Matrix, columns: Option<&[i64]>) -> Result<Tensor, WeightsError> {
        match matrix {
            Matrix::Plain(name) => Ok(self.read(name, columns.map_or(Select::All, Select::Columns))?.tr()),
            Matrix::Transposed(name) => self.read(name, columns.map_or(Select::All, Select::Rows)),
            Matrix::Summed(_) | Matrix::Stacked(_) => Ok(self.rows(matrix, None)?.tr()),
        }
    }

    /// `[n]`, or one for all.
    fn threshold(&self, features: Option<&[i64]>) -> Result<Option<Tensor>, WeightsError> {
        if let Threshold::Constant(value) = self.files.names.threshold {
            return Ok(Some(Tensor::from(value as f32).to_device(self.device)));
        }
        let Some(name) = self.files.names.threshold.name() else { return Ok(None) };
        let one = self.files.weights.shape(name).is_some_and(|shape| shape.iter().product::<i64>() == 1);
        let threshold = self.vector(name, features.filter(|_| !one))?;
        let logarithm = matches!(self.files.names.threshold, Threshold::Log(_));
        Ok(Some(if logarithm { threshold.exp() } else { threshold }))
    }
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
