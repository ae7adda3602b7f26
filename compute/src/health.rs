//! How well the SAE fits the model: explained variance, and the loss with activations replaced.
//!
//! Measured on the first few thousand tokens: wrong activations (another model, another hook point, a missing
//! centering) show at once, and are the commonest fault of every tool of this kind.

use std::ops::Range;

use anyhow::Result;
use shared::manifest::Health;
use tch::{Kind, Tensor};

use crate::{
    backend::oom::Backoff,
    corpus::Rows,
    model::{HookPoint, Hooks},
    pass::Subject,
};

/// Tokens on which health is measured, at most.
const MEASURED_TOKENS: usize = 4096;
/// Tokens measured at once, at most: their logits over the whole vocabulary are in memory.
const TOKENS_AT_ONCE: usize = 2048;

/// What takes the place of the activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replacement {
    Nothing,
    Reconstruction,
    Zero,
}

/// Measures a subject whose SAE has all its features. L0 and dead features are those of the measured positions; a
/// run replaces them by those of its whole corpus.
///
/// - `hook_out`: where the SAE writes; the hook point that it reads, unless it is a transcoder
pub fn measure(subject: &Subject, hook_out: HookPoint, rows: &Rows, batch_rows: usize) -> Result<Health> {
    let n_rows = (MEASURED_TOKENS / rows.seq_len()).clamp(1, rows.n_rows());
    let batch_rows = batch_rows.min((TOKENS_AT_ONCE / rows.seq_len()).max(1));
    let parts = Backoff::new(batch_rows)
        .in_parts(0..n_rows, |rows_of_part| Measured::of(subject, hook_out, rows, rows_of_part))?;
    let mut all = Measured::default();
    for part in parts {
        all.add(part);
    }
    let n = (n_rows * rows.seq_len()) as f64;
    let mean_square = all.sum.map_or(0.0, |s| (s / n).square().sum(Kind::Double).double_value(&[]));
    let variance = all.squares - n * mean_square;
    let n_predicted = (n_rows * (rows.seq_len() - 1)) as f64;
    let finite = |v: f64| v.is_finite().then_some(v);
    Ok(Health {
        n_measured: n as u64,
        explained_variance: finite(1.0 - all.error / variance),
        loss: finite(all.losses[0] / n_predicted),
        loss_reconstructed: finite(all.losses[1] / n_predicted),
        loss_zeroed: finite(all.losses[2] / n_predicted),
        l0: Some(all.n_active / n),
        n_l0: Some(n as u64),
        n_dead: all.alive.map(|a| a.logical_not().sum(Kind::Int64).int64_value(&[]) as u32),
        n_dead_measured: Some(n as u64),
        n_features: Some(subject.sae.config().d_sae as u32),
        acts_norm: finite(all.norms[0] / n),
        reconstruction_norm: finite(all.norms[1] / n),
        decoder_norm: finite(mean_norm(&subject.sae.decoder())),
    })
}

/// What is summed over rows.
#[derive(Debug, Default)]
struct Measured {
    /// Losses with nothing replaced, the reconstruction, and zeros.
    losses: [f64; 3],
    /// Σ |output − target|².
    error: f64,
    /// Σ target, `[d]`.
    sum: Option<Tensor>,
    /// Σ |target|².
    squares: f64,
    /// Σ |target| and Σ |output|.
    norms: [f64; 2],
    /// Active features of all positions.
    n_active: f64,
    /// Features active anywhere, `[d_sae]`.
    alive: Option<Tensor>,
}

impl Measured {
    fn of(subject: &Subject, hook_out: HookPoint, rows: &Rows, part: Range<usize>) -> Result<Self> {
        let tokens = rows.tensor(part).to(subject.device);
        let mut measured = Self::default();
        let with = [Replacement::Nothing, Replacement::Reconstruction, Replacement::Zero];
        for (total, with) in measured.losses.iter_mut().zip(with) {
            let mut splice = Splice { subject, hook_out, with, read: None, target: None, out: None };
            let resid = subject.model.forward(&tokens, &mut splice)?;
            *total = loss(subject, &resid, &tokens);
            if let Some(out) = splice.out {
                (measured.error, measured.norms) = (out.error, out.norms);
                let active = out.features.gt(0.0); // [n_pos, d_sae]
                measured.n_active = active.sum(Kind::Double).double_value(&[]);
                measured.alive = Some(active.any_dim(0, false));
            }
            if let (Replacement::Nothing, Some(target)) = (with, splice.target) {
                let target = target.to_kind(Kind::Double).flatten(0, 1); // [n_pos, d]
                measured.squares = target.square().sum(Kind::Double).double_value(&[]);
                measured.sum = Some(target.sum_dim_intlist(0, false, Kind::Double));
            }
        }
        Ok(measured)
    }

    fn add(&mut self, other: Self) {
        let pairs = self.losses.iter_mut().zip(other.losses).chain(self.norms.iter_mut().zip(other.norms));
        pairs.for_each(|(sum, other)| *sum += other);
        self.error += other.error;
        self.squares += other.squares;
        self.n_active += other.n_active;
        let joined = |a: &mut Option<Tensor>, b: Option<Tensor>, join: fn(&Tensor, &Tensor) -> Tensor| {
            *a = match (a.take(), b) {
                (Some(a), Some(b)) => Some(join(&a, &b)),
                (a, b) => a.or(b),
            };
        };
        joined(&mut self.sum, other.sum, |a, b| a + b);
        joined(&mut self.alive, other.alive, Tensor::logical_or);
    }
}

/// Sum over all tokens but each row's first of the loss, nats.
///
/// - `resid`: `[batch, pos, d_model]`; `tokens`: `[batch, pos]`
fn loss(subject: &Subject, resid: &Tensor, tokens: &Tensor) -> f64 {
    let n = tokens.size()[1] - 1;
    let logits = subject.model.head().logits(&resid.narrow(1, 0, n)); // [batch, pos - 1, d_vocab]
    let log_probs = logits.log_softmax(-1, Kind::Float);
    let next = tokens.narrow(1, 1, n).unsqueeze(-1); // [batch, pos - 1, 1]
    -log_probs.gather(-1, &next, false).sum(Kind::Double).double_value(&[])
}

/// Replaces what the SAE writes, and measures its error.
struct Splice<'a> {
    subject: &'a Subject,
    hook_out: HookPoint,
    with: Replacement,
    /// Activations that the SAE read.
    read: Option<Tensor>,
    /// Activations that its output should equal.
    target: Option<Tensor>,
    /// What the SAE made of them.
    out: Option<Reconstructed>,
}

/// A batch, encoded and decoded.
struct Reconstructed {
    /// Σ |output − target|².
    error: f64,
    /// Σ |target| and Σ |output|.
    norms: [f64; 2],
    /// `[n_pos, d_sae]`
    features: Tensor,
}

/// Σ of the Euclidean norms along the last axis.
fn sum_norms(x: &Tensor) -> f64 {
    x.square().sum_dim_intlist(-1, false, Kind::Float).sqrt().sum(Kind::Double).double_value(&[])
}

fn mean_norm(rows: &Tensor) -> f64 {
    sum_norms(&rows.to_kind(Kind::Float)) / rows.size()[0] as f64
}

impl Hooks for Splice<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        *hook == self.subject.hook || *hook == self.hook_out
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        let subject = self.subject;
        let prepared = subject.preprocessing.apply(&subject.model, hook, acts).ok()?;
        if *hook == subject.hook {
            self.read = Some(prepared.shallow_clone());
        }
        if *hook != self.hook_out {
            return None;
        }
        let (output, features) = match self.with {
            Replacement::Nothing => {
                self.target = Some(prepared);
                return None;
            }
            Replacement::Zero => return Some(acts.zeros_like()),
            Replacement::Reconstruction => {
                let read = self.read.as_ref()?.to_kind(Kind::Float);
                let features = subject.sae.encode(&read); // [batch, pos, d_sae]
                (subject.sae.decode(&features, &read), features)
            }
        };
        let target = prepared.to_kind(Kind::Float);
        let norms = [sum_norms(&target), sum_norms(&output)];
        let difference = output - target;
        let error = difference.square().sum(Kind::Double).double_value(&[]);
        self.out = Some(Reconstructed { error, norms, features: features.flatten(0, 1) });
        // What preprocessing took away is put back.
        Some((acts + difference).to_kind(acts.kind()))
    }
}
