//! The options of components as one table: validation, help, JSON Schema and the editor all read it.

use std::ops::RangeInclusive;

use super::{Component, StackMode};

/// An option of a component.
#[derive(Debug, Clone)]
pub struct OptionInfo {
    /// Name in JSON.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Numbers that it takes.
    pub range: RangeInclusive<u32>,
}

/// The value of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// A count.
    Number(u32),
    /// On or off.
    Flag(bool),
    /// Tokens before and after; `None` = the whole row.
    Buffer(Option<(u32, u32)>),
    /// How groups are laid out.
    Stack(StackMode),
}

impl Setting {
    /// The value in JSON.
    pub fn to_json(self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Flag(on) => on.to_string(),
            Self::Buffer(None) => "null".to_owned(),
            Self::Buffer(Some((before, after))) => format!("[{before},{after}]"),
            Self::Stack(mode) => format!("\"{}\"", mode.name()),
        }
    }
}

impl StackMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::StackAll, Self::StackQuantiles, Self::StackNone];

    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::StackAll => "stack-all",
            Self::StackQuantiles => "stack-quantiles",
            Self::StackNone => "stack-none",
        }
    }
}

/// Where an option is kept.
enum Slot<'a> {
    Number(&'a mut u32),
    Flag(&'a mut bool),
    Buffer(&'a mut Option<(u32, u32)>),
    Stack(&'a mut StackMode),
}

impl Slot<'_> {
    fn get(&self) -> Setting {
        match self {
            Self::Number(n) => Setting::Number(**n),
            Self::Flag(on) => Setting::Flag(**on),
            Self::Buffer(buffer) => Setting::Buffer(**buffer),
            Self::Stack(mode) => Setting::Stack(**mode),
        }
    }

    /// Whether the slot takes a setting of this kind.
    fn set(&mut self, setting: Setting) -> bool {
        match (self, setting) {
            (Self::Number(n), Setting::Number(to)) => **n = to,
            (Self::Flag(on), Setting::Flag(to)) => **on = to,
            (Self::Buffer(buffer), Setting::Buffer(to)) => **buffer = to,
            (Self::Stack(mode), Setting::Stack(to)) => **mode = to,
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
    (OptionInfo { name, about, range }, Slot::Number(slot))
}

fn flag<'a>(name: &'static str, slot: &'a mut bool, about: &'static str) -> (OptionInfo, Slot<'a>) {
    (OptionInfo { name, about, range: 0..=1 }, Slot::Flag(slot))
}

impl Component {
    /// The options with their values.
    pub fn settings(&self) -> Vec<(OptionInfo, Setting)> {
        let mut copy = *self;
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
                    },
                    Slot::Buffer(&mut o.buffer),
                ),
                flag(
                    "compute_buffer",
                    &mut o.compute_buffer,
                    "effects on every token of the window, not on the one after the bold one alone",
                ),
                number("n_quantiles", 0..=100, &mut o.n_quantiles, "interval groups; 0 = none"),
                number("top_acts_group_size", 1..=10_000, &mut o.top_acts_group_size, "top activations"),
                number(
                    "quantile_group_size",
                    1..=10_000,
                    &mut o.quantile_group_size,
                    "examples in each interval",
                ),
                number(
                    "top_logits_hoverdata",
                    0..=100,
                    &mut o.top_logits_hoverdata,
                    "tokens in each hover list of boosted and of suppressed ones",
                ),
                (
                    OptionInfo {
                        name: "stack_mode",
                        about: "groups below one another, intervals in one column, or in several",
                        range: 0..=2,
                    },
                    Slot::Stack(&mut o.stack_mode),
                ),
                flag("hover_below", &mut o.hover_below, "the hover card opens below its token"),
            ],
        }
    }
}
