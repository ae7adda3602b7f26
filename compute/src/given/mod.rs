//! Bundles of activations that other programs computed: probes, steering vectors, neurons, transcoders of anybody's making.
//! No model is needed: what was active where is all that most of a feature's page shows.
//!
//! A folder of [`read_folder`]'s format, which `sae_vis_rs.write_activations` writes in Python, or delphi's latents
//! ([`read_delphi`]), becomes [`Activations`]; [`bundle`] computes of them what a run computes of its own, by the same
//! stages.

mod delphi;
mod entries;
mod folder;

use std::path::Path;

use anyhow::Result;
use shared::{
    explanations::Explanation,
    health::Health,
    layout::Layout,
    manifest::{Manifest, Origin},
    vocab::Vocab,
};
use tch::Tensor;

use crate::{
    backend::MemoryBudget,
    corpus::Rows,
    exchange::{Import, Subject},
    progress::Progress,
    run::{FeatureRequest, Sources, Writes},
    store::{NeuronSums, Store},
};

pub use delphi::read_delphi;
pub use folder::read_folder;

/// What grows with the corpus is kept in memory up to so many bytes, and in temporary files beyond.
const MEMORY_BYTES: usize = 256 << 20;

/// Activations of features, and what else is known of them.
#[derive(Debug)]
pub struct Activations {
    /// What they are of.
    pub subject: Subject,
    /// Program and format that they come from.
    pub format: String,
    /// The text.
    pub rows: Rows,
    /// Its tokens' texts.
    pub vocab: Vocab,
    /// The features, ascending, by their numbers in the SAE.
    pub features: Vec<u32>,
    /// What is active where, by index of [`Activations::features`].
    pub acts: Store,
    /// Sums of the features' products with neurons; empty where nothing is known of neurons.
    pub neurons: NeuronSums,
    /// Decoder directions, `[n, d_out]`, on the host.
    pub decoder: Option<Tensor>,
    /// Logits, `[n, d_vocab]`, on the host.
    pub logits: Option<Tensor>,
    /// What people and programs say of the features.
    pub explanations: Vec<Explanation>,
}

/// Memory for activations on their way.
fn budget() -> MemoryBudget {
    MemoryBudget::new(MEMORY_BYTES)
}

/// Computes the bundle that will be at `out`.
///
/// - `layout`: what is computed, as far as it is known; the bundle's own layout shows what came of it
/// - `seed`: of every random choice
pub fn bundle(
    given: Activations,
    layout: &Layout,
    seed: u64,
    out: &Path,
    progress: &mut Progress,
) -> Result<Manifest> {
    let _no_grad = tch::no_grad_guard();
    let mut import = Import::new(out)?;
    let needs = layout.needs();
    let Activations { subject, format, rows, vocab, features, acts, neurons, decoder, logits, explanations } =
        given;
    let request =
        FeatureRequest { features: &features, needs: &needs, effects: false, seed, d_vocab: vocab.len() };
    let sources = Sources { request, rows: &rows, acts: &acts, neurons: &neurons, acts_b: None };
    let writes = Writes::Given { decoder: decoder.as_ref(), logits: logits.as_ref() };
    import.corpus(&rows)?;
    sources.features(writes, 0..features.len(), progress, |features| {
        features.into_iter().try_for_each(|feature| import.feature(feature))
    })?;
    for explanation in explanations {
        import.explanation(explanation);
    }
    let subject = Subject {
        n_rows: Some(rows.n_rows() as u32),
        seq_len: Some(rows.seq_len() as u32),
        health: health(&acts),
        ..subject
    };
    import.finish(subject, Origin { format, own_token_ids: true }, &vocab)
}

/// What activations alone say of an SAE's health.
fn health(acts: &Store) -> Health {
    let (n_active, n_positions) = (acts.n_active(), acts.n_positions());
    let n_dead = n_active.iter().filter(|n| **n == 0).count() as u32;
    Health {
        l0: Some(n_active.iter().sum::<usize>() as f64 / n_positions.max(1) as f64),
        n_l0: Some(n_positions as u64),
        n_dead: Some(n_dead),
        n_dead_measured: Some(n_positions as u64),
        n_features: Some(n_active.len() as u32),
        ..Health::default()
    }
}
