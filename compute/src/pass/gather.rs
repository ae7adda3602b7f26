//! Runs all rows through the model, a batch at a time, and gathers what is kept of each.

use anyhow::{Context as _, Result};

use super::{
    batch::{Batch, BatchNeeds, SumsOn},
    subject::Subject,
};
use crate::{
    backend::{MemoryBudget, free_bytes, in_order, oom::Backoff},
    corpus::Rows,
    store::{IN_A_FILE, NeuronAccumulator, NeuronSums, Residuals, SEGMENT_ENTRIES, Store, sums_fit},
};

/// What the pass leaves behind.
#[derive(Debug)]
pub struct PassOutput {
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
pub struct PassNeeds {
    /// Whether any layout shows correlated neurons.
    pub neurons: bool,
    /// Whether anything shows effects, which need the last residuals and so the layers after the hook.
    pub effects: bool,
}

/// Runs every row of `rows` through the model in batches of `batch_rows`.
///
/// Worker threads compute whole batches, this thread takes them in order, so that sums do not depend on the number
/// of workers. A batch that does not fit into memory is computed in parts. `after_batch` is told the number of rows done.
///
/// - `budget`: bytes that what is gathered may take in memory
pub fn gather(
    subject: &Subject,
    rows: &Rows,
    batch_rows: usize,
    needs: PassNeeds,
    budget: &MemoryBudget,
    mut after_batch: impl FnMut(usize),
) -> Result<PassOutput> {
    let n_features = subject.sae.n_features();
    let d_in = subject.sae.config().d_in as usize;
    let kept = batch_needs(subject, needs, rows.n_positions());
    let summed_on = (kept.neurons == Some(SumsOn::Device)).then_some(subject.device);
    let resid_on = (subject.device, kept.resid.unwrap_or_default());
    let mut gathered = PassOutput {
        acts: Store::new(n_features, budget),
        acts_b: subject.sae_b.as_ref().map(|b| Store::new(b.n_features(), budget)),
        neurons: NeuronSums::default(),
        resid: Residuals::new(subject.model.config().d_model as usize, resid_on, budget)?,
        rows_at_once: batch_rows,
    };
    let mut neurons = NeuronAccumulator::new(if needs.neurons { n_features } else { 0 }, d_in, summed_on)?;
    let backoff = Backoff::new(batch_rows);
    in_order(
        subject,
        subject.device,
        rows.n_rows().div_ceil(batch_rows),
        |subject, i| {
            let batch = i * batch_rows..((i + 1) * batch_rows).min(rows.n_rows());
            backoff.in_parts(batch, |part| {
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
    gathered.rows_at_once = backoff.at_once();
    Ok(gathered)
}

impl PassOutput {
    fn take(&mut self, batch: Batch, neurons: &mut NeuronAccumulator) -> Result<()> {
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

/// Share of a GPU's free memory that residuals may take: the rest is for batches, and for effects after them.
const RESID_SHARE: usize = 2;

/// Where what is needed is kept, by the device's free memory.
fn batch_needs(subject: &Subject, needs: PassNeeds, n_positions: usize) -> BatchNeeds {
    let free = free_bytes(subject.device).unwrap_or_default();
    let (n_features, d_in) = (subject.sae.n_features(), subject.sae.config().d_in as usize);
    let summed = if sums_fit(free, n_features, d_in) { SumsOn::Device } else { SumsOn::Host };
    let fit = free / RESID_SHARE / (4 * subject.model.config().d_model as usize);
    BatchNeeds {
        neurons: needs.neurons.then_some(summed),
        resid: needs.effects.then_some(n_positions.min(fit)),
    }
}
