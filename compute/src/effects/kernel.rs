//! The inner loop of effects: one read of two vectors over the vocabulary.
//!
//! Everything here is inlined into a caller that [`pulp`] compiles for the widest vectors of the machine.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled without the caller's vectors"
)]

use super::exp::exp;
use crate::backend::Floats;

/// Logits handled at once: three arrays of this length fit the first-level cache.
const LANES: usize = 1024;

/// The head's constants, on the host.
#[derive(Debug)]
pub struct HeadConstants {
    /// `c`: what the norm's and the unembedding's biases add, `[d_vocab]`.
    pub constant: Floats,
    /// Soft-cap of the logits.
    pub soft_cap: Option<f32>,
    /// The norm's epsilon.
    pub eps: f64,
    /// Width of the residual stream.
    pub d_model: usize,
}

/// Logits of `lanes.len()` tokens: `z = ca·a + cb·b + constant`, soft-capped.
#[inline(always)]
fn combine(lanes: &mut [f32], a: &[f32], b: &[f32], (ca, cb): (f32, f32), c: &[f32], cap: Option<f32>) {
    for (((z, a), b), c) in lanes.iter_mut().zip(a).zip(b).zip(c) {
        *z = ca * a + cb * b + c;
    }
    if let Some(cap) = cap {
        for z in lanes {
            *z = cap * (*z / cap).tanh();
        }
    }
}

/// Running log-sum-exp over chunks of lanes.
#[derive(Clone, Copy)]
struct LogSumExp {
    max: f32,
    sum: f64,
}

impl LogSumExp {
    const EMPTY: Self = Self { max: f32::NEG_INFINITY, sum: 0.0 };

    #[inline(always)]
    fn push(&mut self, lanes: &[f32]) {
        let max = maximum(lanes);
        if max > self.max {
            self.sum *= f64::from(self.max - max).exp();
            self.max = max;
        }
        let mut sums = [0f32; 16];
        let mut groups = lanes.chunks_exact(16);
        for group in &mut groups {
            for (sum, z) in sums.iter_mut().zip(group) {
                *sum += exp(z - self.max);
            }
        }
        let rest: f32 = groups.remainder().iter().map(|z| exp(z - self.max)).sum();
        self.sum += f64::from(sums.iter().sum::<f32>() + rest);
    }

    fn value(self) -> f64 {
        f64::from(self.max) + self.sum.ln()
    }
}

/// The largest lane, found sixteen at a time.
#[inline(always)]
fn maximum(lanes: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; 16];
    let mut groups = lanes.chunks_exact(16);
    for group in &mut groups {
        for (best, z) in best.iter_mut().zip(group) {
            *best = if *z > *best { *z } else { *best };
        }
    }
    groups.remainder().iter().chain(&best).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Log-sum-exp of the logits `G(x) / s_x + c`.
///
/// - `logits`: `G(x)`; `inverse_scale`: `1 / s_x`
#[inline(always)]
pub fn log_sum_exp(logits: &[f32], inverse_scale: f32, constants: &HeadConstants) -> f64 {
    let mut lanes = [0f32; LANES];
    let mut total = LogSumExp::EMPTY;
    for (x, c) in logits.chunks(LANES).zip(constants.constant.chunks(LANES)) {
        let lanes = &mut lanes[..x.len()];
        combine(lanes, x, x, (inverse_scale, 0.0), c, constants.soft_cap);
        total.push(lanes);
    }
    total.value()
}

/// One (position, feature) pair.
pub struct Pair<'a> {
    /// `G(x)`.
    pub x_logits: &'a [f32],
    /// `G(d)`.
    pub d_logits: &'a [f32],
    /// 1 / s_x, 1 / s_{x'}.
    pub inverse_scales: (f32, f32),
    /// Activation of the feature.
    pub act: f32,
    /// Log-sum-exp of the logits with the feature.
    pub log_sum_exp: f64,
    /// The token after the position.
    pub token_id: usize,
    /// Of the head.
    pub constants: &'a HeadConstants,
}

impl Pair<'_> {
    /// Loss effect and change of probability of the token; fills the hover lists.
    #[inline(always)]
    pub fn ablate(&self, boosted: &mut [(u32, f32)], suppressed: &mut [(u32, f32)]) -> (f32, f32) {
        let (with, without) = self.inverse_scales;
        boosted.fill((0, f32::NEG_INFINITY));
        suppressed.fill((0, f32::INFINITY));
        let (mut z, mut change) = ([0f32; LANES], [0f32; LANES]);
        let mut total = LogSumExp::EMPTY;
        let (mut token_without, mut token_change) = (0f32, 0f32);
        for start in (0..self.x_logits.len()).step_by(LANES) {
            let end = (start + LANES).min(self.x_logits.len());
            let (x, d) = (&self.x_logits[start..end], &self.d_logits[start..end]);
            let c = &self.constants.constant[start..end];
            let (z, change) = (&mut z[..end - start], &mut change[..end - start]);
            combine(z, x, d, (without, -self.act * without), c, self.constants.soft_cap);
            if self.constants.soft_cap.is_some() {
                combine(change, x, d, (with, 0.0), c, self.constants.soft_cap);
                change.iter_mut().zip(z.iter()).for_each(|(change, z)| *change -= z);
            } else {
                // The difference of the two combinations, written out: subtracting them would lose digits.
                for ((change, x), d) in change.iter_mut().zip(x).zip(d) {
                    *change = (with - without) * x + self.act * without * d;
                }
            }
            total.push(z);
            keep_extremes(change, start, boosted, suppressed);
            if (start..end).contains(&self.token_id) {
                (token_without, token_change) = (z[self.token_id - start], change[self.token_id - start]);
            }
        }
        // lp - lp' = (z - z') - (lse - lse')
        let shift = (self.log_sum_exp - total.value()) as f32;
        boosted.iter_mut().chain(suppressed.iter_mut()).for_each(|entry| entry.1 -= shift);
        let loss = -(token_change - shift);
        let log_prob_without = f64::from(token_without) - total.value();
        let prob_without = log_prob_without.exp();
        let prob_change = prob_without * f64::from(-loss).exp_m1();
        (loss, prob_change as f32)
    }
}

/// Enters the largest and smallest of `values` into sorted lists. Most chunks hold none: one comparison each.
#[inline(always)]
fn keep_extremes(values: &[f32], first: usize, largest: &mut [(u32, f32)], smallest: &mut [(u32, f32)]) {
    let mut group_start = first;
    for group in values.chunks(64) {
        let high = maximum(group);
        let low = group.iter().fold(f32::INFINITY, |low, v| if *v < low { *v } else { low });
        let exceeds =
            largest.last().is_some_and(|e| high > e.1) || smallest.last().is_some_and(|e| low < e.1);
        if exceeds {
            for (i, &v) in group.iter().enumerate() {
                insert(largest, (group_start + i) as u32, v, |a, b| a > b);
                insert(smallest, (group_start + i) as u32, v, |a, b| a < b);
            }
        }
        group_start += group.len();
    }
}

#[inline(always)]
fn insert(list: &mut [(u32, f32)], token_id: u32, v: f32, before: impl Fn(f32, f32) -> bool) {
    let n = list.len();
    if n == 0 || !before(v, list[n - 1].1) {
        return;
    }
    let mut at = n - 1;
    while at > 0 && before(v, list[at - 1].1) {
        list[at] = list[at - 1];
        at -= 1;
    }
    list[at] = (token_id, v);
}
