//! Everything about each feature, from what the pass left behind.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use rayon::prelude::*;
use shared::{
    feature::{Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    histogram::Histogram,
    layout::Needs,
    quantiles::Quantiles,
};
use tch::{Device, Kind, Tensor};

use super::{NO_SAE, tables::Tables, tiles::Work};
use crate::{
    corpus::Rows,
    effects::{self, Ablation, Directions, Effects},
    examples::{Choice, ExampleRows, ExampleWindows, TokenPositions, choose, sequences},
    interrupt,
    model::Head,
    pass::{Subject, TappedSae},
    plan::Plan,
    progress::Progress,
    stats::{
        moments,
        top::{largest, smallest},
    },
    store::{NeuronSums, ResidSource, Store},
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

/// Features whose effects are computed together.
fn tile(d_vocab: usize) -> usize {
    (TILE_BYTES / (4 * d_vocab.max(1))).clamp(1, TILE_FEATURES)
}

/// The most memory that `n` features take while they are computed, `tiles` tiles of them at the same time; entries are there
/// twice while they are sorted.
pub fn bytes(n: usize, d_vocab: usize, tiles: usize) -> usize {
    let tile = tile(d_vocab).min(n) * (4 * d_vocab + WAITING_BYTES);
    tiles * tile + 2 * 8 * ENTRIES + effects::chunks_bytes(d_vocab)
}

/// Which features to compute, and what of them.
#[derive(Debug, Clone, Copy)]
pub struct FeatureRequest<'a> {
    /// The chosen features, ascending, by their numbers in the SAE.
    pub features: &'a [u32],
    /// What layouts show.
    pub needs: &'a Needs,
    /// Whether effects are computed.
    pub effects: bool,
    /// Seed of every random choice.
    pub seed: u64,
    /// Tokens in the vocabulary.
    pub d_vocab: usize,
}

impl<'a> From<&'a Plan> for FeatureRequest<'a> {
    fn from(plan: &'a Plan) -> Self {
        let Plan { features, needs, effects, input, .. } = plan;
        let d_vocab = input.model_config.d_vocab as usize;
        Self { features, needs, effects: *effects, seed: input.seed, d_vocab }
    }
}

/// What features are computed from, on the host.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// What to compute.
    pub request: FeatureRequest<'a>,
    /// The corpus.
    pub rows: &'a Rows,
    /// Activations of the SAE whose features are shown.
    pub acts: &'a Store,
    /// Sums of its products with neurons, where any layout shows them.
    pub neurons: &'a NeuronSums,
    /// Activations of SAE B.
    pub acts_b: Option<&'a Store>,
}

/// What features write, of which logits and effects are computed.
#[derive(Clone, Copy)]
pub enum Writes<'a> {
    /// Directions in the residual stream of a model.
    Model {
        /// The model's last norm and unembedding.
        head: &'a Head,
        /// Directions of the features.
        decoder: &'a Decoder,
        /// Last residuals, where effects are wanted.
        resid: &'a dyn ResidSource,
    },
    /// What other programs say, on the host: no effects.
    Given {
        /// Decoder directions, `[n, d_out]`.
        decoder: Option<&'a Tensor>,
        /// Logits, `[n, d_vocab]`.
        logits: Option<&'a Tensor>,
    },
}

/// Decoder directions of the chosen features, on the device.
#[derive(Debug)]
pub struct Decoder {
    /// As the SAE has them, `[n, d_out]`.
    pub rows: Tensor,
    /// In the residual stream, `[n, d_model]`.
    pub resid: Tensor,
}

impl Decoder {
    /// Of an SAE of the subject, by its number tap after tap.
    pub fn of(subject: &Subject, sae_number: usize) -> Result<Self> {
        let (_, TappedSae { sae, hook_out, .. }) = subject.saes().nth(sae_number).context(NO_SAE)?;
        let rows = sae.decoder()?.f_to_kind(Kind::Float)?; // [n, d_out]
        let resid = match subject.model.write_matrix(hook_out)? {
            Some(matrix) => rows.f_matmul(&matrix.f_to_kind(Kind::Float)?)?, // [n, d_model]
            None => rows.shallow_clone(),
        };
        Ok(Self { rows, resid })
    }
}

/// What a feature's own activations say.
struct ActsSummary {
    stats: Stats,
    quantiles: Quantiles,
    histogram: Option<Histogram>,
    sequences: Option<(ExampleWindows, ExampleRows)>,
}

/// A tile of which only the features themselves are left to make.
pub(super) struct Tile {
    pub features: Range<usize>,
    directions: Option<Directions>,
    summaries: Vec<ActsSummary>,
    effects: Effects,
}

/// A tile whose activations were read.
pub(super) struct ReadTile {
    pub features: Range<usize>,
    summaries: Vec<ActsSummary>,
    pub ablations: Vec<Ablation>,
}

impl ReadTile {
    /// With its directions and effects.
    pub fn with(self, directions: Option<Directions>, effects: Effects) -> Tile {
        Tile { features: self.features, directions, summaries: self.summaries, effects }
    }
}

impl Sources<'_> {
    /// Computes some of the chosen features and hands them on, ascending, some at a time.
    ///
    /// On a GPU the host's work of some tiles goes beside the GPU's of others.
    ///
    /// - `features`: indices of chosen features
    pub fn features(
        &self,
        writes: Writes<'_>,
        features: Range<usize>,
        progress: &mut Progress,
        hand_on: impl FnMut(Vec<Feature>) -> Result<()> + Send,
    ) -> Result<()> {
        progress.begin("tables", 0, "");
        let rows = match writes {
            Writes::Model { decoder, .. } => Some(&decoder.rows),
            Writes::Given { decoder, .. } => decoder,
        };
        let tables = Tables::new(*self, rows, features.clone())?;
        let d_vocab = self.request.d_vocab;
        let options = self.request.needs.sequences.as_ref();
        let token_positions = options
            .is_some_and(|options| options.inactive_group_size > 0)
            .then(|| TokenPositions::new(self.rows.token_ids(), d_vocab));
        let choice = options.map(|options| Choice {
            options,
            token_ids: self.rows.token_ids(),
            seq_len: self.rows.seq_len(),
            token_positions: token_positions.as_ref(),
            seed: self.request.seed,
        });
        let tile = tile(d_vocab);
        let tiles: Vec<Range<usize>> =
            features.clone().step_by(tile).map(|first| first..(first + tile).min(features.end)).collect();
        let work = Work { sources: *self, choice: choice.as_ref(), writes };
        match writes {
            Writes::Model { head, .. } if head.device() != Device::Cpu => {
                work.side_by_side(tables, tiles, progress, hand_on)
            }
            _ => work.in_turn(tables, tiles, progress, hand_on),
        }
    }

    /// Reads the activations of a tile's features and chooses their sequences.
    pub(super) fn read_tile(&self, features: Range<usize>, choice: Option<&Choice<'_>>) -> Result<ReadTile> {
        let (mut ablations, mut summaries) = (Vec::new(), Vec::new());
        for range in self.acts.ranges(features.clone(), ENTRIES) {
            interrupt::check()?;
            self.read(range, features.start, choice, &mut summaries, &mut ablations)?;
        }
        Ok(ReadTile { features, summaries, ablations })
    }

    /// What the activations of `features` say, and the effects to compute of them.
    ///
    /// - `first`: of the tile
    fn read(
        &self,
        features: Range<usize>,
        first: usize,
        choice: Option<&Choice<'_>>,
        summaries: &mut Vec<ActsSummary>,
        ablations: &mut Vec<Ablation>,
    ) -> Result<()> {
        let (request, rows, n_positions) = (self.request, self.rows, self.rows.n_positions());
        let all = self.acts.features(features.clone())?;
        let found: Vec<(ActsSummary, Option<ExampleWindows>)> = features
            .clone()
            .into_par_iter()
            .map(|i| {
                let (positions, acts) = all.of(i - features.start);
                ensure!(
                    acts.iter().all(|act| act.is_finite()),
                    "feature {} has activations that are not finite numbers: are the SAE's weights damaged, or of another model?",
                    request.features[i]
                );
                let summary = ActsSummary {
                    stats: moments::stats(acts, n_positions),
                    quantiles: Quantiles::of(&moments::quantiles(acts, n_positions)),
                    histogram: request.needs.acts_bins.and_then(|n| Histogram::of(acts, n as usize)),
                    sequences: None,
                };
                let choose = |choice| choose((positions, acts), request.features[i], choice);
                Ok((summary, choice.map(choose)))
            })
            .collect::<Result<_>>()?;
        for (i, (mut summary, examples)) in features.clone().zip(found) {
            if let (Some(choice), Some(examples)) = (choice, examples) {
                let acts = all.of(i - features.start);
                let slot = (i - first) as u32;
                let on_rows =
                    ExampleRows::new(slot, acts, &examples, choice.options, rows, request.effects, ablations);
                summary.sequences = Some((examples, on_rows));
            }
            summaries.push(summary);
        }
        Ok(())
    }

    /// - `i`: in the tile
    pub(super) fn feature(&self, tile: &Tile, i: usize, tables: FeatureTables) -> Feature {
        let (needs, summary) = (self.request.needs, &tile.summaries[i]);
        let logits = tile.directions.as_ref().map_or_else(Vec::new, |all| all.feature_logits(i));
        let known = !logits.is_empty();
        let entry = |v: usize| TokenLogit { token_id: v as u32, logit: logits[v] };
        let n_rows = needs.logits_rows as usize;
        let logits_table = (n_rows > 0 && known).then(|| LogitsTable {
            top: largest(&logits, n_rows).into_iter().map(entry).collect(),
            bottom: smallest(&logits, n_rows).into_iter().map(entry).collect(),
        });
        let sequences = summary.sequences.as_ref().map(|(examples, on_rows)| {
            let n_hover = needs.sequences.map_or(0, |s| s.top_logits_hoverdata);
            let own = on_rows.acts_of(examples);
            sequences(examples.clone(), own, on_rows.columns(&tile.effects, n_hover), &logits, self.rows)
        });
        Feature {
            feature: self.request.features[tile.features.start + i],
            stats: summary.stats,
            quantiles: Some(summary.quantiles.clone()),
            tables,
            acts_histogram: summary.histogram.clone(),
            logits_histogram: needs
                .logits_bins
                .filter(|_| known)
                .and_then(|n| Histogram::of(&logits, n as usize)),
            logits_table,
            sequences,
        }
    }
}
