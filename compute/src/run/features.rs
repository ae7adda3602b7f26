//! Everything about each feature, from what the pass left behind.

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    feature::{AlignedNeuron, Feature, FeatureTables, LogitsTable, TokenLogit},
    histogram::Histogram,
    quantiles::Quantiles,
};
use tch::Tensor;

use crate::{
    activations::{ByFeature, Gathered, to_host},
    corpus::Rows,
    model::Head,
    plan::Plan,
    progress::Progress,
    sequences::{
        Chosen, Placed, choose, effects,
        effects::{Directions, Way},
        place, row_acts, sequences,
    },
    stats::{
        correlations::{self, Partners, Sums},
        moments,
        top::{largest, smallest},
    },
};

/// Logits of the features that are computed together take about this much memory.
const TILE_BYTES: usize = 512 << 20;

/// What features are computed from, on the host.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What to compute.
    pub plan: &'a Plan,
    /// The corpus.
    pub rows: &'a Rows,
    /// What the pass left behind.
    pub gathered: &'a Gathered,
    /// Its activations, by feature.
    pub by_feature: &'a ByFeature,
}

/// Decoder directions of the chosen features, on the device.
#[derive(Debug)]
pub struct Decoder {
    /// As the SAE has them, `[n, d_out]`.
    pub rows: Tensor,
    /// In the residual stream, `[n, d_model]`.
    pub resid: Tensor,
}

/// One tile of features on its way.
struct Tile {
    first: usize,
    directions: Directions,
    chosen: Vec<Option<(Chosen, Placed)>>,
    outcomes: effects::Outcomes,
}

/// Tables that need every feature at once.
struct Tables<'a> {
    decoder: Vec<f32>,
    d_out: usize,
    sums: Vec<Sums>,
    sums_b: Vec<Sums>,
    sources: Sources<'a>,
}

impl Sources<'_> {
    /// Computes all chosen features, ascending.
    pub fn features(&self, head: &Head, decoder: &Decoder, progress: &mut Progress) -> Result<Vec<Feature>> {
        progress.begin("tables", 0, "");
        let mut alignment = Vec::new();
        to_host(&decoder.rows, &mut alignment)?;
        let sums_b = self.gathered.acts_b.as_ref().map(Sums::of_all).unwrap_or_default();
        let n = self.plan.features.len();
        let tables = Tables {
            d_out: alignment.len() / n.max(1),
            decoder: alignment,
            sums: Sums::of_all(&self.gathered.acts),
            sums_b,
            sources: *self,
        };
        let mut all_tables = tables.all();
        let d_vocab = self.plan.input.model_config.d_vocab as usize;
        let tile = (TILE_BYTES / (4 * d_vocab)).max(1);
        let mut features = Vec::with_capacity(n);
        for first in (0..n).step_by(tile) {
            let tile = tile.min(n - first);
            let directions = Directions::new(head, &decoder.resid.narrow(0, first as i64, tile as i64))?;
            let tile = self.tile(head, directions, first, tile, progress)?;
            progress.begin("assemble", 0, "");
            let tables = all_tables.drain(..tile.chosen.len()).collect::<Vec<_>>();
            features.par_extend(
                tile.chosen.par_iter().zip(tables).enumerate().map(|(i, (chosen, tables))| {
                    self.feature(tile.first + i, &tile, chosen.as_ref(), tables)
                }),
            );
        }
        progress.end();
        Ok(features)
    }

    /// Chooses the sequences of a tile's features and computes their effects.
    fn tile(
        &self,
        head: &Head,
        directions: Directions,
        first: usize,
        n: usize,
        progress: &mut Progress,
    ) -> Result<Tile> {
        progress.begin("sequences", 0, "");
        let plan = self.plan;
        let mut jobs = Vec::new();
        let mut chosen: Vec<Option<(Chosen, Placed)>> = (0..n).map(|_| None).collect();
        if let Some(options) = &plan.needs.sequences {
            let choices: Vec<Chosen> = (first..first + n)
                .into_par_iter()
                .map(|i| {
                    let seed = (plan.input.seed, plan.features[i]);
                    choose(self.by_feature.of(i), options, self.rows.seq_len(), self.rows.n_positions(), seed)
                })
                .collect();
            for (i, choice) in choices.into_iter().enumerate() {
                let acts = self.by_feature.of(first + i);
                let placed = place(i as u32, acts, &choice, options, self.rows, plan.effects, &mut jobs);
                chosen[i] = Some((choice, placed));
            }
        }
        progress.begin("effects", jobs.len(), "effects");
        let n_hover = plan.needs.sequences.map_or(0, |s| s.top_logits_hoverdata as usize);
        let (way, resid) = (Way::of(head.device()), &self.gathered.resid);
        let outcomes = effects::ablate(way, head, resid, &directions, &jobs, n_hover, |n| progress.at(n))?;
        Ok(Tile { first, directions, chosen, outcomes })
    }

    fn feature(
        &self,
        i: usize,
        tile: &Tile,
        chosen: Option<&(Chosen, Placed)>,
        tables: FeatureTables,
    ) -> Feature {
        let needs = &self.plan.needs;
        let (_, acts) = self.by_feature.of(i);
        let n_positions = self.rows.n_positions();
        let logits = feature_logits(tile.directions.logits(i - tile.first));
        let entry = |v: usize| TokenLogit { token_id: v as u32, logit: logits[v] };
        let n_rows = needs.logits_rows as usize;
        let logits_table = (n_rows > 0).then(|| LogitsTable {
            top: largest(&logits, n_rows).into_iter().map(entry).collect(),
            bottom: smallest(&logits, n_rows).into_iter().map(entry).collect(),
        });
        let sequences = chosen.map(|(chosen, placed)| {
            let n_hover = needs.sequences.map_or(0, |s| s.top_logits_hoverdata);
            sequences(chosen.clone(), row_acts(placed, &tile.outcomes, n_hover), &logits, self.rows)
        });
        Feature {
            feature: self.plan.features[i],
            stats: moments::stats(acts, n_positions),
            quantiles: Quantiles::of(&moments::quantiles(acts, n_positions)),
            tables,
            acts_histogram: needs.acts_bins.and_then(|n| Histogram::of(acts, n as usize)),
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

impl Tables<'_> {
    fn all(&self) -> Vec<FeatureTables> {
        let gathered = self.sources.gathered;
        let partners = || {
            (
                Partners::new(&gathered.acts, &self.sums),
                gathered.acts_b.as_ref().map(|b| Partners::new(b, &self.sums_b)),
            )
        };
        (0..self.sources.plan.features.len())
            .into_par_iter()
            .map_init(partners, |(own, b), i| self.of(i, own, b.as_mut()))
            .collect()
    }

    fn of(&self, i: usize, own: &mut Partners<'_>, b: Option<&mut Partners<'_>>) -> FeatureTables {
        let Sources { plan, rows, gathered, by_feature, .. } = self.sources;
        let acts = by_feature.of(i);
        let wanted = |n: u32| (n > 0).then_some(n as usize);
        let name = |g: usize| plan.features[g];
        FeatureTables {
            neuron_alignment: wanted(plan.needs.neuron_alignment).map(|n| self.alignment(i, n)),
            correlated_neurons: wanted(plan.needs.correlated_neurons)
                .map(|n| correlations::neurons(&gathered.neurons, i, self.sums[i], rows.n_positions(), n)),
            correlated_features: wanted(plan.needs.correlated_features)
                .map(|n| own.of(acts, Some(i), n, name)),
            correlated_b_features: wanted(plan.needs.correlated_b_features)
                .zip(b)
                .map(|(n, b)| b.of(acts, None, n, |g| g as u32)),
        }
    }

    fn alignment(&self, i: usize, n_rows: usize) -> Vec<AlignedNeuron> {
        let direction = &self.decoder[i * self.d_out..(i + 1) * self.d_out];
        let l1: f64 = direction.iter().map(|v| f64::from(v.abs())).sum();
        let row = |j: usize| AlignedNeuron {
            neuron: j as u32,
            value: direction[j],
            l1_share: if l1 > 0.0 { (f64::from(direction[j].abs()) / l1) as f32 } else { 0.0 },
        };
        largest(direction, n_rows).into_iter().map(row).collect()
    }
}
