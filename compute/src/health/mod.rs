//! How well the SAE fits the model: explained variance, and the loss with activations replaced.
//!
//! Measured on the first few thousand tokens: wrong activations (another model, another hook point, a missing
//! centering) show at once, and are the commonest fault of every tool of this kind.

mod replay;

use std::ops::Range;

use anyhow::Result;
use shared::health::Health;
use tch::{Kind, TchError, Tensor};

use crate::{
    backend::oom::Backoff,
    corpus::Rows,
    model::HookPoint,
    pass::{Subject, Tap, TappedSae},
};
use replay::Replay;

/// Tokens that pass the model at once, at most.
const TOKENS_AT_ONCE: usize = 2048;

/// Measures SAEs that have all their features. L0 and dead features are those of the measured positions; a
/// run replaces them by those of its whole corpus.
///
/// Positions at which an SAE's features count as inactive are left out, and left as they are.
///
/// - `saes`: of the subject, each with its tap
/// - `n_tokens`: tokens to measure on, at most, unless a row has more: the corpus's first rows
pub fn measure(
    subject: &Subject,
    saes: &[(&Tap, &TappedSae)],
    rows: &Rows,
    n_tokens: usize,
    batch_rows: usize,
) -> Result<Vec<Health>> {
    let n_rows = (n_tokens / rows.seq_len()).clamp(1, rows.n_rows());
    let batch_rows = batch_rows.min((TOKENS_AT_ONCE / rows.seq_len()).max(1));
    let parts = Backoff::new(batch_rows).in_parts(0..n_rows, |part| totals(subject, saes, rows, part))?;
    let mut all: Vec<Totals> = saes.iter().map(|_| Totals::default()).collect();
    for part in parts {
        all.iter_mut().zip(part).try_for_each(|(all, part)| all.add(part))?;
    }
    let n_predicted = (n_rows * (rows.seq_len() - 1)) as f64;
    all.into_iter().zip(saes).map(|(totals, (_, tapped))| totals.health(tapped, n_predicted)).collect()
}

/// What is summed over the rows of a part, of each SAE.
fn totals(
    subject: &Subject,
    saes: &[(&Tap, &TappedSae)],
    rows: &Rows,
    part: Range<usize>,
) -> Result<Vec<Totals>> {
    let tokens = rows.tensor(part).f_to(subject.device)?;
    let replay = Replay::new(subject, saes, tokens.shallow_clone())?;
    let mut zeroed = Vec::new();
    saes.iter().map(|(tap, tapped)| Totals::of(&replay, (tap, tapped), &tokens, &mut zeroed)).collect()
}

/// The loss with zeros at a hook point, but where these tokens are.
type Zeroed<'a> = ((HookPoint, &'a [i64]), f64);

/// Joins what was found in two parts.
type Join = fn(&Tensor, &Tensor) -> Result<Tensor, TchError>;

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

impl Totals {
    /// - `tokens`: `[batch, pos]`
    /// - `zeroed`: losses of other SAEs that write to the same place
    fn of<'a>(
        replay: &Replay<'_>,
        (tap, tapped): (&Tap, &'a TappedSae),
        tokens: &Tensor,
        zeroed: &mut Vec<Zeroed<'a>>,
    ) -> Result<Self> {
        let counted = match tapped.counted(tokens)? {
            Some(counted) => counted,
            None => Tensor::f_ones([tokens.numel() as i64, 1], (Kind::Float, tokens.device()))?,
        };
        let size = tokens.size();
        let counted = counted.f_view([size[0], size[1], 1])?; // [batch, pos, 1]
        let (read, target, written) = replay.acts(tap, tapped)?;
        let acts = tapped.sae.encode(&read)?; // [batch, pos, d_sae]
        let output = tapped.sae.decode(&acts, &read)?;
        let active = acts.f_mul(&counted)?.f_flatten(0, 1)?.f_abs()?.f_gt(0.0)?; // [n_pos, d_sae]
        let norms = [sum_norms(&target.f_mul(&counted)?)?, sum_norms(&output.f_mul(&counted)?)?];
        let difference = output.f_sub(&target)?.f_mul(&counted)?;
        let counted_target = target.f_to_kind(Kind::Double)?.f_mul(&counted)?.f_flatten(0, 1)?; // [n_pos, d]
        // What preprocessing took away is put back.
        let spliced = written.f_add(&difference)?.f_to_kind(written.kind())?;
        let place = (tapped.hook_out, tapped.skipped.as_slice());
        let loss_zeroed = if let Some((_, loss)) = zeroed.iter().find(|(known, _)| *known == place) {
            *loss
        } else {
            let left = written.f_mul(&counted.f_neg()?.f_add_scalar(1.0)?)?.f_to_kind(written.kind())?;
            let loss = replay.loss_with(tapped.hook_out, left)?;
            zeroed.push((place, loss));
            loss
        };
        Ok(Self {
            losses: [replay.loss, replay.loss_with(tapped.hook_out, spliced)?, loss_zeroed],
            error: total_of(&difference.f_square()?)?,
            sum: Some(counted_target.f_sum_dim_intlist(0, false, Kind::Double)?),
            squares: total_of(&counted_target.f_square()?)?,
            norms,
            n_counted: total_of(&counted)?,
            n_active: total_of(&active)?,
            alive: Some(active.f_any_dim(0, false)?),
        })
    }

    /// - `n_predicted`: tokens of which the loss is
    fn health(self, tapped: &TappedSae, n_predicted: f64) -> Result<Health> {
        let n = self.n_counted;
        let mean_square = match &self.sum {
            Some(sum) => total_of(&sum.f_div_scalar(n)?.f_square()?)?,
            None => 0.0,
        };
        let variance = self.squares - n * mean_square;
        let n_dead = match &self.alive {
            Some(alive) => Some(total_of(&alive.f_logical_not()?)? as u32),
            None => None,
        };
        let finite = |v: f64| v.is_finite().then_some(v);
        Ok(Health {
            n_measured: n as u64,
            explained_variance: finite(1.0 - self.error / variance),
            loss: finite(self.losses[0] / n_predicted),
            loss_reconstructed: finite(self.losses[1] / n_predicted),
            loss_zeroed: finite(self.losses[2] / n_predicted),
            l0: Some(self.n_active / n),
            n_l0: Some(n as u64),
            n_dead,
            n_dead_measured: Some(n as u64),
            n_features: Some(tapped.sae.config().d_sae as u32),
            acts_norm: finite(self.norms[0] / n),
            reconstruction_norm: finite(self.norms[1] / n),
            decoder_norm: finite(mean_norm(&tapped.sae.decoder()?)?),
        })
    }

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

/// Σ of the Euclidean norms along the last axis.
fn sum_norms(x: &Tensor) -> Result<f64, TchError> {
    total_of(&x.f_square()?.f_sum_dim_intlist(-1, false, Kind::Float)?.f_sqrt()?)
}

fn mean_norm(rows: &Tensor) -> Result<f64, TchError> {
    Ok(sum_norms(&rows.f_to_kind(Kind::Float)?)? / rows.size()[0] as f64)
}
