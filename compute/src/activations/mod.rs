//! The one pass over the corpus: forward, encode, keep what is active.
//!
//! Every row goes through the model once, for any number of features and both SAEs. What remains of it is the
//! sparse activations, the sums that neurons' correlations need, and the last residuals that effects start from.
//! No dense array is larger than one batch. On a GPU what is active goes to the host; sums and residuals stay.

mod batch;
mod column;
mod floats;
mod neurons;
mod resid;
mod sparse;
mod store;
mod workers;

use anyhow::{Context as _, Result};
use tch::{Device, Kind, Tensor};

pub use batch::batch_bytes;
pub use column::Allowance;
pub use floats::{Floats, host};
pub use neurons::NeuronSums;
pub use resid::{BatchResid, Residuals};
pub use sparse::{Active, ByFeature, ByPosition};
pub use store::Store;
pub use workers::{ReadOnly, in_order, n_workers};

use batch::{Batch, Kept, Summed};

use crate::{
    corpus::Rows,
    device::{Tf32, free_bytes},
    fitting::Fitting,
    model::{HookPoint, Hooks, Model, Preprocessing},
    sae::Sae,
};

/// A model and the SAEs on one of its hook points.
#[derive(Debug)]
pub struct Subject {
    /// The language model.
    pub model: Model,
    /// Whether its f32 matrix products use TF32.
    pub tf32: bool,
    /// Hook point that both SAEs read.
    pub hook: HookPoint,
    /// What is done to its activations before the SAEs read them.
    pub preprocessing: Preprocessing,
    /// The SAE, with the chosen features only.
    pub sae: Sae,
    /// The second SAE, whole.
    pub sae_b: Option<Sae>,
    /// Token ids at which features count as inactive.
    pub skipped: Vec<i64>,
    /// Where all of it computes.
    pub device: Device,
}

/// What the pass leaves behind.
#[derive(Debug)]
pub struct Gathered {
    /// Activations of the chosen features.
    pub acts: Store,
    /// Activations of SAE B's features, in segments of the same positions.
    pub acts_b: Option<Store>,
    /// Sums for neurons' correlations.
    pub neurons: NeuronSums,
    /// Last residuals.
    pub resid: Residuals,
    /// Rows that were computed at once in the end: fewer than a batch has where memory did not suffice for all.
    pub rows_at_once: usize,
}

/// Parts of the pass that a run may not need.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether any layout shows correlated neurons.
    pub neurons: bool,
    /// Whether anything shows effects, which need the last residuals and so the layers after the hook.
    pub effects: bool,
}

/// Entries, of both SAEs together, at which a segment of the store is closed.
const SEGMENT_ENTRIES: usize = 1 << 20;
/// What a segment takes.
pub const SEGMENT_BYTES: usize = 8 * SEGMENT_ENTRIES;

/// Runs every row of `rows` through the model in batches of `batch_rows`.
///
/// Worker threads compute whole batches, this thread takes them in order, so that sums do not depend on the number
/// of workers. A batch that does not fit into memory is computed in parts. `after_batch` is told the number of rows done.
///
/// - `allowance`: bytes that what is gathered may take in memory
pub fn gather(
    subject: &Subject,
    rows: &Rows,
    batch_rows: usize,
    wanted: Wanted,
    allowance: &Allowance,
    mut after_batch: impl FnMut(usize),
) -> Result<Gathered> {
    let n_features = subject.sae.n_features();
    let d_in = subject.sae.config().d_in as usize;
    let kept = subject.kept(wanted, rows.n_positions());
    let summed_on = (kept.neurons == Some(Summed::OnDevice)).then_some(subject.device);
    let resid_on = (subject.device, kept.resid.unwrap_or_default());
    let mut gathered = Gathered {
        acts: Store::new(n_features, allowance),
        acts_b: subject.sae_b.as_ref().map(|b| Store::new(b.n_features(), allowance)),
        neurons: NeuronSums::default(),
        resid: Residuals::new(subject.model.config().d_model as usize, resid_on, allowance)?,
        rows_at_once: batch_rows,
    };
    let mut neurons = neurons::Adding::new(if wanted.neurons { n_features } else { 0 }, d_in, summed_on)?;
    let fitting = Fitting::new(batch_rows);
    in_order(
        subject,
        subject.device,
        rows.n_rows().div_ceil(batch_rows),
        |subject, i| {
            let batch = i * batch_rows..((i + 1) * batch_rows).min(rows.n_rows());
            fitting.compute(batch, |part| {
                let first = part.start * rows.seq_len();
                Batch::compute(subject, &rows.tensor(part), kept, first)
            })
        },
        |i, parts| {
            parts.into_iter().try_for_each(|part| gathered.take(part, &mut neurons))?;
            after_batch(((i + 1) * batch_rows).min(rows.n_rows()));
            Ok(())
        },
    )?;
    gathered.close_segments()?;
    gathered.neurons = neurons.finish()?;
    gathered.rows_at_once = fitting.at_once();
    Ok(gathered)
}

impl Gathered {
    fn take(&mut self, batch: Batch, neurons: &mut neurons::Adding) -> Result<()> {
        let acts = batch.acts.by_feature();
        if let Some(part) = batch.neurons {
            neurons.push(part, &acts, batch.acts.first())?;
        }
        self.acts.push(acts, batch.acts.n_positions());
        if let (Some(all), Some(part)) = (&mut self.acts_b, &batch.acts_b) {
            all.push(part.by_feature(), part.n_positions());
        }
        self.resid.push(batch.resid)?;
        let n_pending = self.acts.n_pending() + self.acts_b.as_ref().map_or(0, Store::n_pending);
        if n_pending >= SEGMENT_ENTRIES { self.close_segments() } else { Ok(()) }
    }

    fn close_segments(&mut self) -> Result<()> {
        self.acts.close_segment().context(IN_A_FILE)?;
        self.acts_b.as_mut().map_or(Ok(()), Store::close_segment).context(IN_A_FILE)
    }
}

/// What failed where a column cannot be written.
const IN_A_FILE: &str = "could not keep activations in a temporary file (TMPDIR says in which folder)";

/// Share of a GPU's free memory that residuals may take: the rest is for batches, and for effects after them.
const RESID_SHARE: usize = 2;

impl Subject {
    /// Where what is wanted is kept, by the device's free memory.
    fn kept(&self, wanted: Wanted, n_positions: usize) -> Kept {
        let free = free_bytes(self.device).unwrap_or_default();
        let (n_features, d_in) = (self.sae.n_features(), self.sae.config().d_in as usize);
        let summed = if neurons::fit(free, n_features, d_in) { Summed::OnDevice } else { Summed::OnHost };
        let fit = free / RESID_SHARE / (4 * self.model.config().d_model as usize);
        Kept {
            neurons: wanted.neurons.then_some(summed),
            resid: wanted.effects.then_some(n_positions.min(fit)),
        }
    }

    /// Which positions count: 1, or 0 at a skipped token, `[batch * pos, 1]`; `None` = all.
    fn counted(&self, tokens: &Tensor) -> Option<Tensor> {
        let at = |id: &i64| tokens.eq(*id);
        let skipped = self.skipped.iter().map(at).reduce(|a, b| a.logical_or(&b))?; // [batch, pos]
        Some(skipped.logical_not().to_kind(Kind::Float).view([-1, 1]))
    }

    /// Hook activations `[n_pos, d_in]` as the SAEs read them, and last residuals `[n_pos, d_model]`.
    ///
    /// - `tokens`: `[batch, pos]`
    /// - `to_the_end`: whether the last residual is needed; if not, the forward stops at the hook
    pub fn forward(&self, tokens: &Tensor, to_the_end: bool) -> Result<(Tensor, Tensor)> {
        let mut capture = Capture { hook: &self.hook, acts: None, to_the_end };
        let resid = {
            let _tf32 = Tf32::begin(self.tf32)?;
            self.model.forward(tokens, &mut capture)?
        };
        let acts = capture.acts.ok_or_else(|| anyhow::anyhow!("the model has no {}", self.hook))?;
        let acts = self.preprocessing.apply(&self.model, &self.hook, &acts)?;
        let flat = |t: &Tensor| t.to_kind(Kind::Float).flatten(0, 1); // [batch * pos, width]
        Ok((flat(&acts), flat(&resid)))
    }
}

/// Keeps the activation at one hook point.
struct Capture<'a> {
    hook: &'a HookPoint,
    acts: Option<Tensor>,
    to_the_end: bool,
}

impl Hooks for Capture<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        hook == self.hook
    }

    fn visit(&mut self, _hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.acts = Some(acts.shallow_clone());
        None
    }

    fn done(&self) -> bool {
        self.acts.is_some() && !self.to_the_end
    }
}
