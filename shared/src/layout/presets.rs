//! Layouts with names.

use super::{
    Column, Component, FeatureTablesOptions, HistogramOptions, Layout, LogitsTableOptions, SequencesOptions,
    StackMode,
};

/// Where a layout is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// The page of one feature.
    Feature,
    /// Each column of the prompt page.
    Prompt,
}

/// A layout with a name.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Where it is used.
    pub r#use: Use,
    /// The layout.
    pub layout: Layout,
}

impl Preset {
    /// All presets. `sequences-first` and `prompt-intervals` are the custom layouts of sae_vis's demo.
    pub fn all() -> [Self; 5] {
        let preset = |name, about, r#use, layout| Self { name, about, r#use, layout };
        [
            preset("default", "tables, plots, sequences", Use::Feature, Layout::default_feature()),
            preset("sequences-first", "long top activations first", Use::Feature, sequences_first()),
            preset("reading", "sequences alone, as wide as the page", Use::Feature, reading()),
            preset("prompt-default", "plot, logits, ten examples", Use::Prompt, Layout::default_prompt()),
            preset("prompt-intervals", "with tables and all intervals", Use::Prompt, prompt_intervals()),
        ]
    }
}

fn column(components: Vec<Component>, width: Option<u32>) -> Column {
    Column { components, width }
}

fn sequences_first() -> Layout {
    let sequences = SequencesOptions {
        buffer: Some((10, 5)),
        n_quantiles: 0,
        top_acts_group_size: 30,
        stack_mode: StackMode::StackAll,
        ..SequencesOptions::default()
    };
    let tables = FeatureTablesOptions { n_rows: 5, ..FeatureTablesOptions::default() };
    let plots = vec![Component::ActsHistogram(HistogramOptions::default()), Component::FeatureTables(tables)];
    Layout {
        columns: vec![column(vec![Component::Sequences(sequences)], Some(650)), column(plots, Some(500))],
        ..Layout::default()
    }
}

fn reading() -> Layout {
    let sequences = SequencesOptions { stack_mode: StackMode::StackQuantiles, ..SequencesOptions::default() };
    Layout { columns: vec![column(vec![Component::Sequences(sequences)], None)], ..Layout::default() }
}

fn prompt_intervals() -> Layout {
    let sequences = SequencesOptions {
        top_acts_group_size: 10,
        n_quantiles: 10,
        stack_mode: StackMode::StackAll,
        ..SequencesOptions::default()
    };
    let components = vec![
        Component::FeatureTables(FeatureTablesOptions::default()),
        Component::ActsHistogram(HistogramOptions::default()),
        Component::LogitsTable(LogitsTableOptions { n_rows: 5 }),
        Component::Sequences(sequences),
    ];
    Layout { columns: vec![column(components, Some(550))], height: Some(1200), ..Layout::default() }
}
