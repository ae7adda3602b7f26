//! Files of schema 2, read as today's types.
//!
//! Schema 2 has no sized structs, no names of kinds, whole windows only, shares of groups where today there are counts, and
//! activations at bold tokens only among those of their rows. Types that are not here have the same bytes in both.

use crate::{
    ascending::Ascending,
    decimals::Decimals,
    feature::{Feature, FeatureBlock, FeatureTables, LogitsTable, Moments, Stats},
    histogram::Histogram,
    prompt::{Metric, MetricScores, Prompt, PromptFeature, Score},
    quantiles::Quantiles,
    sequence::{Effects, Group, GroupKind, RowActs, Sequences},
    wire::{Reader, Wire, WireError},
};

/// Reads a block of features.
pub(crate) fn feature_block(from: &mut Reader<'_>) -> Result<FeatureBlock, WireError> {
    Ok(FeatureBlock { features: from.list(FEATURE_MIN_BYTES, feature)? })
}

/// Reads a prompt.
pub(crate) fn prompt(from: &mut Reader<'_>) -> Result<Prompt, WireError> {
    let (text, token_ids) = (Wire::read(from)?, Wire::read(from)?);
    let scores = from.list(2, metric_scores)?;
    let features = from.list(PROMPT_FEATURE_MIN_BYTES, prompt_feature)?;
    Ok(Prompt { text, token_ids, scores, newer_metrics: Vec::new(), features })
}

/// Its index, statistics, quantiles, four tables, and four components of one byte each.
const FEATURE_MIN_BYTES: usize = 1 + 45 + 3 + 4 + 4;
/// Its index, activations and logits.
const PROMPT_FEATURE_MIN_BYTES: usize = 1 + 2 + 3 + 2 + Effects::MIN_BYTES;

fn feature(from: &mut Reader<'_>) -> Result<Feature, WireError> {
    let feature = Wire::read(from)?;
    let stats = stats(from)?;
    Ok(Feature {
        feature,
        stats,
        quantiles: Some(Quantiles::read(from)?),
        tables: FeatureTables::read(from)?,
        acts_histogram: Option::<Histogram>::read(from)?,
        logits_histogram: Option::<Histogram>::read(from)?,
        logits_table: Option::<LogitsTable>::read(from)?,
        sequences: match u8::read(from)? {
            0 => None,
            1 => Some(sequences(from, &stats)?),
            _ => return Err(WireError::Range),
        },
    })
}

fn stats(from: &mut Reader<'_>) -> Result<Stats, WireError> {
    Ok(Stats {
        n_active: Some(Wire::read(from)?),
        density: Some(Wire::read(from)?),
        max: Wire::read(from)?,
        min: 0.0,
        moments: Some(Moments::read(from)?),
    })
}

fn sequences(from: &mut Reader<'_>, stats: &Stats) -> Result<Sequences, WireError> {
    let groups = from.list(2, |from| group(from, stats))?;
    let rows: Vec<u32> = Wire::read(from)?;
    let positions: Vec<u32> = Wire::read(from)?;
    let (before, window_len): (Option<u32>, u32) = Wire::read(from)?;
    let (token_ids, token_logits) = Wire::read(from)?;
    let row_acts = row_acts(from)?;
    let bold = rows.iter().zip(&positions).map(|(&row, &position)| row_acts.act_at(row, position));
    let bold = Decimals::rounded(bold.collect::<Vec<_>>(), row_acts.acts.digits);
    Ok(Sequences {
        groups,
        acts: bold,
        counts: Vec::new(),
        buffer: before.map(|before| (before, window_len.saturating_sub(1).saturating_sub(before))),
        rows,
        positions,
        token_ids,
        token_logits,
        row_acts,
    })
}

fn group(from: &mut Reader<'_>, stats: &Stats) -> Result<Group, WireError> {
    let (kind, n_positions) = match u32::read(from)? {
        0 => (GroupKind::Top, stats.n_active),
        1 => {
            let (low, high) = Wire::read(from)?;
            let share = f64::read(from)?;
            let n_positions = stats.n_positions().map(|n| (share * n as f64).round() as u64);
            (GroupKind::Interval { low, high }, n_positions)
        }
        _ => return Err(WireError::Range),
    };
    Ok(Group { kind, n_examples: Wire::read(from)?, n_positions })
}

fn row_acts(from: &mut Reader<'_>) -> Result<RowActs, WireError> {
    Ok(RowActs {
        rows: Ascending::read(from)?,
        row_len: Wire::read(from)?,
        row_lens: Vec::new(),
        active: Ascending::read(from)?,
        acts: Decimals::read(from)?,
        effects: Effects::read(from)?,
    })
}

fn metric_scores(from: &mut Reader<'_>) -> Result<MetricScores, WireError> {
    let metric = *Metric::ALL.get(u32::read(from)? as usize).ok_or(WireError::Range)?;
    Ok(MetricScores { metric, positions: Vec::<Vec<Score>>::read(from)? })
}

fn prompt_feature(from: &mut Reader<'_>) -> Result<PromptFeature, WireError> {
    Ok(PromptFeature { feature: Wire::read(from)?, acts: row_acts(from)?, token_logits: Wire::read(from)? })
}
