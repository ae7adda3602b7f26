//! Entries of a sparse matrix, position by position, on their way into a store.

use anyhow::{Context as _, Result, ensure};

use super::budget;
use crate::{
    interrupt,
    store::{BatchNeurons, ByPosition, IN_A_FILE, NeuronAccumulator, NeuronSums, SEGMENT_ENTRIES, Store},
};

/// An active feature at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Position of the corpus: its row times the rows' length, and the position in the row.
    pub position: i64,
    /// The feature, as an index.
    pub feature: i64,
    /// Its activation.
    pub act: f32,
}

/// Positions that are taken together.
const BATCH_POSITIONS: usize = 1 << 14;

/// Reads some rows of the neurons that stand beside the features: `[n_pos, d]`, from a position on.
pub type ReadNeurons<'a> = &'a dyn Fn(usize, usize) -> Result<BatchNeurons>;

/// A store in the making. Entries come in order of position, then of feature.
pub struct EntryTaker<'a> {
    n_features: usize,
    n_positions: usize,
    signed: bool,
    acts: Store,
    neurons: Option<(NeuronAccumulator, ReadNeurons<'a>)>,
    /// Position of the corpus that is the first of the batch.
    first: usize,
    /// Where in the batch, as `position * n_features + feature`, and the activations there.
    found: (Vec<i32>, Vec<f32>),
    last: Option<(i64, i64)>,
}

impl<'a> EntryTaker<'a> {
    /// Of `n_features` features over `n_positions` positions.
    ///
    /// - `neurons`: their number, and how they are read
    pub fn new(
        (n_features, n_positions): (usize, usize),
        signed: bool,
        neurons: Option<(usize, ReadNeurons<'a>)>,
    ) -> Result<Self> {
        ensure!(n_features > 0, "there are no features");
        ensure!(
            n_features <= i32::MAX as usize / BATCH_POSITIONS,
            "there are too many features: {n_features}"
        );
        let neurons = neurons.map(|(d, read)| Ok((NeuronAccumulator::new(n_features, d, None)?, read)));
        Ok(Self {
            n_features,
            n_positions,
            signed,
            acts: Store::new(n_features, 0, &budget()),
            neurons: neurons.transpose().map_err(|e: anyhow::Error| e)?,
            first: 0,
            found: (Vec::new(), Vec::new()),
            last: None,
        })
    }

    /// Takes an entry; one that is 0 is none.
    pub fn take(&mut self, Entry { position, feature, act }: Entry) -> Result<()> {
        let (n_positions, n_features) = (self.n_positions, self.n_features);
        ensure!(
            usize::try_from(position).is_ok_and(|at| at < n_positions),
            "an activation is at position {position}, the text has {n_positions}, counted from 0"
        );
        ensure!(
            usize::try_from(feature).is_ok_and(|at| at < n_features),
            "an activation is of feature {feature}, there are {n_features}, counted from 0"
        );
        ensure!(
            act.is_finite(),
            "the activation of feature {feature} at position {position} is {act}, no finite number"
        );
        ensure!(
            self.signed || act >= 0.0,
            "the activation of feature {feature} at position {position} is {act}: say that activations are signed, or \
             leave out what is below 0"
        );
        ensure!(
            self.last.is_none_or(|last| last < (position, feature)),
            "activations are not in order: position {position}, feature {feature} comes after position {}, feature {}",
            self.last.unwrap_or_default().0,
            self.last.unwrap_or_default().1
        );
        self.last = Some((position, feature));
        if act == 0.0 {
            return Ok(());
        }
        while position as usize >= self.first + BATCH_POSITIONS {
            self.end_batch(BATCH_POSITIONS)?;
        }
        let at = (position as usize - self.first) * n_features + feature as usize;
        self.found.0.push(at as i32);
        self.found.1.push(act);
        Ok(())
    }

    fn end_batch(&mut self, n: usize) -> Result<()> {
        interrupt::check()?;
        let (found, acts) = std::mem::take(&mut self.found);
        let mut batch = ByPosition::new(self.n_features, self.first);
        batch.extend_found(n, &found, &acts);
        let by_feature = batch.by_feature();
        if let Some((sums, read)) = &mut self.neurons {
            sums.push(read(self.first, n)?, &by_feature, self.first)?;
        }
        self.acts.push(by_feature, n);
        self.first += n;
        if self.acts.n_pending() >= SEGMENT_ENTRIES {
            self.acts.close_segment().context(IN_A_FILE)?;
        }
        Ok(())
    }

    /// The store, and the sums of neurons.
    pub fn finish(mut self) -> Result<(Store, NeuronSums)> {
        while self.first < self.n_positions {
            self.end_batch(BATCH_POSITIONS.min(self.n_positions - self.first))?;
        }
        self.acts.close_segment().context(IN_A_FILE)?;
        let neurons = self.neurons.map(|(sums, _)| sums.finish()).transpose()?;
        Ok((self.acts, neurons.unwrap_or_default()))
    }
}
