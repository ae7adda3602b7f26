//! What ablating a feature does to the next token, with all later layers held fixed.
//!
//! With `x` the last residual, `x' = x - a d` without the feature, and `G` the head without its norm's division
//! (`G(x) = ((x - mean) w) W_U`, linear), the logits are `G(x) / s_x + c`. So the ablated logits
//! `(G(x) - a G(d)) / s_{x'} + c` need no product of their own: one `G(x)` for each distinct position, one `G(d)` for
//! each feature, and `s_{x'}` from three dot products. What is left for a (position, feature) pair is one read of
//! two vectors of `d_vocab`: their combination, its log-sum-exp and its extreme entries are found in that read.
//!
//! On a GPU the same is done by tensor operations: see `tensors`.
//!
//! Source: semantics of sae_vis 0.2 with the model's own norm, bias and soft-cap.

mod exp;
mod kernel;
mod tensors;

use std::ops::Range;

use anyhow::Result;
use pulp::Arch;
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{Floats, ReadOnly, in_order, n_workers, oom::Backoff, to_host},
    model::Head,
    store::ResidSource,
};
use kernel::{HeadConstants, Pair, log_sum_exp};
use tensors::DeviceDirections;

/// A feature to ablate at a position, and the token after it.
#[derive(Debug, Clone, Copy)]
pub struct Ablation {
    /// Position of the corpus, as [`ResidSource`] counts them.
    pub position: u32,
    /// Feature, as an index into [`Directions`].
    pub feature: u32,
    /// Its activation there.
    pub act: f32,
    /// The token after the position.
    pub token_id: u32,
}

/// Directions of features in the residual stream, as ablation needs them.
#[derive(Debug)]
pub struct Directions {
    /// `[n, d_model]`, less their mean where the head's norm subtracts it.
    centred: Floats,
    /// `G(d)`: `[n, d_vocab]`.
    logits: Floats,
    d_model: usize,
    d_vocab: usize,
    /// The same where the head is, if effects are computed there.
    on_device: Option<DeviceDirections>,
}

#[expect(unsafe_code, reason = "a promise that the compiler cannot check")]
// SAFETY: through a shared reference the tensors are only read, and libtorch's reference counts are atomic.
unsafe impl Sync for Directions {}

/// By what effects are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernel on the host.
    Kernel,
    /// Tensor operations where the head is.
    Tensors,
}

/// Effects of all ablations, in nats.
#[derive(Debug, Default)]
pub struct Effects {
    n_hover: usize,
    /// Index of each ablation in the columns below.
    slots: Vec<u32>,
    loss: Vec<f32>,
    prob_change: Vec<f32>,
    boosted: Vec<(u32, f32)>,
    suppressed: Vec<(u32, f32)>,
}

/// Effect of one ablation.
#[derive(Debug, Clone, Copy)]
pub struct Effect<'a> {
    /// Loss with the feature less loss without it.
    pub loss: f32,
    /// Probability of the token with the feature less without it.
    pub prob_change: f32,
    /// Tokens with the largest rise of log-probability, largest first.
    pub boosted: &'a [(u32, f32)],
    /// Tokens with the largest fall, largest first.
    pub suppressed: &'a [(u32, f32)],
}

/// Features whose logits are one product.
const PRODUCT_FEATURES: usize = 256;
/// Distinct positions of a chunk on the CPU. Before a product libtorch's library lays the unembedding out anew, which for
/// 20 positions of GPT-2's takes longer than all else; more than these gain little.
const CHUNK_POSITIONS: usize = 256;
/// Their logits take no more memory than this.
const CHUNK_BYTES: usize = 64 << 20;
/// The logits of a chunk's ablations take about this much memory on a device, several times over.
const DEVICE_CHUNK_BYTES: usize = 256 << 20;

impl Directions {
    /// Directions of a range of features, for effects that `backend` computes.
    ///
    /// - `all`: of all features, `[n, d_model]`, on the head's device
    pub fn new(backend: Backend, head: &Head, all: &Tensor, features: Range<usize>) -> Result<Self> {
        let (first, n) = (features.start as i64, features.len() as i64);
        let centred = head.centred(&all.f_narrow(0, first, n)?)?; // [n, d_model]
        let d_vocab = head.constant().size()[0];
        let logits = Tensor::f_empty([n, d_vocab], (Kind::Float, all.device()))?;
        // Products of the same rows, whatever the range: another number of them could round differently.
        let product = PRODUCT_FEATURES as i64;
        for start in (first / product * product..features.end as i64).step_by(PRODUCT_FEATURES) {
            let rows = all.f_narrow(0, start, product.min(all.size()[0] - start))?;
            let part = head.unnormalised(&rows)?;
            let (from, to) = (start.max(first), (start + part.size()[0]).min(first + n));
            let part = part.f_narrow(0, from - start, to - from)?;
            logits.f_narrow(0, from - first, to - from)?.f_copy_(&part)?;
        }
        let width = |t: &Tensor| t.size().last().copied().unwrap_or_default() as usize;
        Ok(Self {
            centred: to_host(&centred)?,
            logits: to_host(&logits)?,
            d_model: width(&centred),
            d_vocab: width(&logits),
            on_device: (backend == Backend::Tensors).then_some(DeviceDirections { centred, logits }),
        })
    }

    /// Of features of which only logits are known: nothing is ablated with them.
    ///
    /// - `all`: of all features, `[n, d_vocab]`, on the host
    pub fn of_logits(all: &Tensor, features: Range<usize>) -> Result<Self> {
        let logits = all.f_narrow(0, features.start as i64, features.len() as i64)?;
        let d_vocab = logits.size().last().copied().unwrap_or_default() as usize;
        let none = Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?;
        Ok(Self { centred: to_host(&none)?, logits: to_host(&logits)?, d_model: 0, d_vocab, on_device: None })
    }

    /// `G(d)` of feature `i`, over the vocabulary.
    pub fn logits(&self, i: usize) -> &[f32] {
        &self.logits[i * self.d_vocab..(i + 1) * self.d_vocab]
    }

    /// Logits of feature `i` over the vocabulary: `G(d)` less its mean.
    pub fn feature_logits(&self, i: usize) -> Vec<f32> {
        let all = self.logits(i);
        let mean = all.iter().map(|v| f64::from(*v)).sum::<f64>() / all.len().max(1) as f64;
        all.iter().map(|v| (f64::from(*v) - mean) as f32).collect()
    }
}

impl Effects {
    /// No effects yet, with lists of `n_hover` tokens.
    fn empty(n_hover: usize) -> Self {
        Self { n_hover, ..Self::default() }
    }

    /// Effect of ablation `j`.
    pub fn of(&self, j: usize) -> Effect<'_> {
        let slot = self.slots[j] as usize;
        let list = slot * self.n_hover..(slot + 1) * self.n_hover;
        Effect {
            loss: self.loss[slot],
            prob_change: self.prob_change[slot],
            boosted: &self.boosted[list.clone()],
            suppressed: &self.suppressed[list],
        }
    }
}

/// What worker threads share.
struct WorkerInputs<'a> {
    head: &'a Head,
    resid: &'a dyn ResidSource,
    directions: &'a Directions,
}

#[expect(unsafe_code, reason = "ablation computes new tensors from these and changes none in place")]
// SAFETY: as the reason says.
unsafe impl ReadOnly for WorkerInputs<'_> {}

/// Logits of a chunk of distinct positions.
struct Chunk {
    positions: Vec<u32>,
    /// Last residuals, less their mean where the norm subtracts it: `[n, d_model]`.
    centred: Floats,
    /// `G(x)`: `[n, d_vocab]`.
    logits: Floats,
    /// Scale of the norm and log-sum-exp of the logits, by position.
    scales: Vec<(f32, f64)>,
}

impl Backend {
    /// What suits a device best.
    pub fn of(device: Device) -> Self {
        if device == Device::Cpu { Self::Kernel } else { Self::Tensors }
    }
}

/// Ablates the features of all `ablations`.
///
/// - `directions` of these features, made for the backend that computes effects
/// - `n_hover`: tokens in each hover list
/// - `after_chunk` is told the number of ablations done
pub fn ablate(
    head: &Head,
    resid: &dyn ResidSource,
    directions: &Directions,
    ablations: &[Ablation],
    n_hover: usize,
    mut after_chunk: impl FnMut(usize),
) -> Result<Effects> {
    let mut order: Vec<u32> = (0..ablations.len() as u32).collect();
    order.sort_unstable_by_key(|&j| (ablations[j as usize].position, j));
    let mut effects = Effects { slots: vec![0; ablations.len()], ..Effects::empty(n_hover) };
    for (slot, &j) in order.iter().enumerate() {
        effects.slots[j as usize] = slot as u32;
    }
    let constants = HeadConstants {
        constant: to_host(&head.constant())?,
        soft_cap: head.soft_cap().map(|cap| cap as f32),
        eps: head.eps(),
        d_model: directions.d_model,
    };
    let n_ablations = (DEVICE_CHUNK_BYTES / (4 * directions.d_vocab.max(1))).max(1);
    let chunks = match directions.on_device {
        None => chunks(&order, ablations, chunk_positions(directions.d_vocab), usize::MAX),
        Some(_) => chunks(&order, ablations, usize::MAX, n_ablations),
    };
    let backoff = Backoff::new(n_ablations);
    in_order(
        &WorkerInputs { head, resid, directions },
        head.device(),
        chunks.len(),
        |WorkerInputs { head, resid, directions }, i| {
            let ablations: Vec<Ablation> =
                order[chunks[i].clone()].iter().map(|&j| ablations[j as usize]).collect();
            if let Some(on_device) = &directions.on_device {
                return backoff.in_parts(0..ablations.len(), |part| {
                    on_device.ablate(head, *resid, &ablations[part], n_hover)
                });
            }
            let chunk = Chunk::compute(head, *resid, &ablations, &constants)?;
            Ok(vec![chunk.ablate(&ablations, directions, &constants, n_hover)])
        },
        |i, parts: Vec<Effects>| {
            for part in parts {
                effects.loss.extend(part.loss);
                effects.prob_change.extend(part.prob_change);
                effects.boosted.extend(part.boosted);
                effects.suppressed.extend(part.suppressed);
            }
            after_chunk(chunks[i].end);
            Ok(())
        },
    )?;
    Ok(effects)
}

/// Distinct positions of a chunk on the CPU.
fn chunk_positions(d_vocab: usize) -> usize {
    (CHUNK_BYTES / (4 * d_vocab.max(1))).clamp(1, CHUNK_POSITIONS)
}

/// What the chunks that are computed at the same time take on the CPU.
pub fn chunks_bytes(d_vocab: usize) -> usize {
    n_workers(Device::Cpu) * chunk_positions(d_vocab) * 4 * d_vocab
}

/// Cuts ablations, in order of position, into chunks of at most `n_positions` distinct positions and `n_ablations` ablations.
fn chunks(
    order: &[u32],
    ablations: &[Ablation],
    n_positions: usize,
    n_ablations: usize,
) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut distinct = 0;
    let mut last = None;
    for (slot, &j) in order.iter().enumerate() {
        let position = Some(ablations[j as usize].position);
        let is_new = position != last;
        let fits = |chunk: &Range<usize>| (!is_new || distinct < n_positions) && chunk.len() < n_ablations;
        if !chunks.last().is_some_and(fits) {
            chunks.push(slot..slot);
            distinct = 0;
        }
        distinct += usize::from(is_new || distinct == 0);
        last = position;
        if let Some(chunk) = chunks.last_mut() {
            chunk.end = slot + 1;
        }
    }
    chunks
}

impl Chunk {
    /// Logits at the positions of `ablations`, which are in order of position.
    fn compute(
        head: &Head,
        resid: &dyn ResidSource,
        ablations: &[Ablation],
        constants: &HeadConstants,
    ) -> Result<Self> {
        let mut positions: Vec<u32> = ablations.iter().map(|j| j.position).collect();
        positions.dedup();
        let x = resid.read(&positions, head.device())?; // [n_pos, d_model]
        let centred = to_host(&head.centred(&x)?)?;
        // As many rows as the largest chunk has, whatever this one has: another number could round differently.
        let n_pos = positions.len() as i64;
        let n_padding = chunk_positions(constants.constant.len()) as i64 - n_pos;
        let padded = x.f_constant_pad_nd([0, 0, 0, n_padding.max(0)])?;
        let logits = to_host(&head.unnormalised(&padded)?.f_narrow(0, 0, n_pos)?)?; // [n_pos, d_vocab]
        let scales = to_host(&head.scale(&x)?)?; // [n_pos]
        let arch = Arch::new();
        let scaled = |(&scale, logits): (&f32, &[f32])| {
            let sum = arch.dispatch(
                #[inline(always)]
                || log_sum_exp(logits, 1.0 / scale, constants),
            );
            (scale, sum)
        };
        let scales = scales.iter().zip(logits.chunks(constants.constant.len())).map(scaled).collect();
        Ok(Self { positions, centred, logits, scales })
    }

    /// Effects of `ablations`, in their order.
    fn ablate(
        &self,
        ablations: &[Ablation],
        directions: &Directions,
        constants: &HeadConstants,
        n_hover: usize,
    ) -> Effects {
        let arch = Arch::new();
        let (mut boosted, mut suppressed) = (vec![(0, 0f32); n_hover], vec![(0, 0f32); n_hover]);
        let mut effects = Effects::empty(n_hover);
        for ablation in ablations {
            let pair = self.pair(ablation, directions, constants);
            let (loss, prob_change) = arch.dispatch(
                #[inline(always)]
                || pair.ablate(&mut boosted, &mut suppressed),
            );
            effects.loss.push(loss);
            effects.prob_change.push(prob_change);
            effects.boosted.extend_from_slice(&boosted);
            effects.suppressed.extend_from_slice(&suppressed);
        }
        effects
    }

    /// What the kernel needs of one ablation.
    fn pair<'a>(
        &'a self,
        ablation: &Ablation,
        directions: &'a Directions,
        constants: &'a HeadConstants,
    ) -> Pair<'a> {
        let (p, d, v) = (
            self.positions.partition_point(|&p| p < ablation.position),
            constants.d_model,
            constants.constant.len(),
        );
        let f = ablation.feature as usize;
        let x = &self.centred[p * d..(p + 1) * d];
        let ablated: f64 = x
            .iter()
            .zip(&directions.centred[f * d..(f + 1) * d])
            .map(|(x, d)| f64::from(x - ablation.act * d).powi(2))
            .sum();
        let scale = (ablated / d as f64 + constants.eps).sqrt();
        let (scale_x, log_sum_exp) = self.scales[p];
        Pair {
            x_logits: &self.logits[p * v..(p + 1) * v],
            d_logits: directions.logits(f),
            inverse_scales: (1.0 / scale_x, (1.0 / scale) as f32),
            act: ablation.act,
            log_sum_exp,
            token_id: ablation.token_id as usize,
            constants,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_product_has_the_same_bits_wherever_it_stands() {
        let options = (Kind::Float, Device::Cpu);
        for (d_model, d_vocab) in [(128, 4096), (768, 1000), (64, 211)] {
            let (x, w) = (Tensor::randn([256, d_model], options), Tensor::randn([d_vocab, d_model], options));
            let order = Tensor::randperm(256, (Kind::Int64, Device::Cpu));
            let (whole, moved) = (x.matmul(&w.tr()), x.index_select(0, &order).matmul(&w.tr()));
            assert_eq!(whole.index_select(0, &order), moved, "{d_model} by {d_vocab}");
        }
    }
}
