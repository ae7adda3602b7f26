//! Runs batches of rows through the model, and gathers what is kept of each.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use tch::{Device, Tensor};

use super::{
    batch::{Batch, BatchNeeds, SaeBatch, SumsOn},
    subject::{Subject, TappedSae},
};
use crate::{
    backend::{MemoryBudget, free_bytes, in_order, oom::Backoff},
    corpus::Rows,
    store::{IN_A_FILE, NeuronAccumulator, NeuronSums, Residuals, SEGMENT_ENTRIES, Store, sums_fit},
};

/// What the pass leaves behind.
#[derive(Debug)]
pub struct PassOutput {
    /// Of each tap.
    pub taps: Vec<TapOutput>,
    /// Last residuals, where they are needed; of each range of batches that was computed apart.
    pub resid: Vec<Residuals>,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Rows that were computed at once in the end: fewer than a batch has where memory did not suffice for all.
    pub rows_at_once: usize,
}

/// What the pass leaves behind of each SAE of a tap.
pub type TapOutput = Vec<SaeOutput>;

/// What the pass leaves behind of an SAE.
#[derive(Debug)]
pub struct SaeOutput {
    /// Activations of the chosen features; all SAEs' are in segments of the same positions.
    pub acts: Store,
    /// Sums for correlations with the tap's neurons, where they are needed.
    pub neurons: NeuronSums,
}

/// Batches of the corpus, and what is to be kept of them.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// The corpus.
    pub rows: &'a Rows,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Batches to compute.
    pub batches: Range<usize>,
    /// Whether the last residuals are kept, which effects start from; the layers after the last tap run only for them.
    pub resid: bool,
    /// Whether features are correlated with neurons, those of SAEs for which that is wanted.
    pub neuron_sums: bool,
}

impl<'a> Pass<'a> {
    /// A pass over all of `rows`.
    pub fn whole(rows: &'a Rows, batch_rows: usize) -> Self {
        let batches = 0..rows.n_rows().div_ceil(batch_rows);
        Self { rows, batch_rows, batches, resid: true, neuron_sums: true }
    }

    /// Rows of batch `i`.
    fn batch(&self, i: usize) -> Range<usize> {
        (i * self.batch_rows).min(self.rows.n_rows())..((i + 1) * self.batch_rows).min(self.rows.n_rows())
    }

    /// Rows of all batches.
    pub fn all_rows(&self) -> Range<usize> {
        self.batch(self.batches.start).start..self.batch(self.batches.end.saturating_sub(1)).end
    }

    /// Runs the batches through the model, once for all SAEs.
    ///
    /// Worker threads compute whole batches, this thread takes them in order. A batch that does not fit into memory is
    /// computed in parts. `after_batch` is told the number of rows done.
    ///
    /// - `budget`: bytes that the output may take in memory
    pub fn run(
        &self,
        subject: &Subject,
        budget: &MemoryBudget,
        mut after_batch: impl FnMut(usize),
    ) -> Result<PassOutput> {
        let (rows, all_rows) = (self.rows, self.all_rows());
        let first_position = all_rows.start * rows.seq_len();
        let needs = self.needs(subject);
        let mut gathered = OutputBuilder::new(subject, first_position, needs, budget)?;
        let backoff = Backoff::new(self.batch_rows);
        in_order(
            subject,
            subject.device,
            self.batches.len(),
            |subject, i| {
                backoff.in_parts(self.batch(self.batches.start + i), |part| {
                    let first = part.start * rows.seq_len();
                    let batch =
                        Batch::compute(subject, &rows.tensor(part), needs, (first, first - first_position))?;
                    // A device is asked once, at the end: its answer would hold up the next batch.
                    if subject.device == Device::Cpu {
                        check_finite(&batch.first_not_finite, subject, rows)?;
                    }
                    Ok(batch)
                })
            },
            |i, parts| {
                parts.into_iter().try_for_each(|part| gathered.take(part))?;
                after_batch(self.batch(self.batches.start + i).end - all_rows.start);
                Ok(())
            },
        )?;
        let output = gathered.finish(subject, rows, backoff.at_once())?;
        Ok(PassOutput { batch_rows: self.batch_rows, ..output })
    }

    /// Where what is needed is kept, by the device's free memory.
    fn needs(&self, subject: &Subject) -> BatchNeeds {
        let free = free_bytes(subject.device).unwrap_or_default();
        let n_products = |(_, tapped): (_, &TappedSae)| {
            if tapped.neuron_sums { tapped.sae.n_features() * tapped.sae.config().d_in as usize } else { 0 }
        };
        let n_products = subject.saes().map(n_products).sum();
        let n_positions = self.all_rows().len() * self.rows.seq_len();
        let fit = free / RESID_SHARE / (4 * subject.model.config().d_model as usize);
        BatchNeeds {
            sums_on: match (self.neuron_sums, sums_fit(free, n_products)) {
                (false, _) => None,
                (true, false) => Some(SumsOn::Host),
                (true, true) => Some(SumsOn::Device),
            },
            resid: self.resid.then_some(n_positions.min(fit)),
        }
    }
}

/// Share of a GPU's free memory that residuals may take: the rest is for batches, and for effects after them.
const RESID_SHARE: usize = 2;

/// The output while batches are taken.
struct OutputBuilder {
    output: PassOutput,
    /// Of each SAE, tap after tap; `None` where they are not needed.
    neurons: Vec<Option<NeuronAccumulator>>,
    /// The position of the corpus where each tap's activations were first not finite: i64, `[n_taps]`.
    first_not_finite: Option<Tensor>,
    resid: Residuals,
}

impl OutputBuilder {
    fn new(
        subject: &Subject,
        first_position: usize,
        needs: BatchNeeds,
        budget: &MemoryBudget,
    ) -> Result<Self> {
        let summed_on = (needs.sums_on == Some(SumsOn::Device)).then_some(subject.device);
        let resid_on = (subject.device, needs.resid.unwrap_or_default());
        let d_model = subject.model.config().d_model as usize;
        let output = |tapped: &TappedSae| SaeOutput {
            acts: Store::new(tapped.sae.n_features(), first_position, budget),
            neurons: NeuronSums::default(),
        };
        let sums = |(_, tapped): (_, &TappedSae)| {
            let (n_features, d_in) = (tapped.sae.n_features(), tapped.sae.config().d_in as usize);
            (needs.sums_on.is_some() && tapped.neuron_sums)
                .then(|| NeuronAccumulator::new(n_features, d_in, summed_on))
                .transpose()
        };
        Ok(Self {
            output: PassOutput {
                taps: subject.taps.iter().map(|tap| tap.saes.iter().map(output).collect()).collect(),
                resid: Vec::new(),
                batch_rows: 0,
                rows_at_once: 0,
            },
            neurons: subject.saes().map(sums).collect::<Result<_, _>>()?,
            first_not_finite: None,
            resid: Residuals::new(d_model, first_position, resid_on, budget)?,
        })
    }

    fn take(&mut self, batch: Batch) -> Result<()> {
        self.first_not_finite = Some(match self.first_not_finite.take() {
            Some(first) => first.f_minimum(&batch.first_not_finite)?,
            None => batch.first_not_finite,
        });
        let saes = self.output.taps.iter_mut().flatten().zip(&mut self.neurons);
        let mut n_pending = 0;
        for ((output, neurons), SaeBatch { acts, neurons: part }) in
            saes.zip(batch.taps.into_iter().flatten())
        {
            let by_feature = acts.by_feature();
            if let (Some(neurons), Some(part)) = (neurons, part) {
                neurons.push(part, &by_feature, acts.first())?;
            }
            output.acts.push(by_feature, acts.n_positions());
            n_pending += output.acts.n_pending();
        }
        self.resid.push(batch.resid)?;
        if n_pending >= SEGMENT_ENTRIES { self.close_segments() } else { Ok(()) }
    }

    fn close_segments(&mut self) -> Result<()> {
        let mut saes = self.output.taps.iter_mut().flatten();
        saes.try_for_each(|sae| sae.acts.close_segment()).context(IN_A_FILE)
    }

    fn finish(mut self, subject: &Subject, rows: &Rows, rows_at_once: usize) -> Result<PassOutput> {
        self.close_segments()?;
        if let Some(first) = &self.first_not_finite {
            check_finite(first, subject, rows)?;
        }
        for (output, neurons) in self.output.taps.iter_mut().flatten().zip(self.neurons) {
            output.neurons = neurons.map(NeuronAccumulator::finish).transpose()?.unwrap_or_default();
        }
        Ok(PassOutput { resid: vec![self.resid], rows_at_once, ..self.output })
    }
}

impl PassOutput {
    /// Appends what the batches after these left behind: the same as if all had been computed in one pass.
    pub fn append(&mut self, other: Self) -> Result<()> {
        let same = self.taps.len() == other.taps.len() && self.batch_rows == other.batch_rows;
        ensure!(same, "passes of other taps or batches cannot be joined");
        for (sae, other) in self.taps.iter_mut().flatten().zip(other.taps.into_iter().flatten()) {
            sae.acts.append(other.acts);
            sae.neurons.merge(other.neurons);
        }
        self.resid.extend(other.resid);
        self.rows_at_once = self.rows_at_once.min(other.rows_at_once);
        Ok(())
    }
}

/// Fails where a tap's activations are not finite: an SAE would make dead features of them, and no word of it.
///
/// - `first_not_finite`: see [`Batch`]
fn check_finite(first_not_finite: &Tensor, subject: &Subject, rows: &Rows) -> Result<()> {
    let positions = Vec::<i64>::try_from(first_not_finite.f_to(Device::Cpu)?)?;
    let Some((&first, tap)) = positions.iter().zip(&subject.taps).min_by_key(|(at, _)| **at) else {
        return Ok(());
    };
    let (row, pos) = (first as usize / rows.seq_len(), first as usize % rows.seq_len());
    ensure!(
        first == i64::MAX,
        "activations at {} are not finite numbers (row {row}, position {pos}): try --dtype f32, or check the model's weights",
        tap.hook
    );
    Ok(())
}
