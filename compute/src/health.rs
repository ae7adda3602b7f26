//! How well the SAE fits the model: explained variance, and the loss with activations replaced.
//!
//! Measured on the first few thousand tokens: wrong activations (another model, another hook point, a missing
//! centering) show at once, and are the commonest fault of every tool of this kind.

use std::ops::Range;

use anyhow::{Error, Result, bail};
use shared::manifest::Health;
use tch::{Kind, TchError, Tensor};

use crate::{
    backend::oom::Backoff,
    corpus::Rows,
    model::{HookPoint, Hooks},
    pass::{Subject, Tap, TappedSae},
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

/// Measures an SAE that has all its features. L0 and dead features are those of the measured positions; a
/// run replaces them by those of its whole corpus.
///
/// Positions at which the SAE's features count as inactive are left out, and left as they are.
///
/// - `tap`, `tapped`: of the subject; the SAE is one of the tap's
pub fn measure(
    subject: &Subject,
    (tap, tapped): (&Tap, &TappedSae),
    rows: &Rows,
    batch_rows: usize,
) -> Result<Health> {
    let measured = Measurement { subject, tap, tapped };
    let n_rows = (MEASURED_TOKENS / rows.seq_len()).clamp(1, rows.n_rows());
    let batch_rows = batch_rows.min((TOKENS_AT_ONCE / rows.seq_len()).max(1));
    let parts =
        Backoff::new(batch_rows).in_parts(0..n_rows, |rows_of_part| measured.totals(rows, rows_of_part))?;
    let mut all = Totals::default();
    for part in parts {
        all.add(part)?;
    }
    let n = all.n_counted;
    let mean_square = match &all.sum {
        Some(sum) => total_of(&sum.f_div_scalar(n)?.f_square()?)?,
        None => 0.0,
    };
    let variance = all.squares - n * mean_square;
    let n_predicted = (n_rows * (rows.seq_len() - 1)) as f64;
    let n_dead = match &all.alive {
        Some(alive) => Some(total_of(&alive.f_logical_not()?)? as u32),
        None => None,
    };
    let finite = |v: f64| v.is_finite().then_some(v);
    Ok(Health {
        n_measured: n as u64,
        explained_variance: finite(1.0 - all.error / variance),
        loss: finite(all.losses[0] / n_predicted),
        loss_reconstructed: finite(all.losses[1] / n_predicted),
        loss_zeroed: finite(all.losses[2] / n_predicted),
        l0: Some(all.n_active / n),
        n_l0: Some(n as u64),
        n_dead,
        n_dead_measured: Some(n as u64),
        n_features: Some(tapped.sae.config().d_sae as u32),
        acts_norm: finite(all.norms[0] / n),
        reconstruction_norm: finite(all.norms[1] / n),
        decoder_norm: finite(mean_norm(&tapped.sae.decoder()?)?),
    })
}

/// What is measured.
#[derive(Clone, Copy)]
struct Measurement<'a> {
    subject: &'a Subject,
    tap: &'a Tap,
    tapped: &'a TappedSae,
}

/// What is summed over rows.
#[derive(Debug, Default)]
struct Totals {
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
    /// Positions that count.
    n_counted: f64,
    /// Active features of all positions.
    n_active: f64,
    /// Features active anywhere, `[d_sae]`.
    alive: Option<Tensor>,
}

impl Measurement<'_> {
    fn totals(self, rows: &Rows, part: Range<usize>) -> Result<Totals> {
        let subject = self.subject;
        let tokens = rows.tensor(part).f_to(subject.device)?;
        let counted = match self.tapped.counted(&tokens)? {
            Some(counted) => counted,
            None => Tensor::f_ones([tokens.numel() as i64, 1], (Kind::Float, subject.device))?,
        };
        let size = tokens.size();
        let counted = counted.f_view([size[0], size[1], 1])?; // [batch, pos, 1]
        let mut totals = Totals { n_counted: total_of(&counted)?, ..Totals::default() };
        let with = [Replacement::Nothing, Replacement::Reconstruction, Replacement::Zero];
        for (total, with) in totals.losses.iter_mut().zip(with) {
            let mut splice = Splice {
                of: self,
                with,
                counted: &counted,
                read: None,
                target: None,
                out: None,
                error: None,
            };
            let resid = subject.model.forward(&tokens, &mut splice)?;
            if let Some(error) = splice.error {
                return Err(error);
            }
            *total = loss(subject, &resid, &tokens)?;
            if let Some(out) = splice.out {
                (totals.error, totals.norms) = (out.error, out.norms);
                let active = out.acts.f_abs()?.f_gt(0.0)?; // [n_pos, d_sae]
                totals.n_active = total_of(&active)?;
                totals.alive = Some(active.f_any_dim(0, false)?);
            }
            if let (Replacement::Nothing, Some(target)) = (with, splice.target) {
                let target = target.f_to_kind(Kind::Double)?.f_mul(&counted)?.f_flatten(0, 1)?; // [n_pos, d]
                totals.squares = total_of(&target.f_square()?)?;
                totals.sum = Some(target.f_sum_dim_intlist(0, false, Kind::Double)?);
            }
        }
        Ok(totals)
    }
}

/// Joins what was found in two parts.
type Join = fn(&Tensor, &Tensor) -> Result<Tensor, TchError>;

impl Totals {
    fn add(&mut self, other: Self) -> Result<()> {
        let pairs = self.losses.iter_mut().zip(other.losses).chain(self.norms.iter_mut().zip(other.norms));
        pairs.for_each(|(sum, other)| *sum += other);
        self.error += other.error;
        self.n_counted += other.n_counted;
        self.squares += other.squares;
        self.n_active += other.n_active;
        let joined = |a: &mut Option<Tensor>, b: Option<Tensor>, join: Join| {
            *a = match (a.take(), b) {
                (Some(a), Some(b)) => Some(join(&a, &b)?),
                (a, b) => a.or(b),
            };
            Ok::<_, TchError>(())
        };
        joined(&mut self.sum, other.sum, Tensor::f_add)?;
        joined(&mut self.alive, other.alive, Tensor::f_logical_or)?;
        Ok(())
    }
}

/// The sum of all values.
fn total_of(values: &Tensor) -> Result<f64, TchError> {
    values.f_sum(Kind::Double)?.f_double_value(&[])
}

/// Sum over all tokens but each row's first of the loss, nats.
///
/// - `resid`: `[batch, pos, d_model]`; `tokens`: `[batch, pos]`
fn loss(subject: &Subject, resid: &Tensor, tokens: &Tensor) -> Result<f64> {
    let n = tokens.size()[1] - 1;
    let logits = subject.model.head().logits(&resid.f_narrow(1, 0, n)?)?; // [batch, pos - 1, d_vocab]
    let log_probs = logits.f_log_softmax(-1, Kind::Float)?;
    let next = tokens.f_narrow(1, 1, n)?.f_unsqueeze(-1)?; // [batch, pos - 1, 1]
    Ok(-total_of(&log_probs.f_gather(-1, &next, false)?)?)
}

/// Replaces what the SAE writes, and measures its error.
struct Splice<'a> {
    of: Measurement<'a>,
    with: Replacement,
    /// 1 where the SAE is measured, 0 where its features count as inactive: `[batch, pos, 1]`.
    counted: &'a Tensor,
    /// Activations that the SAE read.
    read: Option<Tensor>,
    /// Activations that its output should equal.
    target: Option<Tensor>,
    /// What the SAE made of them.
    out: Option<Reconstruction>,
    /// Why a visit failed.
    error: Option<Error>,
}

/// A batch, encoded and decoded.
struct Reconstruction {
    /// Σ |output − target|².
    error: f64,
    /// Σ |target| and Σ |output|.
    norms: [f64; 2],
    /// `[n_pos, d_sae]`
    acts: Tensor,
}

/// Σ of the Euclidean norms along the last axis.
fn sum_norms(x: &Tensor) -> Result<f64, TchError> {
    total_of(&x.f_square()?.f_sum_dim_intlist(-1, false, Kind::Float)?.f_sqrt()?)
}

fn mean_norm(rows: &Tensor) -> Result<f64, TchError> {
    Ok(sum_norms(&rows.f_to_kind(Kind::Float)?)? / rows.size()[0] as f64)
}

impl Hooks for Splice<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        *hook == self.of.tap.hook || *hook == self.of.tapped.hook_out
    }

    fn visit(&mut self, hook: &HookPoint, hook_acts: &Tensor) -> Option<Tensor> {
        self.replacement(hook, hook_acts).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            None
        })
    }

    fn done(&self) -> bool {
        self.error.is_some()
    }
}

impl Splice<'_> {
    /// What takes the place of `hook_acts`; `None` leaves them.
    fn replacement(&mut self, hook: &HookPoint, hook_acts: &Tensor) -> Result<Option<Tensor>> {
        let Measurement { subject, tap, tapped } = self.of;
        let prepared = tap.preprocessing.apply(&subject.model, hook, hook_acts)?;
        if *hook == tap.hook {
            self.read = Some(prepared.shallow_clone());
        }
        if *hook != tapped.hook_out {
            return Ok(None);
        }
        let (output, acts) = match (self.with, &self.read) {
            (Replacement::Nothing, _) => {
                self.target = Some(prepared);
                return Ok(None);
            }
            (Replacement::Zero, _) => {
                let left = self.counted.f_neg()?.f_add_scalar(1.0)?;
                return Ok(Some(hook_acts.f_mul(&left)?.f_to_kind(hook_acts.kind())?));
            }
            (Replacement::Reconstruction, None) => {
                bail!("{} comes before {}, which the SAE reads", tapped.hook_out, tap.hook)
            }
            (Replacement::Reconstruction, Some(read)) => {
                let read = read.f_to_kind(Kind::Float)?;
                let acts = tapped.sae.encode(&read)?; // [batch, pos, d_sae]
                (tapped.sae.decode(&acts, &read)?, acts)
            }
        };
        let target = prepared.f_to_kind(Kind::Float)?;
        let norms = [sum_norms(&target.f_mul(self.counted)?)?, sum_norms(&output.f_mul(self.counted)?)?];
        let difference = output.f_sub(&target)?.f_mul(self.counted)?;
        let error = total_of(&difference.f_square()?)?;
        self.out = Some(Reconstruction { error, norms, acts: acts.f_mul(self.counted)?.f_flatten(0, 1)? });
        // What preprocessing took away is put back.
        Ok(Some(hook_acts.f_add(&difference)?.f_to_kind(hook_acts.kind())?))
    }
}
