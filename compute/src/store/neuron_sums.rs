//! Sums over all positions that correlate features with the neurons of their hook point.
//!
//! For neuron `j` and feature `f`: `sx = Σ x[j]`, `sxx = Σ x[j]²`, `sxy = Σ x[j] a[f]`. The last is the large one. On the
//! CPU it is summed over active entries only, which at a density of 1 % is a hundredth of the dense product. A GPU does
//! the dense product in the time that copying the neurons to the host would take.
//! Batches are summed in f32 and added up in f64, so that a million positions lose no digit that is shown.

use anyhow::Result;
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use super::sparse::ByFeature;
use crate::backend::Floats;

/// Sums of neurons, and of neurons times features.
#[derive(Debug, Default)]
pub struct NeuronSums {
    d_in: usize,
    sx: Vec<f64>,
    sxx: Vec<f64>,
    /// `[n_features, d_in]`.
    sxy: Vec<f64>,
}

/// The sums while batches are added.
#[derive(Debug)]
pub struct NeuronAccumulator {
    on_host: NeuronSums,
    on_device: Option<ProductSums>,
}

/// The sums as tensors.
#[derive(Debug)]
pub struct ProductSums {
    /// `[2, d_in]`: `sx` and `sxx`.
    pub neurons: Tensor,
    /// `[n_features, d_in]`.
    pub products: Tensor,
}

/// What a batch adds.
#[derive(Debug)]
pub enum BatchNeurons {
    /// The neurons, `[n_pos, d_in]` row-major, to be multiplied with what is active.
    Neurons(Floats),
    /// The batch's own sums, on a device, in f32.
    Sums(ProductSums),
}

/// Bytes of a product of feature and neuron on a device: the sum in f64, and two batches' in f32.
const PRODUCT_BYTES: usize = 16;

/// Whether sums for `n_features` features and `d_in` neurons are kept where there are `free` bytes: they may take a
/// quarter.
pub fn sums_fit(free: usize, n_features: usize, d_in: usize) -> bool {
    PRODUCT_BYTES * n_features * d_in <= free / 4
}

impl ProductSums {
    /// Zeros.
    pub fn zeros(n_features: usize, d_in: usize, options: (Kind, Device)) -> Result<Self, TchError> {
        let zeros = |rows: usize| Tensor::f_zeros([rows as i64, d_in as i64], options);
        Ok(Self { neurons: zeros(2)?, products: zeros(n_features)? })
    }

    /// Adds some positions of a batch.
    ///
    /// - `neurons`: `[n_pos, d_in]`; `feature_acts`: `[n_pos, n_features]`
    pub fn add(&mut self, neurons: &Tensor, feature_acts: &Tensor) -> Result<(), TchError> {
        let over_positions = |t: &Tensor| t.f_sum_dim_intlist(0, false, Kind::Float); // [d_in]
        let of_neurons = [over_positions(neurons)?, over_positions(&neurons.f_square()?)?];
        self.neurons = self.neurons.f_add(&Tensor::f_stack(&of_neurons, 0)?)?;
        drop(self.products.f_addmm_(&feature_acts.tr(), neurons)?);
        Ok(())
    }
}

impl NeuronAccumulator {
    /// Zero sums for `n_features` features and `d_in` neurons.
    ///
    /// - `device`: where batches are summed, if not on the host
    pub fn new(n_features: usize, d_in: usize, device: Option<Device>) -> Result<Self, TchError> {
        let on_device =
            device.map(|device| ProductSums::zeros(n_features, d_in, (Kind::Double, device))).transpose()?;
        let n_on_host = if on_device.is_some() { 0 } else { n_features };
        let zeros = |n: usize| vec![0.0; n * d_in];
        Ok(Self {
            on_host: NeuronSums { d_in, sx: zeros(1), sxx: zeros(1), sxy: zeros(n_on_host) },
            on_device,
        })
    }

    /// Adds a batch.
    ///
    /// - `feature_acts`: of its positions, which are those from `first` on
    pub fn push(
        &mut self,
        part: BatchNeurons,
        feature_acts: &ByFeature,
        first: usize,
    ) -> Result<(), TchError> {
        match (part, &mut self.on_device) {
            (BatchNeurons::Sums(part), Some(sums)) => {
                sums.neurons = sums.neurons.f_add(&part.neurons)?;
                // In place: there is no room for two of them.
                drop(sums.products.f_add_(&part.products)?);
            }
            (BatchNeurons::Neurons(neurons), _) => self.on_host.push(&neurons, feature_acts, first),
            (BatchNeurons::Sums(_), None) => {
                return Err(TchError::Shape("sums of a device, and none to add to".to_owned()));
            }
        }
        Ok(())
    }

    /// The sums of all batches, on the host.
    pub fn finish(self) -> Result<NeuronSums, TchError> {
        let Some(ProductSums { neurons, products }) = self.on_device else { return Ok(self.on_host) };
        let host = |t: &Tensor| Vec::<f64>::try_from(t.flatten(0, -1).to(Device::Cpu));
        let mut sx = host(&neurons)?;
        let sxx = sx.split_off(self.on_host.d_in);
        Ok(NeuronSums { sx, sxx, sxy: host(&products)?, ..self.on_host })
    }
}

impl NeuronSums {
    fn push(&mut self, neurons: &[f32], feature_acts: &ByFeature, first: usize) {
        let d_in = self.d_in;
        let mut sums = vec![(0f32, 0f32); d_in];
        for x in neurons.chunks_exact(d_in) {
            for (sum, x) in sums.iter_mut().zip(x) {
                sum.0 += x;
                sum.1 += x * x;
            }
        }
        for ((sx, sxx), (x, xx)) in self.sx.iter_mut().zip(&mut self.sxx).zip(sums) {
            *sx += f64::from(x);
            *sxx += f64::from(xx);
        }
        self.sxy.par_chunks_mut(d_in).enumerate().for_each_init(
            || vec![0f32; d_in],
            |batch, (f, sxy)| {
                let (positions, acts) = feature_acts.of(f);
                if positions.is_empty() {
                    return;
                }
                batch.fill(0.0);
                for (&position, &act) in positions.iter().zip(acts) {
                    let start = (position as usize - first) * d_in;
                    for (sum, x) in batch.iter_mut().zip(&neurons[start..start + d_in]) {
                        *sum += act * x;
                    }
                }
                for (sum, batch) in sxy.iter_mut().zip(batch) {
                    *sum += f64::from(*batch);
                }
            },
        );
    }

    /// `Σ x[j] a[f]` for feature `f` and every neuron `j`.
    pub fn products(&self, f: usize) -> &[f64] {
        &self.sxy[f * self.d_in..(f + 1) * self.d_in]
    }

    /// `(Σ x[j], Σ x[j]²)` of neuron `j`.
    pub fn of_neuron(&self, j: usize) -> (f64, f64) {
        (self.sx[j], self.sxx[j])
    }
}
