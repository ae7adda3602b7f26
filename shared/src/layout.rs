//! Layouts: which components a page shows, in which columns, with which options.
//!
//! A layout is JSON, the same for `compute --layout` and for the viewer. It has two readers: `compute` gathers
//! the data that a layout [needs](Layout::needs), the viewer shows a layout if the data [covers](Needs::covers)
//! its needs. The names are those of sae_vis 0.2's `SaeVisLayoutConfig`.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, ensure};

/// Columns of components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Columns, left to right.
    pub columns: Vec<Column>,
    /// Height of the page's panel in CSS pixels; `None` = as high as its content.
    #[serde(default)]
    pub height: Option<u32>,
}

/// Components below one another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Components, top to bottom.
    pub components: Vec<Component>,
    /// Width in CSS pixels; `None` = as wide as its content needs.
    #[serde(default)]
    pub width: Option<u32>,
}

/// A component with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Component {
    /// Tables of related neurons and features.
    FeatureTables(FeatureTablesOptions),
    /// Histogram of the activations at active positions.
    ActsHistogram(HistogramOptions),
    /// Tokens with the largest and smallest logits.
    LogitsTable(LogitsTableOptions),
    /// Histogram of the logits over the vocabulary.
    LogitsHistogram(HistogramOptions),
    /// Examples from the corpus.
    Sequences(SequencesOptions),
}

/// Options of the feature tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "one switch for each table, as in sae_vis's JSON")]
pub struct FeatureTablesOptions {
    /// Rows of each table.
    pub n_rows: u32,
    /// Whether to show the neurons that the decoder direction is aligned with.
    pub neuron_alignment_table: bool,
    /// Whether to show the neurons whose activation correlates with the feature's.
    pub correlated_neurons_table: bool,
    /// Whether to show the correlated features of the same SAE.
    pub correlated_features_table: bool,
    /// Whether to show the correlated features of SAE B; nothing is shown where there is no SAE B.
    pub correlated_b_features_table: bool,
}

/// Options of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistogramOptions {
    /// Number of equal bins.
    pub n_bins: u32,
}

/// Options of the logits table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogitsTableOptions {
    /// Tokens on each side.
    pub n_rows: u32,
}

/// Options of the sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequencesOptions {
    /// Tokens shown before and after the bold one; `null` = the whole row.
    pub buffer: Option<(u32, u32)>,
    /// Whether effects are computed on every token of the window, not on the one after the bold one alone.
    pub compute_buffer: bool,
    /// Interval groups; 0 = none.
    pub n_quantiles: u32,
    /// Examples in the group of top activations.
    pub top_acts_group_size: u32,
    /// Examples in each interval group.
    pub quantile_group_size: u32,
    /// Tokens in each hover list of boosted and of suppressed tokens.
    pub top_logits_hoverdata: u32,
    /// How groups are laid out.
    pub stack_mode: StackMode,
    /// Whether the hover card opens below the token rather than above.
    pub hover_below: bool,
}

/// How the groups of sequences are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackMode {
    /// All groups below one another.
    StackAll,
    /// Top activations in one column, all intervals in another.
    StackQuantiles,
    /// Top activations in one column, intervals in further columns.
    #[default]
    StackNone,
}

impl Default for FeatureTablesOptions {
    fn default() -> Self {
        Self {
            n_rows: 3,
            neuron_alignment_table: true,
            correlated_neurons_table: true,
            correlated_features_table: true,
            correlated_b_features_table: true,
        }
    }
}

impl Default for HistogramOptions {
    fn default() -> Self {
        Self { n_bins: 50 }
    }
}

impl Default for LogitsTableOptions {
    fn default() -> Self {
        Self { n_rows: 10 }
    }
}

impl Default for SequencesOptions {
    fn default() -> Self {
        Self {
            buffer: Some((5, 5)),
            compute_buffer: true,
            n_quantiles: 10,
            top_acts_group_size: 20,
            quantile_group_size: 5,
            top_logits_hoverdata: 5,
            stack_mode: StackMode::StackNone,
            hover_below: true,
        }
    }
}

impl Layout {
    /// The default layout of a feature's page: tables; histograms and logits; sequences.
    pub fn default_feature() -> Self {
        let column = |components: &[Component]| Column { components: components.to_vec(), width: None };
        Self {
            columns: vec![
                column(&[Component::FeatureTables(FeatureTablesOptions::default())]),
                column(&[
                    Component::ActsHistogram(HistogramOptions::default()),
                    Component::LogitsTable(LogitsTableOptions::default()),
                    Component::LogitsHistogram(HistogramOptions::default()),
                ]),
                column(&[Component::Sequences(SequencesOptions::default())]),
            ],
            height: None,
        }
    }

    /// The default layout of a column of the prompt page.
    pub fn default_prompt() -> Self {
        let sequences = SequencesOptions {
            top_acts_group_size: 10,
            n_quantiles: 0,
            stack_mode: StackMode::StackAll,
            ..SequencesOptions::default()
        };
        let components = vec![
            Component::ActsHistogram(HistogramOptions::default()),
            Component::LogitsTable(LogitsTableOptions { n_rows: 5 }),
            Component::Sequences(sequences),
        ];
        Self { columns: vec![Column { components, width: Some(420) }], height: None }
    }

    /// Reads a layout from JSON and checks it.
    pub fn from_json(json: &str) -> Result<Self, Invalid> {
        let layout: Self = serde_json::from_str(json).map_err(|e| Invalid(e.to_string()))?;
        layout.validate()?;
        Ok(layout)
    }

    /// The layout as readable JSON.
    pub fn to_json(&self) -> Result<String, Invalid> {
        serde_json::to_string_pretty(self).map_err(|e| Invalid(e.to_string()))
    }

    /// All components in order.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.columns.iter().flat_map(|c| &c.components)
    }

    /// Fails where an option is out of its range.
    pub fn validate(&self) -> Result<(), Invalid> {
        ensure(self.components().next().is_some(), || "the layout has no component".into())?;
        for (i, column) in self.columns.iter().enumerate() {
            for component in &column.components {
                let place = |Invalid(reason)| Invalid(format!("column {}: {reason}", i + 1));
                component.validate().map_err(place)?;
            }
        }
        let n_sequences = self.components().filter(|c| matches!(c, Component::Sequences(_))).count();
        ensure(n_sequences <= 1, || {
            format!("the layout has {n_sequences} components of type sequences, at most one is possible")
        })
    }

    /// Fails unless the layout is valid and has the one column that the prompt page repeats.
    pub fn validate_prompt(&self) -> Result<(), Invalid> {
        self.validate()?;
        ensure(self.columns.len() == 1, || {
            format!("the prompt layout has {} columns, expected 1", self.columns.len())
        })
    }

    /// The data that the layout shows.
    pub fn needs(&self) -> Needs {
        self.components().fold(Needs::default(), |needs, c| needs.and(&c.needs()))
    }
}

impl Component {
    /// Name in JSON and in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FeatureTables(_) => "feature_tables",
            Self::ActsHistogram(_) => "acts_histogram",
            Self::LogitsTable(_) => "logits_table",
            Self::LogitsHistogram(_) => "logits_histogram",
            Self::Sequences(_) => "sequences",
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let ranged = |option: &str, value: u32, low: u32, high: u32| {
            ensure((low..=high).contains(&value), || {
                format!("{}.{option} is {value}, expected {low} to {high}", self.name())
            })
        };
        match self {
            Self::FeatureTables(o) => ranged("n_rows", o.n_rows, 1, 100),
            Self::ActsHistogram(o) | Self::LogitsHistogram(o) => ranged("n_bins", o.n_bins, 1, 1000),
            Self::LogitsTable(o) => ranged("n_rows", o.n_rows, 1, 1000),
            Self::Sequences(o) => {
                let (before, after) = o.buffer.unwrap_or_default();
                ranged("buffer[0]", before, 0, 10_000)?;
                ranged("buffer[1]", after, 0, 10_000)?;
                ranged("n_quantiles", o.n_quantiles, 0, 100)?;
                ranged("top_acts_group_size", o.top_acts_group_size, 1, 10_000)?;
                ranged("quantile_group_size", o.quantile_group_size, 1, 10_000)?;
                ranged("top_logits_hoverdata", o.top_logits_hoverdata, 0, 100)
            }
        }
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match self {
            Self::FeatureTables(o) => {
                let rows = |shown: bool| if shown { o.n_rows } else { 0 };
                needs.neuron_alignment = rows(o.neuron_alignment_table);
                needs.correlated_neurons = rows(o.correlated_neurons_table);
                needs.correlated_features = rows(o.correlated_features_table);
                needs.correlated_b_features = rows(o.correlated_b_features_table);
            }
            Self::ActsHistogram(o) => needs.acts_bins = Some(o.n_bins),
            Self::LogitsHistogram(o) => needs.logits_bins = Some(o.n_bins),
            Self::LogitsTable(o) => needs.logits_rows = o.n_rows,
            Self::Sequences(o) => needs.sequences = Some(*o),
        }
        needs
    }
}

/// The data that layouts show: what `compute` gathers and a bundle holds. Zero or `None` = nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Rows of the neuron alignment table.
    pub neuron_alignment: u32,
    /// Rows of the correlated neurons table.
    pub correlated_neurons: u32,
    /// Rows of the correlated features table.
    pub correlated_features: u32,
    /// Rows of the table of correlated features of SAE B.
    pub correlated_b_features: u32,
    /// Bins of the activations histogram.
    pub acts_bins: Option<u32>,
    /// Bins of the logits histogram.
    pub logits_bins: Option<u32>,
    /// Rows on each side of the logits table.
    pub logits_rows: u32,
    /// Sequences.
    pub sequences: Option<SequencesOptions>,
}

/// A component's option that asks for more than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the component.
    pub component: &'static str,
    /// Name of the option.
    pub option: &'static str,
    /// What was asked for, and the limit.
    pub reason: String,
}

impl Needs {
    /// The needs of both: what serves a feature layout and a prompt layout at once.
    ///
    /// Where the two contradict (bins, intervals), the first one's wish is kept; [`Needs::covers`] tells.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            neuron_alignment: self.neuron_alignment.max(other.neuron_alignment),
            correlated_neurons: self.correlated_neurons.max(other.correlated_neurons),
            correlated_features: self.correlated_features.max(other.correlated_features),
            correlated_b_features: self.correlated_b_features.max(other.correlated_b_features),
            acts_bins: self.acts_bins.or(other.acts_bins),
            logits_bins: self.logits_bins.or(other.logits_bins),
            logits_rows: self.logits_rows.max(other.logits_rows),
            sequences: match (self.sequences, other.sequences) {
                (Some(a), Some(b)) => Some(a.and(&b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Where `shown` asks for more than these data hold; empty = the layout can be shown.
    pub fn covers(&self, shown: &Self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |component, option, holds: bool, reason: String| {
            if !holds {
                refusals.push(Refusal { component, option, reason });
            }
        };
        for (option, asked, stored) in [
            ("neuron_alignment_table", shown.neuron_alignment, self.neuron_alignment),
            ("correlated_neurons_table", shown.correlated_neurons, self.correlated_neurons),
            ("correlated_features_table", shown.correlated_features, self.correlated_features),
            ("correlated_b_features_table", shown.correlated_b_features, self.correlated_b_features),
        ] {
            let option = if stored == 0 { option } else { "n_rows" };
            refuse("feature_tables", option, asked <= stored, at_most(asked, "rows", stored));
        }
        let rows = (shown.logits_rows, self.logits_rows);
        refuse("logits_table", "n_rows", rows.0 <= rows.1, at_most(rows.0, "rows", rows.1));
        for (component, asked, stored) in [
            ("acts_histogram", shown.acts_bins, self.acts_bins),
            ("logits_histogram", shown.logits_bins, self.logits_bins),
        ] {
            if let Some(n) = asked {
                let have = stored.map_or("no histogram".to_owned(), |s| format!("{s}"));
                let reason = format!("{n} bins asked for, the bundle stores {have}");
                refuse(component, "n_bins", asked == stored, reason);
            }
        }
        match (shown.sequences, self.sequences) {
            (Some(_), None) => {
                refuse("sequences", "top_acts_group_size", false, "the bundle stores no sequences".into());
            }
            (Some(asked), Some(stored)) => stored.covers(&asked, &mut refuse),
            (None, _) => {}
        }
        refusals
    }
}

fn at_most(asked: u32, what: &str, stored: u32) -> String {
    format!("{asked} {what} asked for, the bundle stores {stored}")
}

impl SequencesOptions {
    fn and(&self, other: &Self) -> Self {
        Self {
            buffer: match (self.buffer, other.buffer) {
                (Some(a), Some(b)) => Some((a.0.max(b.0), a.1.max(b.1))),
                _ => None,
            },
            compute_buffer: self.compute_buffer || other.compute_buffer,
            n_quantiles: if self.n_quantiles == 0 { other.n_quantiles } else { self.n_quantiles },
            top_acts_group_size: self.top_acts_group_size.max(other.top_acts_group_size),
            quantile_group_size: self.quantile_group_size.max(other.quantile_group_size),
            top_logits_hoverdata: self.top_logits_hoverdata.max(other.top_logits_hoverdata),
            ..*self
        }
    }

    fn covers(&self, asked: &Self, refuse: &mut impl FnMut(&'static str, &'static str, bool, String)) {
        let mut limit = |option, asked: u32, what, stored: u32| {
            refuse("sequences", option, asked <= stored, at_most(asked, what, stored));
        };
        limit("top_acts_group_size", asked.top_acts_group_size, "examples", self.top_acts_group_size);
        if asked.n_quantiles > 0 {
            limit("quantile_group_size", asked.quantile_group_size, "examples", self.quantile_group_size);
        }
        let hover = (asked.top_logits_hoverdata, self.top_logits_hoverdata);
        limit("top_logits_hoverdata", hover.0, "tokens", hover.1);
        let intervals = asked.n_quantiles == 0 || asked.n_quantiles == self.n_quantiles;
        let reason =
            format!("{} intervals asked for, the bundle stores {}", asked.n_quantiles, self.n_quantiles);
        refuse("sequences", "n_quantiles", intervals, reason);
        let (fits, stored) = match (asked.buffer, self.buffer) {
            (_, None) => (true, String::new()),
            (None, Some((b, a))) => (false, format!("({b}, {a})")),
            (Some(asked), Some((b, a))) => (asked.0 <= b && asked.1 <= a, format!("({b}, {a})")),
        };
        let wish = asked.buffer.map_or("whole rows".to_owned(), |(b, a)| format!("({b}, {a})"));
        refuse("sequences", "buffer", fits, format!("{wish} asked for, the bundle stores {stored}"));
    }
}
