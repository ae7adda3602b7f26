//! Examples: windows of corpus rows with a feature's activations and effects on them.
//!
//! Only what is not zero is stored. [`RowActs`] holds a feature's activations on whole rows, sparse; an effect
//! belongs to an active position and acts on the token after it. [`Sequences`] adds the windows and their
//! token ids, so that a feature's page needs no corpus file; the rest of a row comes from the corpus when a
//! reader expands it. Columns, not structs: they are a third of the size and decode several times faster.
//!
//! What weighs is the hover lists (a third of a feature), token ids and activations. They have the digits that a page
//! prints and no more; ids of hover tokens point into a dictionary, the most frequent first; lists hold the steps from
//! value to value; positions hold the gaps between them.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::{
    ascending::Ascending,
    decimals::Decimals,
    error::{Invalid, ensure},
};

/// The examples of one feature, in groups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Sequences {
    /// Groups in the order shown; their examples follow one another in the columns below.
    pub groups: Vec<Group>,
    /// Row of each example, as an index into the rows of `acts`.
    pub rows: Vec<u32>,
    /// Position of each example in its row: the token shown in bold.
    pub positions: Vec<u32>,
    /// Tokens of every window before the bold one; `None` where windows are whole rows.
    pub before: Option<u32>,
    /// Number of tokens of every window.
    pub window_len: u32,
    /// Token ids of all windows, one after another, `window_len` each.
    pub token_ids: Vec<u32>,
    /// The feature's logit for each distinct token id of `token_ids`, ascending by id.
    pub token_logits: Decimals,
    /// Activations on the whole of every row that has an example, and effects inside the windows.
    pub acts: RowActs,
}

/// A group of examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
pub struct Group {
    /// How its examples were chosen.
    pub kind: GroupKind,
    /// Number of examples.
    pub n_examples: u32,
}

/// How the examples of a group were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
pub enum GroupKind {
    /// The positions with the largest activation, largest first.
    Top,
    /// Random positions whose activation lies in an interval.
    Interval {
        /// Lower bound, excluded.
        low: f32,
        /// Upper bound, included.
        high: f32,
        /// Positions in the interval over all positions, in [0, 1].
        share: f64,
    },
}

/// A feature's activations on some rows: sparse, row by row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct RowActs {
    /// Rows of the corpus.
    pub rows: Ascending,
    /// Number of tokens of every row.
    pub row_len: u32,
    /// Active positions: `row_len` times the row's index in `rows`, and the position in it.
    pub places: Ascending,
    /// Activation at each of `places`, positive; what is less than half the last decimal reads 0.
    pub acts: Decimals,
    /// What ablating the feature at some of `places` does to the token after.
    pub effects: Effects,
}

/// Effects of ablating a feature at single positions, in nats, as columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Effects {
    /// Which entries of [`RowActs::places`] have an effect stored.
    pub at: Ascending,
    /// Loss with the feature less loss without it, at the next token: negative = the feature helps.
    pub loss: Decimals,
    /// Probability of the next token with the feature less without it.
    pub prob_change: Decimals,
    /// Number of tokens in each hover list.
    pub n_hover: u32,
    /// Distinct token ids of the hover lists.
    pub hover_tokens: Vec<u32>,
    /// Next tokens that the feature makes most likely: indices into `hover_tokens`, `n_hover` an effect.
    pub boosted: Vec<u32>,
    /// Their log-probability with the feature less without it, largest first, list by list [`Decimals::stepwise`].
    pub boosted_by: Decimals,
    /// Next tokens that the feature makes least likely, as in `boosted`.
    pub suppressed: Vec<u32>,
    /// Their log-probability with the feature less without it, smallest first, as in `boosted_by`.
    pub suppressed_by: Decimals,
}

/// One example, as the page draws it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Corpus row.
    pub row: u32,
    /// Position of the bold token.
    pub position: u32,
    /// Tokens of the window in order.
    pub tokens: Vec<TokenView>,
}

/// One token under a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenView {
    /// Position in the row.
    pub position: u32,
    /// Token.
    pub token_id: u32,
    /// Activation of the feature here; 0 where inactive.
    pub act: f64,
    /// The feature's logit for this token; `None` outside the stored windows.
    pub logit: Option<f64>,
    /// What ablating the feature one position before does to this token; `None` where it was inactive there.
    pub effect: Option<EffectView>,
}

/// What ablating a feature at one position does to the token after it.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectView {
    /// Loss with the feature less loss without, nats.
    pub loss_effect: f64,
    /// Probability with the feature less without.
    pub prob_change: f64,
    /// Tokens made more likely, with the change of log-probability in nats.
    pub boosted: Vec<(u32, f64)>,
    /// Tokens made less likely.
    pub suppressed: Vec<(u32, f64)>,
}

impl Sequences {
    /// All examples of group `g`.
    pub fn group_examples(&self, g: usize) -> Vec<Example> {
        let before = self.groups.iter().take(g).map(|g| g.n_examples as usize).sum();
        self.examples(before, self.groups.get(g).map_or(0, |g| g.n_examples as usize))
    }

    /// `n` examples from `first` on, whatever their groups.
    pub fn examples(&self, first: usize, n: usize) -> Vec<Example> {
        let distinct = self.distinct_token_ids();
        (first..first.saturating_add(n)).map_while(|i| self.example(i, &distinct)).collect()
    }

    /// The token ids of the windows without repetition, ascending: the keys of `token_logits`.
    pub fn distinct_token_ids(&self) -> Vec<u32> {
        let mut ids = self.token_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Corpus row and position of every example, in order.
    pub fn places(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let row = |r: u32| self.acts.rows.get(r as usize).copied();
        self.rows.iter().zip(&self.positions).filter_map(move |(&r, &position)| Some((row(r)?, position)))
    }

    fn example(&self, i: usize, distinct: &[u32]) -> Option<Example> {
        let (row, position) = (*self.acts.rows.get(*self.rows.get(i)? as usize)?, *self.positions.get(i)?);
        let len = self.window_len as usize;
        let ids = self.token_ids.get(i * len..(i + 1) * len)?;
        let mut tokens = self.acts.tokens(row, self.start(position)?, ids);
        for token in &mut tokens {
            let key = distinct.binary_search(&token.token_id).ok();
            token.logit = key.and_then(|k| self.token_logits.get(k));
        }
        Some(Example { row, position, tokens })
    }

    /// First position of the window of an example at `position`.
    fn start(&self, position: u32) -> Option<u32> {
        self.before.map_or(Some(0), |before| position.checked_sub(before))
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n: u64 = self.groups.iter().map(|g| u64::from(g.n_examples)).sum();
        for (what, len) in [("rows", self.rows.len()), ("positions", self.positions.len())] {
            ensure(len as u64 == n, || format!("{n} examples have {len} {what}"))?;
        }
        let n_tokens = n * u64::from(self.window_len);
        ensure(self.token_ids.len() as u64 == n_tokens, || {
            format!("windows have {} token ids, expected {n_tokens}", self.token_ids.len())
        })?;
        let known = self.rows.iter().all(|r| (*r as usize) < self.acts.rows.len());
        ensure(known, || "an example's row has no activations".into())?;
        let inside = self.positions.iter().all(|&position| {
            self.start(position).is_some_and(|start| {
                let end = u64::from(start) + u64::from(self.window_len);
                position - start < self.window_len && end <= u64::from(self.acts.row_len)
            })
        });
        ensure(inside, || "an example lies outside its window, or its window outside its row".into())?;
        self.token_logits.validate("token logits", self.distinct_token_ids().len())?;
        self.acts.validate()
    }
}

impl RowActs {
    /// The tokens `ids` of `row` from position `start` on, with activations and effects, without logits.
    pub fn tokens(&self, row: u32, start: u32, ids: &[u32]) -> Vec<TokenView> {
        let first = self.rows.binary_search(&row).ok().map(|r| r as u32 * self.row_len + start);
        // The entry that the walk stands at, beginning with the position before the first token.
        let mut next = first.map_or(self.places.len(), |first| {
            self.places.partition_point(|place| *place < first - u32::from(start > 0))
        });
        let mut active_at = |place: u32| {
            let here = (self.places.get(next) == Some(&place)).then_some(next);
            next += usize::from(here.is_some());
            here
        };
        let mut before = first.filter(|_| start > 0).and_then(|first| active_at(first - 1));
        let token = |(i, &token_id): (u32, &u32)| {
            let here = first.and_then(|first| active_at(first + i));
            let act = here.and_then(|e| self.acts.get(e)).unwrap_or(0.0);
            let effect = before.and_then(|e| self.effects.of_entry(e));
            before = here;
            TokenView { position: start + i, token_id, act, logit: None, effect }
        };
        (0..self.row_len.saturating_sub(start)).zip(ids).map(token).collect()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n_places = (self.rows.len() as u64).saturating_mul(u64::from(self.row_len));
        ensure(u32::try_from(n_places).is_ok(), || {
            format!("{} rows of {} tokens are too many", self.rows.len(), self.row_len)
        })?;
        ensure(self.places.last().is_none_or(|last| u64::from(*last) < n_places), || {
            format!("an active position lies outside {} rows of {} tokens", self.rows.len(), self.row_len)
        })?;
        self.acts.validate("activations", self.places.len())?;
        self.effects.validate(self.places.len())
    }
}

impl Effects {
    /// The effect stored for entry `e` of [`RowActs::places`].
    fn of_entry(&self, e: usize) -> Option<EffectView> {
        let i = self.at.binary_search(&u32::try_from(e).ok()?).ok()?;
        Some(EffectView {
            loss_effect: self.loss.get(i)?,
            prob_change: self.prob_change.get(i)?,
            boosted: self.hover(i, &self.boosted, &self.boosted_by),
            suppressed: self.hover(i, &self.suppressed, &self.suppressed_by),
        })
    }

    fn hover(&self, i: usize, tokens: &[u32], by: &Decimals) -> Vec<(u32, f64)> {
        let n = self.n_hover as usize;
        let tokens = tokens.get(i * n..(i + 1) * n).unwrap_or_default();
        let id = |token: &u32| self.hover_tokens.get(*token as usize).copied();
        tokens.iter().filter_map(id).zip(by.list(i, n)).collect()
    }

    fn validate(&self, n_entries: usize) -> Result<(), Invalid> {
        let n = self.at.len();
        let in_range = self.at.last().is_none_or(|e| (*e as usize) < n_entries);
        ensure(in_range, || "an effect belongs to no active position".into())?;
        self.loss.validate("loss effects", n)?;
        self.prob_change.validate("probability changes", n)?;
        let n_listed = (n as u64).saturating_mul(u64::from(self.n_hover));
        for (what, tokens, by) in [
            ("boosted tokens", &self.boosted, &self.boosted_by),
            ("suppressed tokens", &self.suppressed, &self.suppressed_by),
        ] {
            ensure(tokens.len() as u64 == n_listed, || {
                format!("{what} are {}, expected {n_listed}", tokens.len())
            })?;
            let known = tokens.iter().all(|t| (*t as usize) < self.hover_tokens.len());
            ensure(known, || format!("{what} point outside their dictionary"))?;
            by.validate(what, tokens.len())?;
        }
        Ok(())
    }
}
