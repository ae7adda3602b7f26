//! Last residuals that are computed again where effects read them, so that a pass keeps none.
//!
//! Kept, they take 4 bytes times the model's width for every position of the corpus. A whole batch is computed for any row
//! of it, as the pass did: so the numbers have the same bits, whichever way they come.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::subject::Subject;
use crate::{
    backend::{Tf32, n_workers, oom::Backoff},
    corpus::Rows,
    store::ResidSource,
};

/// The residuals of a batch, once they are computed.
type Slot = Arc<Mutex<Option<Tensor>>>;

/// The last residuals of the corpus, computed a batch at a time when they are read.
#[derive(Debug)]
pub struct RecomputedResid<'a> {
    subject: &'a Subject,
    rows: &'a Rows,
    backoff: Backoff,
    batch_rows: usize,
    /// The batches last read: effects are computed in order of position, on several threads.
    recent: Mutex<VecDeque<(usize, Slot)>>,
}

#[expect(unsafe_code, reason = "a promise that the compiler cannot check")]
// SAFETY: a forward pass reads the subject's tensors and changes none; the others are made under a lock, and only read after.
unsafe impl Sync for RecomputedResid<'_> {}

impl<'a> RecomputedResid<'a> {
    /// Of `rows`, in batches of `batch_rows`, which are those of the pass.
    pub fn new(subject: &'a Subject, rows: &'a Rows, batch_rows: usize) -> Self {
        let backoff = Backoff::new(batch_rows);
        Self { subject, rows, backoff, batch_rows, recent: Mutex::default() }
    }

    /// Last residuals of batch `i`, `[n_pos, d_model]`, f32.
    fn batch(&self, i: usize) -> Result<Tensor> {
        let slot = self.slot(i);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resid) = &*slot {
            return Ok(resid.shallow_clone());
        }
        let rows = i * self.batch_rows..((i + 1) * self.batch_rows).min(self.rows.n_rows());
        let parts = self.backoff.in_parts(rows, |part| {
            let _tf32 = Tf32::begin(self.subject.tf32)?;
            let tokens = self.rows.tensor(part).f_to(self.subject.device)?;
            let resid = self.subject.model.forward(&tokens, &mut ())?; // [batch, pos, d_model]
            Ok(resid.f_to_kind(Kind::Float)?.f_flatten(0, 1)?)
        })?;
        let resid = Tensor::f_cat(&parts, 0)?;
        *slot = Some(resid.shallow_clone());
        Ok(resid)
    }

    /// Where batch `i` is, or will be: whoever locks it first computes it.
    fn slot(&self, i: usize) -> Slot {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = recent.iter().find(|(batch, _)| *batch == i) {
            return Arc::clone(slot);
        }
        if recent.len() > n_workers(self.subject.device) {
            recent.pop_front();
        }
        let slot = Slot::default();
        recent.push_back((i, Arc::clone(&slot)));
        slot
    }
}

impl ResidSource for RecomputedResid<'_> {
    fn read(&self, positions: &[u32], device: Device) -> Result<Tensor> {
        let len = self.batch_rows * self.rows.seq_len();
        let mut parts = Vec::new();
        for positions in positions.chunk_by(|a, b| *a as usize / len == *b as usize / len) {
            let batch = positions[0] as usize / len;
            let at: Vec<i64> = positions.iter().map(|p| (*p as usize - batch * len) as i64).collect();
            let at = Tensor::f_from_slice(&at)?.f_to(self.subject.device)?;
            parts.push(self.batch(batch)?.f_index_select(0, &at)?.f_to(device)?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}
