//! What a pass left behind, as a file that another process goes on from.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{PassOutput, SaeOutput};
use crate::{
    backend::MemoryBudget,
    sections::{Mark, SectionReader, SectionWriter},
    store::{NeuronSums, ResidMeta, Residuals, Store, StoreMeta},
};

/// What the arrays of a pass mean.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    /// Of each SAE, tap after tap.
    taps: Vec<Vec<StoreMeta>>,
    resid: Vec<ResidMeta>,
    batch_rows: usize,
    rows_at_once: usize,
}

impl PassOutput {
    /// Writes all of it to the file at `path`.
    pub fn write(&self, path: &Path, mark: Mark) -> Result<()> {
        let mut file = SectionWriter::create(path)?;
        let mut taps = Vec::with_capacity(self.taps.len());
        for (t, tap) in self.taps.iter().enumerate() {
            let mut saes = Vec::with_capacity(tap.len());
            for (s, sae) in tap.iter().enumerate() {
                saes.push(sae.acts.write(&format!("{t}.{s}.acts"), &mut file)?);
                sae.neurons.write(&format!("{t}.{s}.sums"), &mut file)?;
            }
            taps.push(saes);
        }
        let mut resid = Vec::with_capacity(self.resid.len());
        for (i, part) in self.resid.iter().enumerate() {
            resid.push(part.write(&format!("resid.{i}"), &mut file)?);
        }
        let (batch_rows, rows_at_once) = (self.batch_rows, self.rows_at_once);
        file.finish(mark, &Meta { taps, resid, batch_rows, rows_at_once })
    }

    /// What was written to `path`, checked; what is long stays in the file.
    pub fn open(path: &Path, mark: &Mark, budget: &MemoryBudget) -> Result<Self> {
        let file = SectionReader::open(path, mark)?;
        let meta: Meta = file.meta()?;
        let wrong = || format!("what a pass left is not whole ({})", path.display());
        let mut taps = Vec::with_capacity(meta.taps.len());
        for (t, tap) in meta.taps.into_iter().enumerate() {
            let mut saes = Vec::with_capacity(tap.len());
            for (s, meta) in tap.into_iter().enumerate() {
                saes.push(SaeOutput {
                    acts: Store::open(&format!("{t}.{s}.acts"), meta, &file, budget).with_context(wrong)?,
                    neurons: NeuronSums::open(&format!("{t}.{s}.sums"), &file).with_context(wrong)?,
                });
            }
            taps.push(saes);
        }
        let mut resid = Vec::with_capacity(meta.resid.len());
        for (i, part) in meta.resid.iter().enumerate() {
            resid.push(Residuals::open(&format!("resid.{i}"), part, &file, budget).with_context(wrong)?);
        }
        Ok(Self { taps, resid, batch_rows: meta.batch_rows, rows_at_once: meta.rows_at_once })
    }
}
