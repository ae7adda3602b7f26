//! How much of the run's memory is left for what grows with the corpus.
//!
//! What grows with the corpus is kept in memory within a [`MemoryBudget`] and in temporary files beyond it: the resident
//! set of a run is the same whatever the number of tokens, but for the token ids themselves (4 bytes each). What is left
//! depends on batches and on features only; it is added up here and left free.

use anyhow::{Result, bail};
use bytesize::ByteSize;
use tch::Device;

use super::{Machine, features, neighbours, tables, tiles::SIDE_BY_SIDE};
use crate::{
    backend::{MemoryBudget, memory},
    pass::{Subject, TappedSae, batch_bytes},
    plan::Plan,
    store::{PRODUCT_BYTES, SEGMENT_BYTES},
};

/// What the corpus may keep in memory where the reader sets no limit. Files are written and read by position, so most of
/// the way through the system's cache: memory that the process does not own.
const DEFAULT_BYTES: usize = 64 << 20;
/// Buffers of the files written, tables and index of the features, and the allocator's own: an estimate.
const BASE_BYTES: usize = 88 << 20;

/// What the corpus may take, within `--max-memory` or, without it, 64 MiB.
pub fn of_corpus(
    plans: &[Plan],
    machine: &Machine,
    subject: &Subject,
    seq_len: usize,
) -> Result<MemoryBudget> {
    let Some(max) = plans.iter().find_map(|plan| plan.max_memory) else {
        return Ok(MemoryBudget::new(DEFAULT_BYTES));
    };
    memory::give_back();
    let used = memory::resident().unwrap_or_default();
    let products = |tapped: &TappedSae| {
        let n_products = tapped.sae.n_features() * tapped.sae.config().d_in as usize;
        if tapped.neuron_sums { PRODUCT_BYTES * n_products } else { 0 }
    };
    let neurons: usize = subject.saes().map(|(_, tapped)| products(tapped)).sum();
    let n_others = subject.saes().skip(1).map(|(_, tapped)| tapped.sae.n_features()).max();
    // The pass comes first, then tables, then features: what one has freed the next takes.
    let pass = batch_bytes(subject, machine.batch_rows * seq_len) + 2 * SEGMENT_BYTES;
    let d_vocab = plans.iter().map(|plan| plan.input.model_config.d_vocab as usize).max().unwrap_or_default();
    // One SAE's features come after another's.
    let n = plans.iter().map(|plan| plan.features.len()).max().unwrap_or_default();
    let tables = tables::bytes(n, n_others.unwrap_or_default());
    let stages = match subject.device {
        Device::Cpu => [pass, tables, features::bytes(n, d_vocab, 1)],
        _ => [pass, 0, tables + features::bytes(n, d_vocab, SIDE_BY_SIDE)],
    };
    let neighbours = neighbours::bytes(plans) + tables::bytes(n, n);
    let stages = stages.into_iter().chain((plans.len() > 1).then_some(neighbours));
    let ahead = used + neurons + BASE_BYTES + stages.max().unwrap_or_default();
    // Loading and health may have taken more than the later stages will.
    let reserved = ahead.max(memory::peak().unwrap_or_default());
    if max < reserved {
        // A rerun's own pages vary: suggest 10 % more.
        let enough = reserved + reserved / 10;
        bail!(
            "--max-memory is {}, expected at least {} for this model and these features: raise it, or choose fewer \
             --features or --batch-rows",
            text(max),
            text(enough)
        );
    }
    Ok(MemoryBudget::new(max - reserved))
}

/// A number of bytes as people read it, such as `1.5 GB`.
pub fn text(n_bytes: usize) -> String {
    ByteSize::b(n_bytes as u64).display().si().to_string()
}
