//! One batch: forward, encode, and what is kept of it.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::subject::Subject;
use crate::{
    backend::{n_workers, to_host},
    sae::Sae,
    store::{BatchNeurons, BatchResid, ByPosition, ProductSums},
};

/// What a batch contributes.
#[derive(Debug)]
pub struct Batch {
    /// Active features of the SAE.
    pub acts: ByPosition,
    /// Active features of SAE B.
    pub acts_b: Option<ByPosition>,
    /// Where neurons are wanted.
    pub neurons: Option<BatchNeurons>,
    /// None of any position where no effects are wanted.
    pub resid: BatchResid,
}

/// What is kept of a batch besides what is active.
#[derive(Debug, Clone, Copy)]
pub struct BatchNeeds {
    /// Sums for neurons' correlations.
    pub neurons: Option<SumsOn>,
    /// Last residuals: the number of first positions whose stay on the device.
    pub resid: Option<usize>,
}

/// Where sums for neurons' correlations are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SumsOn {
    /// On the host, from the neurons.
    Host,
    /// Where the model is.
    Device,
}

/// Dense activations on the CPU take about this much memory at once: 2,048 positions of 2,048 features.
const DENSE_BYTES: usize = 16 << 20;
/// The same on a GPU, where small products would leave it idle.
const DENSE_BYTES_ON_DEVICE: usize = 512 << 20;

/// The most memory that batches of `n_positions` take, on their way and waiting: an estimate.
///
/// Each worker has one at work, with its layers' arrays (some 24 of the model's width) and dense activations in three
/// states of their making, and two that wait.
pub fn batch_bytes(subject: &Subject, n_positions: usize) -> usize {
    let (d_model, d_in) = (subject.model.config().d_model as usize, subject.sae.config().d_in as usize);
    let n_encoded = subject.sae_b.iter().chain([&subject.sae]).map(Sae::n_encoded).max().unwrap_or_default();
    let dense = (4 * n_positions * n_encoded).min(dense_bytes(subject.device));
    n_workers(subject.device) * (4 * n_positions * (24 * d_model + 3 * (d_in + d_model)) + 3 * dense)
}

fn dense_bytes(device: Device) -> usize {
    if device == Device::Cpu { DENSE_BYTES } else { DENSE_BYTES_ON_DEVICE }
}

impl Batch {
    /// - `tokens`: `[batch, pos]`
    /// - `first`: the corpus position of the first of them
    pub fn compute(subject: &Subject, tokens: &Tensor, needs: BatchNeeds, first: usize) -> Result<Self> {
        let tokens = tokens.to(subject.device);
        let (acts, resid) = subject.forward(&tokens, needs.resid.is_some())?;
        let counted = subject.counted(&tokens);
        let (n_features, d_in) = (subject.sae.n_features(), subject.sae.config().d_in as usize);
        let mut sums = match needs.neurons {
            Some(SumsOn::Device) => {
                Some(ProductSums::zeros(n_features, d_in, (Kind::Float, subject.device))?)
            }
            _ => None,
        };
        let encode = |sae: &Sae, sums| active(sae, &acts, counted.as_ref(), first, sums);
        Ok(Self {
            acts: encode(&subject.sae, sums.as_mut())?,
            acts_b: subject.sae_b.as_ref().map(|sae_b| encode(sae_b, None)).transpose()?,
            neurons: match (needs.neurons, sums) {
                (Some(_), Some(sums)) => Some(BatchNeurons::Sums(sums)),
                (Some(_), None) => Some(BatchNeurons::Neurons(to_host(&acts)?)),
                (None, _) => None,
            },
            resid: match needs.resid {
                Some(n_on_device) => BatchResid::new(&resid, first, n_on_device)?,
                None => BatchResid::none(resid.size()[1]),
            },
        })
    }
}

/// Active features at each position, encoded a few positions at a time, so that what is dense is small whatever the
/// number of features.
///
/// - `acts`: `[n_pos, d_in]`
/// - `counted`: `[n_pos, 1]`, 0 where features count as inactive
/// - `sums`: what is dense is added to these, before it is dropped
fn active(
    sae: &Sae,
    acts: &Tensor,
    counted: Option<&Tensor>,
    first: usize,
    mut sums: Option<&mut ProductSums>,
) -> Result<ByPosition> {
    let mut active = ByPosition::new(sae.n_features(), first);
    let n_pos = acts.size()[0];
    let at_once = (dense_bytes(acts.device()) / (4 * sae.n_encoded().max(1))).max(1);
    for start in (0..n_pos).step_by(at_once) {
        let n = (n_pos - start).min(at_once as i64);
        let acts = acts.narrow(0, start, n);
        let mut features = sae.encode(&acts); // [n, n_features]
        if let Some(counted) = counted {
            features *= counted.narrow(0, start, n);
        }
        if let Some(sums) = &mut sums {
            sums.add(&acts, &features)?;
        }
        if features.device() == Device::Cpu {
            active.extend_dense(&to_host(&features)?);
        } else {
            extend_on_device(&mut active, &features)?;
        }
    }
    Ok(active)
}

/// Finds what is active where `features` are, so that only that is copied.
///
/// - `features`: `[n, n_features]`
fn extend_on_device(active: &mut ByPosition, features: &Tensor) -> Result<()> {
    let n = features.size()[0] as usize;
    let flat = features.flatten(0, 1); // [n * n_features]
    let found = flat.gt(0.0).nonzero().squeeze_dim(1); // [n_active]
    let acts = to_host(&flat.index_select(0, &found))?;
    // Indices into an array of `DENSE_BYTES_ON_DEVICE` need no more than 32 bits, which are half as much to copy.
    let found = Vec::<i32>::try_from(found.to_kind(Kind::Int).to(Device::Cpu))?;
    active.extend_found(n, &found, &acts);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_on_a_device_is_what_is_found_on_the_host(
            rows in (1usize..50).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(-1f32..1.0, n), 1..40)),
            inactive in 0usize..40,
        ) {
            let (n_pos, n_features) = (rows.len(), rows[0].len());
            let mut rows = rows;
            if let Some(row) = rows.get_mut(inactive) {
                row.fill(0.0);
            }
            let dense = rows.concat();
            let tensor = Tensor::from_slice(&dense).view([n_pos as i64, n_features as i64]);
            let (mut on_host, mut on_device) = (ByPosition::new(n_features, 9), ByPosition::new(n_features, 9));
            on_host.extend_dense(&dense);
            extend_on_device(&mut on_device, &tensor).unwrap();
            prop_assert_eq!(on_host, on_device);
        }
    }
}
