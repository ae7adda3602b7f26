//! Examples of another program as a bundle's columns.

use std::collections::BTreeMap;

use shared::{
    decimals::{DECIMALS, Decimals},
    sequence::{EffectView, Effects, Group, GroupKind, RowActs, Sequences},
};

/// A token under a feature.
#[derive(Debug, Default, Clone)]
pub struct ImportedToken {
    pub token_id: u32,
    pub act: f64,
    pub logit: Option<f64>,
    /// What ablating the feature one token before does to this one.
    pub effect: Option<EffectView>,
}

/// A window of text.
#[derive(Debug, Clone)]
pub struct ImportedExample {
    pub tokens: Vec<ImportedToken>,
    /// Index of the bold one.
    pub bold: usize,
}

/// Examples that were chosen in the same way.
#[derive(Debug, Clone)]
pub struct ImportedGroup {
    pub kind: GroupKind,
    /// Positions that it was chosen from, where they are known.
    pub n_positions: Option<u64>,
    pub examples: Vec<ImportedExample>,
}

/// Decimals of a file's numbers, at most.
const MOST_DECIMALS: i8 = 6;

/// The column of `values` with as many decimals as they have, three to six.
pub fn decimals(values: &[f64]) -> Decimals {
    let is_exact = |digits: &i8| {
        let scale = 10f64.powi(i32::from(*digits));
        values.iter().all(|value| ((value * scale).round() / scale - value).abs() < 1e-9)
    };
    let digits = (DECIMALS..MOST_DECIMALS).find(is_exact).unwrap_or(MOST_DECIMALS);
    Decimals::rounded(values.iter().copied(), digits)
}

/// The groups as columns: every example is a row of its own, of which the window is all. Empty examples are left out.
pub fn sequences(mut groups: Vec<ImportedGroup>) -> Sequences {
    for group in &mut groups {
        group.examples.retain(|example| !example.tokens.is_empty());
    }
    let examples: Vec<&ImportedExample> = groups.iter().flat_map(|group| &group.examples).collect();
    let row_lens: Vec<u32> = examples.iter().map(|example| example.tokens.len() as u32).collect();
    let row_len = row_lens.iter().copied().max().unwrap_or(1);
    let bold = |example: &ImportedExample| example.bold.min(example.tokens.len() - 1);
    let rows: Vec<u32> = (0..examples.len() as u32).collect();
    let all_equal = row_lens.iter().all(|len| *len == row_len);
    Sequences {
        groups: groups
            .iter()
            .map(|group| Group {
                kind: group.kind.clone(),
                n_examples: group.examples.len() as u32,
                n_positions: group.n_positions,
            })
            .collect(),
        positions: examples.iter().map(|example| bold(example) as u32).collect(),
        acts: decimals(&examples.iter().map(|example| example.tokens[bold(example)].act).collect::<Vec<_>>()),
        counts: Vec::new(),
        buffer: None,
        token_ids: examples.iter().flat_map(|example| &example.tokens).map(|token| token.token_id).collect(),
        token_logits: token_logits(&examples),
        row_acts: RowActs {
            rows: rows.clone().into(),
            row_len,
            row_lens: if all_equal { Vec::new() } else { row_lens },
            ..row_acts(&examples, row_len)
        },
        rows,
    }
}

/// Activations and effects of texts, text after text in rows of `row_len`.
pub fn row_acts(examples: &[&ImportedExample], row_len: u32) -> RowActs {
    let (mut active, mut acts, mut at, mut effects) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, example) in (0u32..).zip(examples) {
        for (position, token) in (0u32..).zip(&example.tokens).filter(|(_, token)| token.act.abs() > 0.0) {
            if let Some(effect) =
                example.tokens.get(position as usize + 1).and_then(|next| next.effect.as_ref())
            {
                at.push(active.len() as u32);
                effects.push(effect);
            }
            active.push(row * row_len + position);
            acts.push(token.act);
        }
    }
    RowActs {
        rows: (0..examples.len() as u32).collect::<Vec<_>>().into(),
        row_len,
        row_lens: Vec::new(),
        active: active.into(),
        acts: decimals(&acts),
        effects: effect_columns(at, &effects),
    }
}

fn effect_columns(at: Vec<u32>, effects: &[&EffectView]) -> Effects {
    let lists = |side: fn(&EffectView) -> &Vec<(u32, f64)>| effects.iter().map(move |effect| side(effect));
    let both = || lists(|e| &e.boosted).chain(lists(|e| &e.suppressed));
    // Lists of one length: what is longer in some is left out.
    let n_hover = both().map(Vec::len).min().unwrap_or(0);
    let shown =
        |side: fn(&EffectView) -> &Vec<(u32, f64)>| lists(side).flat_map(move |list| &list[..n_hover]);
    let mut keys = BTreeMap::new();
    let mut hover_tokens = Vec::new();
    for (token_id, _) in shown(|e| &e.boosted).chain(shown(|e| &e.suppressed)) {
        keys.entry(*token_id).or_insert_with(|| {
            hover_tokens.push(*token_id);
            hover_tokens.len() as u32 - 1
        });
    }
    let key = |entry: &(u32, f64)| keys.get(&entry.0).copied().unwrap_or_default();
    let by = |side| decimals(&shown(side).map(|entry| entry.1).collect::<Vec<_>>()).stepwise(n_hover);
    let changes: Option<Vec<f64>> = effects.iter().map(|effect| effect.prob_change).collect();
    Effects {
        at: at.into(),
        loss: decimals(&effects.iter().map(|effect| effect.loss_effect).collect::<Vec<_>>()),
        prob_change: decimals(&changes.unwrap_or_default()),
        n_hover: n_hover as u32,
        boosted: shown(|e| &e.boosted).map(key).collect(),
        boosted_by: by(|e| &e.boosted),
        suppressed: shown(|e| &e.suppressed).map(key).collect(),
        suppressed_by: by(|e| &e.suppressed),
        hover_tokens,
    }
}

/// The feature's logit for each distinct token, ascending by id; none where one is not known.
fn token_logits(examples: &[&ImportedExample]) -> Decimals {
    let tokens = examples.iter().flat_map(|example| &example.tokens);
    let known: Option<BTreeMap<u32, f64>> =
        tokens.map(|token| Some((token.token_id, token.logit?))).collect();
    decimals(&known.unwrap_or_default().into_values().collect::<Vec<_>>())
}
