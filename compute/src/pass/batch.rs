//! One batch: forward, encode, and what is kept of it.

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::subject::{Subject, Tap, TappedSae};
use crate::{
    backend::{n_workers, to_host},
    sae::Sae,
    store::{BatchNeurons, BatchResid, ByPosition, ProductSums},
};

/// What a batch contributes.
#[derive(Debug)]
pub struct Batch {
    /// Of each tap.
    pub taps: Vec<TapBatch>,
    /// Last residuals; none of any position where they are not needed.
    pub resid: BatchResid,
    /// The first corpus position at which each tap's activations are not finite: i64, `[n_taps]`; the largest i64 where
    /// all are.
    pub first_not_finite: Tensor,
}

/// What each SAE of a tap contributes.
pub type TapBatch = Vec<SaeBatch>;

/// What a batch contributes of an SAE.
#[derive(Debug)]
pub struct SaeBatch {
    /// Active features.
    pub acts: ByPosition,
    /// Where they are correlated with neurons.
    pub neurons: Option<BatchNeurons>,
}

/// What is kept of a batch besides what is active.
#[derive(Debug, Clone, Copy)]
pub struct BatchNeeds {
    /// Where sums for neurons' correlations are made, if at all.
    pub sums_on: Option<SumsOn>,
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
/// Each worker has one at work, with its layers' arrays (some 24 of the model's width), the taps' activations, dense
/// activations in three states of their making, and two that wait.
pub fn batch_bytes(subject: &Subject, n_positions: usize) -> usize {
    let d_model = subject.model.config().d_model as usize;
    let d_in = |tap: &Tap| tap.saes.first().map_or(0, |tapped| tapped.sae.config().d_in as usize);
    let d_in: usize = subject.taps.iter().map(d_in).sum();
    let n_encoded = subject.saes().map(|(_, tapped)| tapped.sae.n_encoded()).max().unwrap_or_default();
    let dense = (4 * n_positions * n_encoded).min(dense_bytes(subject.device));
    n_workers(subject.device) * (4 * n_positions * (24 * d_model + 3 * (d_in + d_model)) + 3 * dense)
}

fn dense_bytes(device: Device) -> usize {
    if device == Device::Cpu { DENSE_BYTES } else { DENSE_BYTES_ON_DEVICE }
}

impl Batch {
    /// - `tokens`: `[batch, pos]`
    /// - `first`: the corpus position of the first of them; `first_resid`: the same among those whose residuals are kept
    pub fn compute(
        subject: &Subject,
        tokens: &Tensor,
        needs: BatchNeeds,
        (first, first_resid): (usize, usize),
    ) -> Result<Self> {
        let tokens = tokens.f_to(subject.device)?;
        let (all_acts, resid) = subject.forward(&tokens, needs.resid.is_some())?;
        let first_not_finite = first_not_finite(&all_acts, first as i64)?;
        let mut taps = Vec::with_capacity(all_acts.len());
        for (i, (tap, hook_acts)) in subject.taps.iter().zip(all_acts).enumerate() {
            let of_sae = |tapped| SaeBatch::compute(tapped, &hook_acts, &tokens, needs.sums_on, first);
            let saes: TapBatch = tap.saes.iter().map(of_sae).collect::<Result<_>>()?;
            for (tapped, batch) in tap.saes.iter().zip(&saes) {
                if let Some(found) = batch.acts.first_not_finite() {
                    // Whoever gathers the batches says so of the hook point itself, if its activations are the cause.
                    let hook_is_finite = first_not_finite.f_int64_value(&[i as i64])? == i64::MAX;
                    ensure!(
                        !hook_is_finite,
                        not_finite(tap, tapped, found, (first, tokens.size()[1] as usize))
                    );
                }
            }
            taps.push(saes);
        }
        let resid = match needs.resid {
            Some(n_on_device) => BatchResid::new(&resid, first_resid, n_on_device)?,
            None => BatchResid::none(resid.size()[1])?,
        };
        Ok(Self { taps, resid, first_not_finite })
    }
}

/// See [`Batch::first_not_finite`].
///
/// - `all`: `[n_pos, d_in]` each, of the positions from `first` on
fn first_not_finite(all: &[Tensor], first: i64) -> Result<Tensor> {
    let first_of = |acts: &Tensor| {
        let (n_pos, options) = (acts.size()[0], (Kind::Int64, acts.device()));
        let finite = acts.f_isfinite()?.f_all_dim(-1, false)?; // [n_pos]
        let positions = Tensor::f_arange_start(first, first + n_pos, options)?;
        positions.f_masked_fill(&finite, i64::MAX)?.f_min()
    };
    Ok(Tensor::f_stack(&all.iter().map(first_of).collect::<Result<Vec<_>, _>>()?, 0)?)
}

/// Says where an activation is no finite number, which no statistic survives.
///
/// - `position`: among the corpus positions from `first` on, in rows of `seq_len`
fn not_finite(
    tap: &Tap,
    tapped: &TappedSae,
    (position, feature): (usize, u32),
    (first, seq_len): (usize, usize),
) -> String {
    let feature = tapped.sae.features().map_or(feature.into(), |chosen| chosen[feature as usize]);
    let (row, pos) = ((first + position) / seq_len, (first + position) % seq_len);
    format!(
        "the activation of feature {feature} at {} is not a finite number (row {row}, position {pos}): the SAE's weights \
         are too large for what it reads; was it trained on this model and hook point?",
        tap.hook
    )
}

impl SaeBatch {
    /// - `hook_acts`: `[n_pos, d_in]`; `tokens`: `[batch, pos]`
    fn compute(
        tapped: &TappedSae,
        hook_acts: &Tensor,
        tokens: &Tensor,
        sums_on: Option<SumsOn>,
        first: usize,
    ) -> Result<Self> {
        let (n_features, d_in) = (tapped.sae.n_features(), tapped.sae.config().d_in as usize);
        let sums_on = sums_on.filter(|_| tapped.neuron_sums);
        let mut sums = match sums_on {
            Some(SumsOn::Device) => Some(ProductSums::new(n_features, d_in, hook_acts.device())?),
            _ => None,
        };
        let counted = tapped.counted(tokens)?;
        let acts = active(&tapped.sae, hook_acts, counted.as_ref(), first, sums.as_mut())?;
        let neurons = match sums {
            Some(sums) => Some(BatchNeurons::Sums(sums)),
            None if sums_on.is_some() => Some(BatchNeurons::Neurons(to_host(hook_acts)?)),
            None => None,
        };
        Ok(Self { acts, neurons })
    }
}

/// Active features at each position, encoded a few positions at a time, so that what is dense is small whatever the
/// number of features.
///
/// - `hook_acts`: `[n_pos, d_in]`
/// - `counted`: `[n_pos, 1]`, 0 where features count as inactive
/// - `sums`: what is dense is added to these, before it is dropped
fn active(
    sae: &Sae,
    hook_acts: &Tensor,
    counted: Option<&Tensor>,
    first: usize,
    mut sums: Option<&mut ProductSums>,
) -> Result<ByPosition> {
    let mut active = ByPosition::new(sae.n_features(), first);
    let n_pos = hook_acts.size()[0];
    let at_once = (dense_bytes(hook_acts.device()) / (4 * sae.n_encoded().max(1))).max(1);
    for start in (0..n_pos).step_by(at_once) {
        let n = (n_pos - start).min(at_once as i64);
        let hook_acts = hook_acts.f_narrow(0, start, n)?;
        let mut acts = sae.encode(&hook_acts)?; // [n, n_features]
        if let Some(counted) = counted {
            acts = acts.f_mul(&counted.f_narrow(0, start, n)?)?;
        }
        if let Some(sums) = &mut sums {
            sums.add(&hook_acts, &acts)?;
        }
        if acts.device() == Device::Cpu {
            active.extend_dense(&to_host(&acts)?);
        } else {
            extend_on_device(&mut active, &acts)?;
        }
    }
    Ok(active)
}

/// Finds what is active where `acts` are, so that only that is copied.
///
/// - `acts`: `[n, n_features]`
fn extend_on_device(active: &mut ByPosition, acts: &Tensor) -> Result<()> {
    let n = acts.size()[0] as usize;
    let flat = acts.f_flatten(0, 1)?; // [n * n_features]
    let found = flat.f_ne(0.0)?.f_nonzero()?.f_squeeze_dim(1)?; // [n_active]
    let acts = to_host(&flat.f_index_select(0, &found)?)?;
    // Indices into an array of `DENSE_BYTES_ON_DEVICE` need no more than 32 bits, which are half as much to copy.
    let found = Vec::<i32>::try_from(found.f_to_kind(Kind::Int)?.f_to(Device::Cpu)?)?;
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
