//! What a layout needs of a bundle, and whether a bundle holds it.

use super::SequencesOptions;
use crate::sequence::GroupKind;
use serde::{Deserialize, Serialize};

/// The data that layouts show: what `compute` gathers and a bundle holds. Zero or `None` = nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// Of two numbers of groups the first that is not 0.
fn first_wish(a: u32, b: u32) -> u32 {
    if a == 0 { b } else { a }
}

impl SequencesOptions {
    /// How many examples of a group of this kind are shown, at most; 0 = the group is not shown.
    pub fn n_shown(&self, kind: &GroupKind) -> u32 {
        let if_any = |groups: u32, size: u32| if groups > 0 { size } else { 0 };
        match kind {
            GroupKind::Top | GroupKind::Bottom => self.top_acts_group_size,
            GroupKind::Interval { .. } => if_any(self.n_quantiles, self.quantile_group_size),
            GroupKind::Quantile { .. } => if_any(self.n_true_quantiles, self.quantile_group_size),
            GroupKind::Inactive { .. } => self.inactive_group_size,
            GroupKind::Newer { .. } => u32::MAX,
        }
    }

    /// The options that serve both layouts. How examples are chosen at edges and folded is the first one's wish: a bundle
    /// has one choice of examples, and every layout shows it.
    fn and(&self, other: &Self) -> Self {
        Self {
            buffer: match (self.buffer, other.buffer) {
                (Some(a), Some(b)) => Some((a.0.max(b.0), a.1.max(b.1))),
                _ => None,
            },
            compute_buffer: self.compute_buffer || other.compute_buffer,
            n_quantiles: first_wish(self.n_quantiles, other.n_quantiles),
            n_true_quantiles: first_wish(self.n_true_quantiles, other.n_true_quantiles),
            inactive_group_size: self.inactive_group_size.max(other.inactive_group_size),
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
        if asked.n_quantiles > 0 || asked.n_true_quantiles > 0 {
            limit("quantile_group_size", asked.quantile_group_size, "examples", self.quantile_group_size);
        }
        let inactive = (asked.inactive_group_size, self.inactive_group_size);
        limit("inactive_group_size", inactive.0, "examples", inactive.1);
        let hover = (asked.top_logits_hoverdata, self.top_logits_hoverdata);
        limit("top_logits_hoverdata", hover.0, "tokens", hover.1);
        for (option, what, asked, stored) in [
            ("n_quantiles", "intervals", asked.n_quantiles, self.n_quantiles),
            ("n_true_quantiles", "quantile groups", asked.n_true_quantiles, self.n_true_quantiles),
        ] {
            refuse("sequences", option, asked == 0 || asked == stored, at_most(asked, what, stored));
        }
        let (fits, stored) = match (asked.buffer, self.buffer) {
            (_, None) => (true, String::new()),
            (None, Some((b, a))) => (false, format!("({b}, {a})")),
            (Some(asked), Some((b, a))) => (asked.0 <= b && asked.1 <= a, format!("({b}, {a})")),
        };
        let wish = asked.buffer.map_or("whole rows".to_owned(), |(b, a)| format!("({b}, {a})"));
        refuse("sequences", "buffer", fits, format!("{wish} asked for, the bundle stores {stored}"));
    }
}
