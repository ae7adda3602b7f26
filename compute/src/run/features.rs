//! Everything about each feature, from what the pass left behind.

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    feature::{Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    histogram::Histogram,
    quantiles::Quantiles,
};
use tch::Tensor;

use super::tables::tables;
use crate::{
    activations::Gathered,
    corpus::Rows,
    model::Head,
    plan::Plan,
    progress::Progress,
    sequences::{
        Chosen, Placed, choose, effects,
        effects::{Directions, Job, Way},
        place, row_acts, sequences,
    },
    stats::{
        moments,
        top::{largest, smallest},
    },
};

/// Logits of the features whose effects are computed together take about this much memory. The more features, the more
/// of their examples share a position, whose own logits are computed once for all of them.
const TILE_BYTES: usize = 512 << 20;
/// Features whose effects are computed together, at most: their effects wait until all are there.
const TILE_FEATURES: usize = 2048;
/// A feature's examples and effects while it waits, in bytes: an estimate for 70 windows of 11 tokens.
const WAITING_BYTES: usize = 48 << 10;
/// Active entries that are read together: 16 MiB.
const ENTRIES: usize = 2 << 20;
/// Features that are put together and handed on at once.
const HANDED_ON: usize = 256;

/// Features whose effects are computed together.
fn tile(d_vocab: usize) -> usize {
    (TILE_BYTES / (4 * d_vocab.max(1))).clamp(1, TILE_FEATURES)
}

/// The most memory that `n` features take while they are computed; entries are there twice while they are sorted.
pub fn bytes(n: usize, d_vocab: usize) -> usize {
    tile(d_vocab).min(n) * (4 * d_vocab + WAITING_BYTES) + 2 * 8 * ENTRIES + effects::chunks_bytes(d_vocab)
}

/// What features are computed from, on the host.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What to compute.
    pub plan: &'a Plan,
    /// The corpus.
    pub rows: &'a Rows,
    /// What the pass left behind.
    pub gathered: &'a Gathered,
}

/// Decoder directions of the chosen features, on the device.
#[derive(Debug)]
pub struct Decoder {
    /// As the SAE has them, `[n, d_out]`.
    pub rows: Tensor,
    /// In the residual stream, `[n, d_model]`.
    pub resid: Tensor,
}

/// What a feature's own activations say.
struct OfActs {
    stats: Stats,
    quantiles: Quantiles,
    histogram: Option<Histogram>,
    sequences: Option<(Chosen, Placed)>,
}

/// One tile of features on its way.
struct Tile {
    first: usize,
    directions: Directions,
    of_acts: Vec<OfActs>,
    outcomes: effects::Outcomes,
}

impl Sources<'_> {
    /// Computes all chosen features and hands them on, ascending, some at a time.
    pub fn features(
        &self,
        head: &Head,
        decoder: &Decoder,
        progress: &mut Progress,
        mut hand_on: impl FnMut(Vec<Feature>) -> Result<()>,
    ) -> Result<()> {
        progress.begin("tables", 0, "");
        let mut all_tables = tables(*self, &decoder.rows)?;
        let n = self.plan.features.len();
        let d_vocab = self.plan.input.model_config.d_vocab as usize;
        let tile = tile(d_vocab);
        for first in (0..n).step_by(tile) {
            let n_tile = tile.min(n - first);
            progress.begin("logits", 0, "");
            let way = Way::of(head.device());
            let directions =
                Directions::new(way, head, &decoder.resid.narrow(0, first as i64, n_tile as i64))?;
            let tile = self.tile(head, directions, first..first + n_tile, progress)?;
            progress.begin("assemble", 0, "");
            for start in (0..n_tile).step_by(HANDED_ON) {
                let part = start..(start + HANDED_ON).min(n_tile);
                let tables: Vec<FeatureTables> = all_tables.drain(..part.len()).collect();
                let features = part.into_par_iter().zip(tables);
                hand_on(features.map(|(i, tables)| self.feature(&tile, i, tables)).collect())?;
            }
        }
        progress.end();
        Ok(())
    }

    /// Reads the activations of a tile's features, chooses their sequences and computes their effects.
    fn tile(
        &self,
        head: &Head,
        directions: Directions,
        features: Range<usize>,
        progress: &mut Progress,
    ) -> Result<Tile> {
        progress.begin("sequences", 0, "");
        let first = features.start;
        let (mut jobs, mut of_acts) = (Vec::new(), Vec::new());
        for range in self.gathered.acts.ranges(features, ENTRIES) {
            self.read(range, first, &mut of_acts, &mut jobs)?;
        }
        progress.begin("effects", jobs.len(), "effects");
        let n_hover = self.plan.needs.sequences.map_or(0, |s| s.top_logits_hoverdata as usize);
        let resid = &self.gathered.resid;
        let outcomes = effects::ablate(head, resid, &directions, &jobs, n_hover, |n| progress.at(n))?;
        Ok(Tile { first, directions, of_acts, outcomes })
    }

    /// What the activations of `features` say, and the effects to compute of them.
    ///
    /// - `first`: of the tile
    fn read(
        &self,
        features: Range<usize>,
        first: usize,
        of_acts: &mut Vec<OfActs>,
        jobs: &mut Vec<Job>,
    ) -> Result<()> {
        let (plan, rows, n_positions) = (self.plan, self.rows, self.rows.n_positions());
        let all = self.gathered.acts.features(features.clone())?;
        let options = plan.needs.sequences.as_ref();
        let found: Vec<(OfActs, Option<Chosen>)> = features
            .clone()
            .into_par_iter()
            .map(|i| {
                let (positions, acts) = all.of(i - features.start);
                let of_acts = OfActs {
                    stats: moments::stats(acts, n_positions),
                    quantiles: Quantiles::of(&moments::quantiles(acts, n_positions)),
                    histogram: plan.needs.acts_bins.and_then(|n| Histogram::of(acts, n as usize)),
                    sequences: None,
                };
                let seed = (plan.input.seed, plan.features[i]);
                let choose = |o| choose((positions, acts), o, rows.seq_len(), n_positions, seed);
                (of_acts, options.map(choose))
            })
            .collect();
        for (i, (mut found, chosen)) in features.clone().zip(found) {
            if let (Some(options), Some(chosen)) = (options, chosen) {
                let acts = all.of(i - features.start);
                let place = place((i - first) as u32, acts, &chosen, options, rows, plan.effects, jobs);
                found.sequences = Some((chosen, place));
            }
            of_acts.push(found);
        }
        Ok(())
    }

    /// - `i`: in the tile
    fn feature(&self, tile: &Tile, i: usize, tables: FeatureTables) -> Feature {
        let (needs, of_acts) = (&self.plan.needs, &tile.of_acts[i]);
        let logits = feature_logits(tile.directions.logits(i));
        let entry = |v: usize| TokenLogit { token_id: v as u32, logit: logits[v] };
        let n_rows = needs.logits_rows as usize;
        let logits_table = (n_rows > 0).then(|| LogitsTable {
            top: largest(&logits, n_rows).into_iter().map(entry).collect(),
            bottom: smallest(&logits, n_rows).into_iter().map(entry).collect(),
        });
        let sequences = of_acts.sequences.as_ref().map(|(chosen, placed)| {
            let n_hover = needs.sequences.map_or(0, |s| s.top_logits_hoverdata);
            sequences(chosen.clone(), row_acts(placed, &tile.outcomes, n_hover), &logits, self.rows)
        });
        Feature {
            feature: self.plan.features[tile.first + i],
            stats: of_acts.stats,
            quantiles: of_acts.quantiles.clone(),
            tables,
            acts_histogram: of_acts.histogram.clone(),
            logits_histogram: needs.logits_bins.and_then(|n| Histogram::of(&logits, n as usize)),
            logits_table,
            sequences,
        }
    }
}

/// A feature's logits: `G(d)` less its mean over the vocabulary.
pub fn feature_logits(unnormalised: &[f32]) -> Vec<f32> {
    let mean = unnormalised.iter().map(|v| f64::from(*v)).sum::<f64>() / unnormalised.len().max(1) as f64;
    unnormalised.iter().map(|v| (f64::from(*v) - mean) as f32).collect()
}
