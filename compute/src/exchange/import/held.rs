//! What the features of an import hold, and the layouts that show it.

use shared::{
    feature::Feature,
    layout::{
        Column, Component, FeatureTablesOptions, HistogramOptions, Layout, LogitsTableOptions,
        SequencesOptions,
    },
    manifest::Layouts,
    sequence::GroupKind,
};

/// The most that any feature holds.
#[derive(Debug, Default)]
pub struct Held {
    tables: [usize; 4],
    acts_bins: Option<usize>,
    logits_bins: Option<usize>,
    logits_rows: usize,
    has_sequences: bool,
    n_top: u32,
    n_intervals: usize,
    n_quantiles: usize,
    n_in_interval: u32,
    n_inactive: u32,
    n_hover: u32,
    /// Tokens before and after the bold one, where all have the same.
    buffer: Option<(u32, u32)>,
}

impl Held {
    /// Takes what `feature` holds.
    pub fn take(&mut self, feature: &Feature) {
        let t = &feature.tables;
        let rows = [
            t.neuron_alignment.as_ref().map(Vec::len),
            t.correlated_neurons.as_ref().map(Vec::len),
            t.correlated_features.as_ref().map(Vec::len),
            t.correlated_b_features.as_ref().map(Vec::len),
        ];
        for (most, rows) in self.tables.iter_mut().zip(rows) {
            *most = (*most).max(rows.unwrap_or(0));
        }
        self.acts_bins = self.acts_bins.max(feature.acts_histogram.as_ref().map(|h| h.counts.len()));
        self.logits_bins = self.logits_bins.max(feature.logits_histogram.as_ref().map(|h| h.counts.len()));
        let rows = feature.logits_table.as_ref().map_or(0, |table| table.top.len().max(table.bottom.len()));
        self.logits_rows = self.logits_rows.max(rows);
        let Some(sequences) = &feature.sequences else { return };
        self.has_sequences = true;
        self.buffer = sequences.buffer;
        let of = |is: fn(&GroupKind) -> bool| sequences.groups.iter().filter(move |group| is(&group.kind));
        let most = |is: fn(&GroupKind) -> bool| of(is).map(|group| group.n_examples).max().unwrap_or(0);
        self.n_top = self.n_top.max(most(|kind| matches!(kind, GroupKind::Top | GroupKind::Bottom)));
        self.n_intervals =
            self.n_intervals.max(of(|kind| matches!(kind, GroupKind::Interval { .. })).count());
        self.n_quantiles =
            self.n_quantiles.max(of(|kind| matches!(kind, GroupKind::Quantile { .. })).count());
        let is_range =
            |kind: &GroupKind| matches!(kind, GroupKind::Interval { .. } | GroupKind::Quantile { .. });
        self.n_in_interval = self.n_in_interval.max(most(is_range));
        self.n_inactive = self.n_inactive.max(most(|kind| matches!(kind, GroupKind::Inactive { .. })));
        self.n_hover = self.n_hover.max(sequences.row_acts.effects.n_hover);
    }

    /// Whether features of SAE B are listed.
    pub fn has_sae_b(&self) -> bool {
        self.tables[3] > 0
    }

    /// The default layouts, without what no feature holds.
    pub fn layouts(&self) -> Layouts {
        let column = |components: Vec<Component>, width| Column { components, width };
        let layout = |columns: Vec<Column>, default: fn() -> Layout| {
            let columns: Vec<_> =
                columns.into_iter().filter(|column| !column.components.is_empty()).collect();
            // Where no feature holds anything the panels say so.
            if columns.is_empty() { default() } else { Layout { columns, ..Layout::default() } }
        };
        let plots = || [self.acts_histogram(), self.logits_table(), self.logits_histogram()];
        let feature = vec![
            column(self.tables().into_iter().collect(), None),
            column(plots().into_iter().flatten().collect(), None),
            column(self.sequences().into_iter().collect(), None),
        ];
        let prompt = [self.acts_histogram(), self.logits_table(), self.sequences()];
        let prompt = vec![column(prompt.into_iter().flatten().collect(), Some(420))];
        Layouts {
            feature: layout(feature, Layout::default_feature),
            prompt: layout(prompt, Layout::default_prompt),
        }
    }

    fn tables(&self) -> Option<Component> {
        let n_rows = self.tables.iter().copied().filter(|n| *n > 0).min()? as u32;
        let [alignment, neurons, features, features_b] = self.tables.map(|n| n > 0);
        Some(Component::FeatureTables(FeatureTablesOptions {
            n_rows,
            neuron_alignment_table: alignment,
            correlated_neurons_table: neurons,
            correlated_features_table: features,
            correlated_b_features_table: features_b,
        }))
    }

    fn acts_histogram(&self) -> Option<Component> {
        self.acts_bins.map(|n| Component::ActsHistogram(HistogramOptions { n_bins: n as u32 }))
    }

    fn logits_histogram(&self) -> Option<Component> {
        self.logits_bins.map(|n| Component::LogitsHistogram(HistogramOptions { n_bins: n as u32 }))
    }

    fn logits_table(&self) -> Option<Component> {
        let n_rows = self.logits_rows as u32;
        (n_rows > 0).then_some(Component::LogitsTable(LogitsTableOptions { n_rows }))
    }

    fn sequences(&self) -> Option<Component> {
        self.has_sequences.then(|| {
            Component::Sequences(SequencesOptions {
                buffer: self.buffer,
                n_quantiles: self.n_intervals as u32,
                n_true_quantiles: self.n_quantiles as u32,
                // A group that no feature has is never shown, whatever its size.
                top_acts_group_size: self.n_top.max(1),
                quantile_group_size: self.n_in_interval.max(1),
                inactive_group_size: self.n_inactive,
                top_logits_hoverdata: self.n_hover,
                ..SequencesOptions::default()
            })
        })
    }
}
