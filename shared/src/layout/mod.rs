//! Layouts: which components a page shows, in which columns, with which options.
//!
//! A layout is JSON, the same for `compute --layout` and for the viewer. It has two readers: `compute` gathers
//! the data that a layout [needs](Layout::needs), the viewer shows a layout if the data [covers](Needs::covers)
//! its needs. The names are those of sae_vis 0.2's `SaeVisLayoutConfig`, but for the options that it has not.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use crate::error::{Invalid, ensure};

mod help;
mod needs;
mod newer;
mod options;
mod presets;
mod schema;

pub use needs::{Needs, Refusal};
pub use options::{OptionInfo, Setting};
pub use presets::{Preset, Use};

/// Columns of components.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Columns, left to right.
    pub columns: Vec<Column>,
    /// Height of the page's panel in CSS pixels; `None` = as high as its content.
    #[serde(default)]
    pub height: Option<u32>,
    /// Options that a newer version wrote and this one does not know, as `component.option`.
    #[serde(skip)]
    pub newer_options: Vec<String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// One that a newer version knows, as it stood in the bundle.
    #[serde(skip)]
    Newer(Value),
}

/// Options of the feature tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "one switch for each table, as in sae_vis's JSON")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistogramOptions {
    /// Number of equal bins.
    pub n_bins: u32,
}

/// Options of the logits table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogitsTableOptions {
    /// Tokens on each side.
    pub n_rows: u32,
}

/// Options of the sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequencesOptions {
    /// Tokens shown before and after the bold one; `null` = the whole row.
    pub buffer: Option<(u32, u32)>,
    /// Whether effects are computed on every token of the window, not on the one after the bold one alone.
    pub compute_buffer: bool,
    /// Interval groups, of equal width; 0 = none.
    pub n_quantiles: u32,
    /// Quantile groups, of equally many active positions; 0 = none.
    pub n_true_quantiles: u32,
    /// Examples in the group of top activations, and of bottom ones where the SAE is signed.
    pub top_acts_group_size: u32,
    /// Examples in each interval or quantile group.
    pub quantile_group_size: u32,
    /// Examples of the token at which the feature is most often active where it is not; 0 = none.
    pub inactive_group_size: u32,
    /// What becomes of windows that do not fit into their row.
    pub edges: Edges,
    /// Which windows count as one example.
    pub fold: Fold,
    /// Tokens in each hover list of boosted and of suppressed tokens.
    pub top_logits_hoverdata: u32,
    /// How groups are laid out.
    pub stack_mode: StackMode,
    /// Whether the hover card opens below the token rather than above.
    pub hover_below: bool,
}

/// What becomes of windows that do not fit into their row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edges {
    /// They are cut at the row's ends.
    #[default]
    Cut,
    /// They are left out, as in sae_vis: the first and last positions of a row are never shown.
    Skip,
}

/// Which windows of a group count as one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fold {
    /// Those of the same tokens, around the same bold one.
    #[default]
    Exact,
    /// Those with the same bold token and at least four in five tokens the same, counted from it.
    Near,
    /// None, as in sae_vis: the same window may be shown many times.
    None,
}

/// How the groups of sequences are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
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
            n_true_quantiles: 0,
            top_acts_group_size: 20,
            quantile_group_size: 5,
            inactive_group_size: 0,
            edges: Edges::default(),
            fold: Fold::default(),
            top_logits_hoverdata: 5,
            stack_mode: StackMode::StackNone,
            hover_below: true,
        }
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Newer(raw) = self {
            return raw.serialize(serializer);
        }
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("type", self.name())?;
        for (option, setting) in self.settings() {
            members.serialize_entry(option.name, &setting)?;
        }
        members.end()
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
            ..Self::default()
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
        Self { columns: vec![Column { components, width: Some(420) }], ..Self::default() }
    }

    /// Reads a layout from JSON and checks it.
    pub fn from_json(json: &str) -> Result<Self, Invalid> {
        let value: Value = serde_json::from_str(json).map_err(|e| Invalid(e.to_string()))?;
        let layout = Self::deserialize(&value).map_err(|e| Invalid(e.to_string()))?;
        layout.validate()?;
        Ok(layout)
    }

    /// The layout as JSON, without the options that have their defaults.
    pub fn to_json(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(Column::to_json).collect();
        let height = self.height.map_or_else(String::new, |px| format!(",\"height\":{px}"));
        format!("{{\"columns\":[{}]{height}}}", columns.join(","))
    }

    /// All components in order.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.columns.iter().flat_map(|c| &c.components)
    }

    /// Fails where an option is out of its range.
    pub fn validate(&self) -> Result<(), Invalid> {
        ensure(self.components().next().is_some(), || "the layout has no component".into())?;
        ranged_px("height", self.height)?;
        for (i, column) in self.columns.iter().enumerate() {
            ranged_px(&format!("column {}: width", i + 1), column.width)?;
            for component in &column.components {
                let in_column = |Invalid(reason)| Invalid(format!("column {}: {reason}", i + 1));
                component.validate().map_err(in_column)?;
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

impl Column {
    fn to_json(&self) -> String {
        let components: Vec<String> = self.components.iter().map(Component::to_json).collect();
        let width = self.width.map_or_else(String::new, |px| format!(",\"width\":{px}"));
        format!("{{\"components\":[{}]{width}}}", components.join(","))
    }
}

/// Widths and heights in CSS pixels.
const PX: std::ops::RangeInclusive<u32> = 100..=10_000;

fn ranged_px(what: &str, px: Option<u32>) -> Result<(), Invalid> {
    ensure(px.is_none_or(|px| PX.contains(&px)), || {
        format!("{what} is {} px, expected {} to {}", px.unwrap_or_default(), PX.start(), PX.end())
    })
}

impl Component {
    /// One of each kind, with default options.
    pub fn all() -> [Self; 5] {
        [
            Self::FeatureTables(FeatureTablesOptions::default()),
            Self::ActsHistogram(HistogramOptions::default()),
            Self::LogitsTable(LogitsTableOptions::default()),
            Self::LogitsHistogram(HistogramOptions::default()),
            Self::Sequences(SequencesOptions::default()),
        ]
    }

    /// The component of the same kind with default options.
    #[must_use]
    pub fn default_options(&self) -> Self {
        Self::all().into_iter().find(|c| c.name() == self.name()).unwrap_or_else(|| self.clone())
    }

    /// Name in JSON and in messages.
    pub fn name(&self) -> &str {
        match self {
            Self::FeatureTables(_) => "feature_tables",
            Self::ActsHistogram(_) => "acts_histogram",
            Self::LogitsTable(_) => "logits_table",
            Self::LogitsHistogram(_) => "logits_histogram",
            Self::Sequences(_) => "sequences",
            Self::Newer(raw) => raw.get("type").and_then(Value::as_str).unwrap_or("unnamed"),
        }
    }

    fn to_json(&self) -> String {
        if let Self::Newer(raw) = self {
            return raw.to_string();
        }
        let mut members = vec![format!("\"type\":\"{}\"", self.name())];
        members.extend(
            self.changed().iter().map(|(option, set)| format!("\"{}\":{}", option.name, set.to_json())),
        );
        format!("{{{}}}", members.join(","))
    }

    fn validate(&self) -> Result<(), Invalid> {
        for (option, setting) in self.settings() {
            let ranged = |value: u32, index: &str| {
                ensure(option.range.contains(&value), || {
                    let (low, high) = (option.range.start(), option.range.end());
                    format!("{}.{}{index} is {value}, expected {low} to {high}", self.name(), option.name)
                })
            };
            match setting {
                Setting::Number(n) => ranged(n, "")?,
                Setting::Buffer(Some((before, after))) => {
                    ranged(before, "[0]")?;
                    ranged(after, "[1]")?;
                }
                Setting::Buffer(None) | Setting::Flag(_) | Setting::Choice(_) => {}
            }
        }
        Ok(())
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
            Self::Newer(_) => {}
        }
        needs
    }
}
