//! Sums over all positions that correlate features with the neurons of their hook point.
//!
//! For neuron `j` and feature `f`: `sx = Σ x[j]`, `sxx = Σ x[j]²`, `sxy = Σ x[j] a[f]`. The last is the large one. On the
//! CPU it is summed over active entries only, which at a density of 1 % is a hundredth of the dense product. A GPU does
//! the dense product in the time that copying the neurons to the host would take.
//! A batch is summed in f32, batches are added up exactly: whatever shards they were in, the totals have the same bits.

use anyhow::Result;
use pulp::Arch;
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use super::{
    exact_sums::{ExactSums, ExactTensor},
    sparse::ByFeature,
};
use crate::{
    backend::Floats,
    sections::{SectionReader, SectionWriter},
};

/// Sums of neurons, and of neurons times features.
#[derive(Debug, Clone, Default)]
pub struct NeuronSums {
    /// `sx` and `sxx`: `[2, d_in]`.
    neurons: ExactSums,
    /// `sxy`: `[n_features, d_in]`.
    products: ExactSums,
}

/// The sums while batches are added.
#[derive(Debug)]
pub enum NeuronAccumulator {
    /// On the host.
    Host(NeuronSums),
    /// Where the model is: `sx` and `sxx`, and `sxy`.
    Device(ExactTensor, ExactTensor),
}

/// The sums of a batch as tensors, f32.
#[derive(Debug)]
pub struct ProductSums {
    /// `[2, d_in]`: `sx` and `sxx`.
    neurons: Tensor,
    /// `[n_features, d_in]`.
    products: Tensor,
}

/// What a batch adds.
#[derive(Debug)]
pub enum BatchNeurons {
    /// The neurons, `[n_pos, d_in]` row-major, to be multiplied with what is active.
    Neurons(Floats),
    /// The batch's own sums, on a device.
    Sums(ProductSums),
}

/// Bytes of a product of feature and neuron: its sum in two parts.
pub const PRODUCT_BYTES: usize = 16;
/// The same on a device, with two batches' in f32.
const DEVICE_PRODUCT_BYTES: usize = PRODUCT_BYTES + 8;

/// Whether `n_products` sums are kept on a device where there are `free` bytes: they may take a quarter.
pub fn sums_fit(free: usize, n_products: usize) -> bool {
    DEVICE_PRODUCT_BYTES * n_products <= free / 4
}

impl ProductSums {
    /// Zeros for `n_features` features and `d_in` neurons.
    pub fn new(n_features: usize, d_in: usize, device: Device) -> Result<Self, TchError> {
        let zeros = |rows: usize| Tensor::f_zeros([rows as i64, d_in as i64], (Kind::Float, device));
        Ok(Self { neurons: zeros(2)?, products: zeros(n_features)? })
    }

    /// Adds some positions of a batch.
    ///
    /// - `neurons`: `[n_pos, d_in]`; `feature_acts`: `[n_pos, n_features]`
    pub fn add(&mut self, neurons: &Tensor, feature_acts: &Tensor) -> Result<(), TchError> {
        let over_positions = |t: &Tensor| t.f_sum_dim_intlist(0, false, Kind::Float); // [d_in]
        let of_neurons = [over_positions(neurons)?, over_positions(&neurons.f_square()?)?];
        self.neurons = self.neurons.f_add(&Tensor::f_stack(&of_neurons, 0)?)?;
        drop(self.products.f_addmm_(&feature_acts.f_tr()?, neurons)?);
        Ok(())
    }
}

impl NeuronAccumulator {
    /// Zero sums for `n_features` features and `d_in` neurons.
    ///
    /// - `device`: where batches are summed, if not on the host
    pub fn new(n_features: usize, d_in: usize, device: Option<Device>) -> Result<Self, TchError> {
        let Some(device) = device else { return Ok(Self::Host(NeuronSums::new(n_features, d_in))) };
        let sums = |n_rows| ExactTensor::new(n_rows, d_in, device);
        Ok(Self::Device(sums(2)?, sums(n_features)?))
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
        match (self, part) {
            (Self::Host(sums), BatchNeurons::Neurons(values)) => sums.push(&values, feature_acts, first),
            (Self::Device(neurons, products), BatchNeurons::Sums(part)) => {
                neurons.add(&part.neurons)?;
                products.add(&part.products)?;
            }
            _ => return Err(TchError::Shape("sums of a batch are not where the run's are".to_owned())),
        }
        Ok(())
    }

    /// The sums of all batches, on the host.
    pub fn finish(self) -> Result<NeuronSums, TchError> {
        match self {
            Self::Host(sums) => Ok(sums),
            Self::Device(neurons, products) => {
                Ok(NeuronSums { neurons: neurons.to_host()?, products: products.to_host()? })
            }
        }
    }
}

/// Adds `x` and `x²` of each position's neurons `x`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled without the caller's vectors"
)]
fn add_neurons([sx, sxx]: &mut [Vec<f32>; 2], neurons: &[f32]) {
    for x in neurons.chunks_exact(sx.len().max(1)) {
        for ((sx, sxx), x) in sx.iter_mut().zip(sxx.iter_mut()).zip(x) {
            *sx += x;
            *sxx += x * x;
        }
    }
}

/// Adds `act` times the neurons `x`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled without the caller's vectors"
)]
fn add_product(sums: &mut [f32], act: f32, x: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += act * x;
    }
}

impl NeuronSums {
    fn new(n_features: usize, d_in: usize) -> Self {
        Self { neurons: ExactSums::new(2, d_in), products: ExactSums::new(n_features, d_in) }
    }

    fn push(&mut self, neurons: &[f32], feature_acts: &ByFeature, first: usize) {
        let (d_in, arch) = (self.neurons.width(), Arch::new());
        let mut sums = [vec![0f32; d_in], vec![0f32; d_in]];
        arch.dispatch(|| add_neurons(&mut sums, neurons));
        self.neurons.rows_mut().zip(&sums).for_each(|(mut row, sums)| row.add(sums));
        self.products.par_rows_mut().enumerate().for_each_init(
            || vec![0f32; d_in],
            |batch, (f, mut row)| {
                let (positions, acts) = feature_acts.of(f);
                if positions.is_empty() {
                    return;
                }
                batch.fill(0.0);
                arch.dispatch(|| {
                    for (&position, &act) in positions.iter().zip(acts) {
                        let start = (position as usize - first) * d_in;
                        add_product(batch, act, &neurons[start..start + d_in]);
                    }
                    row.add(batch);
                });
            },
        );
    }

    /// Writes all of it as arrays whose names begin with `name`.
    pub fn write(&self, name: &str, to: &mut SectionWriter) -> Result<()> {
        self.neurons.write(&format!("{name}.neurons"), to)?;
        self.products.write(&format!("{name}.products"), to)
    }

    /// What was written.
    pub fn open(name: &str, from: &SectionReader) -> Result<Self> {
        let sums = |part| ExactSums::open(&format!("{name}.{part}"), from);
        Ok(Self { neurons: sums("neurons")?, products: sums("products")? })
    }

    /// Adds the sums of other positions.
    pub fn merge(&mut self, other: Self) {
        self.neurons.merge(other.neurons);
        self.products.merge(other.products);
    }

    /// `Σ x[j] a[f]` for feature `f` and every neuron `j`.
    pub fn products(&self, f: usize) -> Vec<f64> {
        self.products.row(f).collect()
    }

    /// Whether there are none: nothing is known of neurons.
    pub fn is_empty(&self) -> bool {
        self.neurons.width() == 0
    }

    /// `Σ x[j]` and `Σ x[j]²` of every neuron `j`.
    pub fn of_neurons(&self) -> [Vec<f64>; 2] {
        [0, 1].map(|row| self.neurons.row(row).collect())
    }
}
