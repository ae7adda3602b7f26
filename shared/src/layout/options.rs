//! The options of components as one table: validation, help, JSON Schema and the editor all read it.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::{Component, Edges, Fold, StackMode};

/// An option of a component.
#[derive(Debug, Clone)]
pub struct OptionInfo {
    /// Name in JSON.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Numbers that it takes.
    pub range: RangeInclusive<u32>,
    /// Words that it takes.
    pub choices: &'static [&'static str],
}

/// The value of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Setting {
    /// A count.
    Number(u32),
    /// On or off.
    Flag(bool),
    /// Tokens before and after; `None` = the whole row.
    Buffer(Option<(u32, u32)>),
    /// One of [`OptionInfo::choices`].
    Choice(&'static str),
}

impl Setting {
    /// The value in JSON.
    pub fn to_json(self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Flag(on) => on.to_string(),
            Self::Buffer(None) => "null".to_owned(),
            Self::Buffer(Some((before, after))) => format!("[{before},{after}]"),
            Self::Choice(word) => format!("\"{word}\""),
        }
    }
}

/// An option that takes one of several words.
trait Choice: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    const WORDS: &'static [&'static str];

    fn word(self) -> &'static str {
        let word = Self::ALL.iter().position(|choice| *choice == self).and_then(|i| Self::WORDS.get(i));
        word.copied().unwrap_or_default()
    }

    fn choose(&mut self, word: &str) -> bool {
        let found = Self::WORDS.iter().position(|name| *name == word).and_then(|i| Self::ALL.get(i));
        if let Some(choice) = found {
            *self = *choice;
        }
        found.is_some()
    }
}

impl Choice for StackMode {
    const ALL: &'static [Self] = &[Self::StackAll, Self::StackQuantiles, Self::StackNone];
    const WORDS: &'static [&'static str] = &["stack-all", "stack-quantiles", "stack-none"];
}

impl Choice for Edges {
    const ALL: &'static [Self] = &[Self::Cut, Self::Skip];
    const WORDS: &'static [&'static str] = &["cut", "skip"];
}

impl Choice for Fold {
    const ALL: &'static [Self] = &[Self::Exact, Self::Near, Self::None];
    const WORDS: &'static [&'static str] = &["exact", "near", "none"];
}

/// Where an option is kept.
enum Slot<'a> {
    Number(&'a mut u32),
    Flag(&'a mut bool),
    Buffer(&'a mut Option<(u32, u32)>),
    Stack(&'a mut StackMode),
    Edges(&'a mut Edges),
    Fold(&'a mut Fold),
}

impl Slot<'_> {
    fn get(&self) -> Setting {
        match self {
            Self::Number(n) => Setting::Number(**n),
            Self::Flag(on) => Setting::Flag(**on),
            Self::Buffer(buffer) => Setting::Buffer(**buffer),
            Self::Stack(mode) => Setting::Choice(mode.word()),
            Self::Edges(edges) => Setting::Choice(edges.word()),
            Self::Fold(fold) => Setting::Choice(fold.word()),
        }
    }

    /// Whether the slot takes a setting of this kind.
    fn set(&mut self, setting: Setting) -> bool {
        match (self, setting) {
            (Self::Number(n), Setting::Number(to)) => **n = to,
            (Self::Flag(on), Setting::Flag(to)) => **on = to,
            (Self::Buffer(buffer), Setting::Buffer(to)) => **buffer = to,
            (Self::Stack(mode), Setting::Choice(word)) => return mode.choose(word),
            (Self::Edges(edges), Setting::Choice(word)) => return edges.choose(word),
            (Self::Fold(fold), Setting::Choice(word)) => return fold.choose(word),
            _ => return false,
        }
        true
    }
}

fn number<'a>(
    name: &'static str,
    range: RangeInclusive<u32>,
    slot: &'a mut u32,
    about: &'static str,
) -> (OptionInfo, Slot<'a>) {
    (OptionInfo { name, about, range, choices: &[] }, Slot::Number(slot))
}

fn flag<'a>(name: &'static str, slot: &'a mut bool, about: &'static str) -> (OptionInfo, Slot<'a>) {
    (OptionInfo { name, about, range: 0..=1, choices: &[] }, Slot::Flag(slot))
}

fn choice<'a>(
    name: &'static str,
    choices: &'static [&'static str],
    slot: Slot<'a>,
    about: &'static str,
) -> (OptionInfo, Slot<'a>) {
    (OptionInfo { name, about, range: 0..=0, choices }, slot)
}

impl Component {
    /// The options with their values.
    pub fn settings(&self) -> Vec<(OptionInfo, Setting)> {
        let mut copy = self.clone();
        copy.slots().into_iter().map(|(info, slot)| (info, slot.get())).collect()
    }

    /// The options that differ from their defaults.
    pub fn changed(&self) -> Vec<(OptionInfo, Setting)> {
        let defaults = self.default_options().settings();
        let settings = self.settings().into_iter().zip(defaults);
        settings.filter(|((_, now), (_, default))| now != default).map(|(setting, _)| setting).collect()
    }

    /// Sets an option; `false` where the component has none of this name and kind. Ranges are checked by
    /// [`super::Layout::validate`].
    pub fn set(&mut self, option: &str, setting: Setting) -> bool {
        let slot = self.slots().into_iter().find(|(info, _)| info.name == option);
        slot.is_some_and(|(_, mut slot)| slot.set(setting))
    }

    fn slots(&mut self) -> Vec<(OptionInfo, Slot<'_>)> {
        match self {
            Self::FeatureTables(o) => vec![
                number("n_rows", 1..=100, &mut o.n_rows, "rows of each table"),
                flag(
                    "neuron_alignment_table",
                    &mut o.neuron_alignment_table,
                    "neurons that the decoder direction is aligned with",
                ),
                flag(
                    "correlated_neurons_table",
                    &mut o.correlated_neurons_table,
                    "neurons whose activation correlates with the feature's",
                ),
                flag(
                    "correlated_features_table",
                    &mut o.correlated_features_table,
                    "correlated features of the same SAE",
                ),
                flag(
                    "correlated_b_features_table",
                    &mut o.correlated_b_features_table,
                    "correlated features of SAE B, where there is one",
                ),
            ],
            Self::ActsHistogram(o) | Self::LogitsHistogram(o) => {
                vec![number("n_bins", 1..=1000, &mut o.n_bins, "equal bins")]
            }
            Self::LogitsTable(o) => vec![number("n_rows", 1..=1000, &mut o.n_rows, "tokens on each side")],
            Self::Sequences(o) => vec![
                (
                    OptionInfo {
                        name: "buffer",
                        about: "tokens before and after the bold one; null = the whole row",
                        range: 0..=10_000,
                        choices: &[],
                    },
                    Slot::Buffer(&mut o.buffer),
                ),
                flag(
                    "compute_buffer",
                    &mut o.compute_buffer,
                    "effects on every token of the window, not on the one after the bold one alone",
                ),
                number(
                    "n_quantiles",
                    0..=100,
                    &mut o.n_quantiles,
                    "interval groups, of equal width; 0 = none",
                ),
                number(
                    "n_true_quantiles",
                    0..=100,
                    &mut o.n_true_quantiles,
                    "quantile groups, of equally many active positions; 0 = none",
                ),
                number("top_acts_group_size", 1..=10_000, &mut o.top_acts_group_size, "top activations"),
                number(
                    "quantile_group_size",
                    1..=10_000,
                    &mut o.quantile_group_size,
                    "examples in each interval or quantile group",
                ),
                number(
                    "inactive_group_size",
                    0..=10_000,
                    &mut o.inactive_group_size,
                    "examples of the feature's commonest token where it is not active; 0 = none",
                ),
                choice(
                    "edges",
                    Edges::WORDS,
                    Slot::Edges(&mut o.edges),
                    "windows at a row's ends: cut there, or skipped",
                ),
                choice(
                    "fold",
                    Fold::WORDS,
                    Slot::Fold(&mut o.fold),
                    "windows that count as one example: of the same tokens, nearly the same, or none",
                ),
                number(
                    "top_logits_hoverdata",
                    0..=100,
                    &mut o.top_logits_hoverdata,
                    "tokens in each hover list of boosted and of suppressed ones",
                ),
                choice(
                    "stack_mode",
                    StackMode::WORDS,
                    Slot::Stack(&mut o.stack_mode),
                    "groups below one another, intervals in one column, or in several",
                ),
                flag("hover_below", &mut o.hover_below, "the hover card opens below its token"),
            ],
            Self::Newer(_) => Vec::new(),
        }
    }
}
