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

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    ascending::Ascending,
    decimals::Decimals,
    error::{Invalid, ensure},
    wire::{Reader, Wire, WireError, wire, write_sized},
};

/// The examples of one feature, in groups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Sequences {
    /// Groups in the order shown; their examples follow one another in the columns below.
    pub groups: Vec<Group>,
    /// Row of each example, as an index into the rows of `row_acts`.
    pub rows: Vec<u32>,
    /// Position of each example in its row: the token shown in bold.
    pub positions: Vec<u32>,
    /// The feature's activation at the bold token of each example.
    pub acts: Decimals,
    /// How many windows of the corpus each example stands for, itself among them; empty where each is for itself.
    pub counts: Vec<u32>,
    /// Tokens of a window before and after the bold one, fewer where the row ends; `None` where windows are whole rows.
    pub buffer: Option<(u32, u32)>,
    /// Token ids of all windows, one after another; see [`Sequences::windows`].
    pub token_ids: Vec<u32>,
    /// The feature's logit for each distinct token id of `token_ids`, ascending by id; empty where they are not known.
    pub token_logits: Decimals,
    /// Activations on the whole of every row that has an example, and effects inside the windows.
    pub row_acts: RowActs,
}

/// A group of examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Group {
    /// How its examples were chosen.
    pub kind: GroupKind,
    /// Number of examples.
    pub n_examples: u32,
    /// Positions of the corpus that the examples were chosen from; `None` where it is not known.
    pub n_positions: Option<u64>,
}

/// How the examples of a group were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum GroupKind {
    /// The positions with the largest activation, largest first.
    Top,
    /// The positions with the smallest activation of a signed SAE, smallest first.
    Bottom,
    /// Random positions whose activation lies in an interval.
    Interval {
        /// Lower bound, excluded.
        low: f32,
        /// Upper bound, included.
        high: f32,
    },
    /// Random positions between two quantiles of the active values.
    Quantile {
        /// Lower quantile, in [0, 1].
        from: f32,
        /// Upper quantile, in [0, 1].
        to: f32,
        /// Smallest activation in the group.
        low: f32,
        /// Largest activation in the group.
        high: f32,
    },
    /// Random positions of a token at which the feature is not active, though at other positions of that token it is.
    Inactive {
        /// The token at which it is most often active.
        token_id: u32,
    },
    /// Chosen in a way that a newer version knows.
    Newer {
        /// Its name.
        name: String,
    },
}

/// A feature's activations on some rows: sparse, row by row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RowActs {
    /// Rows of the corpus.
    pub rows: Ascending,
    /// Number of tokens of every row, or of the longest.
    pub row_len: u32,
    /// Number of tokens of each row; empty where all have `row_len`.
    pub row_lens: Vec<u32>,
    /// Active positions: `row_len` times the row's index in `rows`, and the position in it.
    pub active: Ascending,
    /// Activation at each active position; what is less than half the last decimal reads 0.
    pub acts: Decimals,
    /// What ablating the feature at some of the active positions does to the token after.
    pub effects: Effects,
}

/// Effects of ablating a feature at single positions, in nats, as columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Effects {
    /// Which entries of [`RowActs::active`] have an effect stored.
    pub at: Ascending,
    /// Loss with the feature less loss without it, at the next token: negative = the feature helps.
    pub loss: Decimals,
    /// Probability of the next token with the feature less without it; empty where it is not known.
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

wire!(sized Sequences {
    groups, rows, positions, acts, counts, buffer, token_ids, token_logits, row_acts
});
wire!(sized Group { kind, n_examples, n_positions });
wire!(sized RowActs { rows, row_len, row_lens, active, acts, effects });
wire!(Effects {
    at,
    loss,
    prob_change,
    n_hover,
    hover_tokens,
    boosted,
    boosted_by,
    suppressed,
    suppressed_by
});

/// One example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Corpus row.
    pub row: u32,
    /// Position of the bold token in the row.
    pub position: u32,
    /// The feature's activation there.
    pub act: f64,
    /// How many windows of the corpus it stands for, itself among them.
    pub count: u32,
    /// Tokens of the window in order.
    pub tokens: Vec<TokenView>,
}

/// One token under a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EffectView {
    /// Loss with the feature less loss without, nats.
    pub loss_effect: f64,
    /// Probability with the feature less without; `None` where it is not known.
    pub prob_change: Option<f64>,
    /// Tokens made more likely, with the change of log-probability in nats.
    pub boosted: Vec<(u32, f64)>,
    /// Tokens made less likely.
    pub suppressed: Vec<(u32, f64)>,
}

impl GroupKind {
    /// Name in files.
    pub fn name(&self) -> &str {
        match self {
            Self::Top => "top",
            Self::Bottom => "bottom",
            Self::Interval { .. } => "interval",
            Self::Quantile { .. } => "quantile",
            Self::Inactive { .. } => "inactive",
            Self::Newer { name } => name,
        }
    }
}

impl Wire for GroupKind {
    const MIN_BYTES: usize = 2;

    fn write(&self, out: &mut Vec<u8>) {
        self.name().to_owned().write(out);
        write_sized(out, |out| match self {
            Self::Top | Self::Bottom | Self::Newer { .. } => {}
            Self::Interval { low, high } => (*low, *high).write(out),
            Self::Quantile { from, to, low, high } => ((*from, *to), (*low, *high)).write(out),
            Self::Inactive { token_id } => token_id.write(out),
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let name = String::read(from)?;
        let mut body = from.sized()?;
        Ok(match name.as_str() {
            "top" => Self::Top,
            "bottom" => Self::Bottom,
            "interval" => {
                let (low, high) = Wire::read(&mut body)?;
                Self::Interval { low, high }
            }
            "quantile" => {
                let ((from, to), (low, high)) = Wire::read(&mut body)?;
                Self::Quantile { from, to, low, high }
            }
            "inactive" => Self::Inactive { token_id: Wire::read(&mut body)? },
            _ => Self::Newer { name },
        })
    }
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
        let mut start = 0;
        let windows = self.windows().map(|window| {
            let ids = start..start + window.len();
            start = ids.end;
            (window, ids)
        });
        let chosen = windows.enumerate().skip(first).take(n);
        chosen.map_while(|(i, (window, ids))| self.example(i, window, ids, &distinct)).collect()
    }

    /// The positions in its row of each example's window.
    pub fn windows(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        self.rows.iter().zip(&self.positions).map(|(&row, &position)| {
            let end = self.row_acts.len_of(row as usize);
            self.buffer.map_or(0..end, |(before, after)| {
                let last = position.saturating_add(after).saturating_add(1);
                position.saturating_sub(before)..last.min(end)
            })
        })
    }

    /// The token ids of the windows without repetition, ascending: the keys of `token_logits`.
    pub fn distinct_token_ids(&self) -> Vec<u32> {
        let mut ids = self.token_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Corpus row, and position in it, of every example, in order.
    pub fn bold_tokens(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let row = |r: u32| self.row_acts.rows.get(r as usize).copied();
        self.rows.iter().zip(&self.positions).filter_map(move |(&r, &position)| Some((row(r)?, position)))
    }

    /// Token id of every example's bold token, in order.
    pub fn bold_token_ids(&self) -> impl Iterator<Item = u32> + '_ {
        let mut start = 0;
        self.windows().zip(&self.positions).filter_map(move |(window, &position)| {
            let bold = start + position.checked_sub(window.start)? as usize;
            start += window.len();
            self.token_ids.get(bold).copied()
        })
    }

    fn example(&self, i: usize, window: Range<u32>, ids: Range<usize>, distinct: &[u32]) -> Option<Example> {
        let row = *self.row_acts.rows.get(*self.rows.get(i)? as usize)?;
        let mut tokens = self.row_acts.tokens(row, window.start, self.token_ids.get(ids)?);
        for token in &mut tokens {
            let key = distinct.binary_search(&token.token_id).ok();
            token.logit = key.and_then(|k| self.token_logits.get(k));
        }
        let (position, act) = (*self.positions.get(i)?, self.acts.get(i)?);
        Some(Example { row, position, act, count: self.counts.get(i).copied().unwrap_or(1), tokens })
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n: u64 = self.groups.iter().map(|g| u64::from(g.n_examples)).sum();
        for (what, len) in [("rows", self.rows.len()), ("positions", self.positions.len())] {
            ensure(len as u64 == n, || format!("{n} examples have {len} {what}"))?;
        }
        ensure(self.counts.is_empty() || self.counts.len() as u64 == n, || {
            format!("{n} examples have {} counts", self.counts.len())
        })?;
        ensure(self.counts.iter().all(|count| *count > 0), || "an example stands for no window".into())?;
        self.acts.validate("activations of examples", self.positions.len())?;
        let known = self.rows.iter().all(|r| (*r as usize) < self.row_acts.rows.len());
        ensure(known, || "an example's row has no activations".into())?;
        self.row_acts.validate()?;
        let mut examples = self.rows.iter().zip(&self.positions);
        let inside = examples.all(|(&row, &position)| position < self.row_acts.len_of(row as usize));
        ensure(inside, || "an example lies outside its row".into())?;
        let n_tokens: u64 = self.windows().map(|window| u64::from(window.end - window.start)).sum();
        ensure(self.token_ids.len() as u64 == n_tokens, || {
            format!("windows have {} token ids, expected {n_tokens}", self.token_ids.len())
        })?;
        if self.token_logits.is_empty() {
            return Ok(());
        }
        self.token_logits.validate("token logits", self.distinct_token_ids().len())
    }
}

impl RowActs {
    /// The tokens `ids` of `row` from position `start` on, with activations and effects, without logits.
    pub fn tokens(&self, row: u32, start: u32, ids: &[u32]) -> Vec<TokenView> {
        let first = self.rows.binary_search(&row).ok().map(|r| r as u32 * self.row_len + start);
        // The entry that the walk stands at, beginning with the position before the first token.
        let mut next = first.map_or(self.active.len(), |first| {
            self.active.partition_point(|active| *active < first - u32::from(start > 0))
        });
        let mut active_at = |at: u32| {
            let here = (self.active.get(next) == Some(&at)).then_some(next);
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

    /// The activation at `position` of the row with index `r` in `rows`; 0 where inactive.
    pub fn act_at(&self, r: u32, position: u32) -> f64 {
        let at = r.saturating_mul(self.row_len).saturating_add(position);
        self.active.binary_search(&at).ok().and_then(|e| self.acts.get(e)).unwrap_or(0.0)
    }

    /// Number of tokens of the row with index `r` in `rows`.
    fn len_of(&self, r: usize) -> u32 {
        self.row_lens.get(r).copied().unwrap_or(self.row_len)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n_cells = (self.rows.len() as u64).saturating_mul(u64::from(self.row_len));
        ensure(u32::try_from(n_cells).is_ok(), || {
            format!("{} rows of {} tokens are too many", self.rows.len(), self.row_len)
        })?;
        ensure(self.row_lens.is_empty() || self.row_lens.len() == self.rows.len(), || {
            format!("{} rows have {} lengths", self.rows.len(), self.row_lens.len())
        })?;
        let longest = self.row_lens.iter().max().copied().unwrap_or(self.row_len);
        ensure(longest <= self.row_len, || {
            format!("a row has {longest} tokens, the longest {}", self.row_len)
        })?;
        ensure(self.active.last().is_none_or(|last| u64::from(*last) < n_cells), || {
            format!("an active position lies outside {} rows of {} tokens", self.rows.len(), self.row_len)
        })?;
        self.acts.validate("activations", self.active.len())?;
        self.effects.validate(self.active.len())
    }
}

impl Effects {
    /// The effect stored for entry `e` of [`RowActs::active`].
    fn of_entry(&self, e: usize) -> Option<EffectView> {
        let i = self.at.binary_search(&u32::try_from(e).ok()?).ok()?;
        Some(EffectView {
            loss_effect: self.loss.get(i)?,
            prob_change: self.prob_change.get(i),
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
        if !self.prob_change.is_empty() {
            self.prob_change.validate("probability changes", n)?;
        }
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
