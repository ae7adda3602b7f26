//! Which layouts a bundle can be shown in.

use shared::{
    layout::{Component, Layout, Needs, Preset, Refusal, Use},
    manifest::Manifest,
};

use crate::route::Route;

/// Which layout a page is shown in.
pub fn used_by(route: &Route) -> Option<Use> {
    match route {
        Route::Feature(_) => Some(Use::Feature),
        Route::Prompt { .. } => Some(Use::Prompt),
        Route::Features(_) | Route::Compare(_) | Route::Blind(_) | Route::About | Route::Unknown(_) => None,
    }
}

/// The layout that `bundle` was made for.
pub fn own(r#use: Use, manifest: &Manifest) -> Layout {
    let layouts = &manifest.layouts;
    match r#use {
        Use::Feature => layouts.feature.clone(),
        Use::Prompt => layouts.prompt.clone(),
    }
}

/// Why a layout cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// An option is out of its range, or the page cannot have such a layout.
    Invalid(String),
    /// The bundle holds less than is asked for.
    Refused(Vec<Refusal>),
}

impl Unfit {
    /// All reasons in one line.
    pub fn text(&self) -> String {
        match self {
            Self::Invalid(reason) => reason.clone(),
            Self::Refused(refusals) => cut_text(refusals),
        }
    }
}

/// Whether `bundle` can be shown in `layout`.
pub fn check(layout: &Layout, r#use: Use, manifest: &Manifest) -> Result<(), Unfit> {
    let valid = match r#use {
        Use::Feature => layout.validate(),
        Use::Prompt => layout.validate_prompt(),
    };
    valid.map_err(|e| Unfit::Invalid(e.to_string()))?;
    let refusals = held(manifest).covers(&layout.needs());
    if refusals.is_empty() { Ok(()) } else { Err(Unfit::Refused(refusals)) }
}

/// What the page can show of the bundle.
fn held(manifest: &Manifest) -> Needs {
    let layouts = &manifest.layouts;
    let mut held = layouts.feature.needs().and(&layouts.prompt.needs());
    // Whole rows are read from the corpus, where there is one, however narrow the stored windows are.
    if let Some(sequences) = held.sequences.as_mut().filter(|_| manifest.rows_per_chunk.is_some()) {
        sequences.buffer = None;
    }
    held
}

/// `layout` with what the bundle lacks left out, and what that is; `None` where nothing of it can be shown.
pub fn fitted(layout: &Layout, r#use: Use, manifest: &Manifest) -> Option<(Layout, Vec<Refusal>)> {
    let held = held(manifest);
    let cut = held.covers(&layout.needs());
    let mut fitted = layout.clone();
    for column in &mut fitted.columns {
        column.components.retain_mut(|component| fit(component, &held));
    }
    fitted.columns.retain(|column| !column.components.is_empty());
    check(&fitted, r#use, manifest).is_ok().then_some((fitted, cut))
}

/// Lowers a component's options to what is held; `false` where nothing is.
fn fit(component: &mut Component, held: &Needs) -> bool {
    match component {
        Component::FeatureTables(o) => {
            let mut most = 0;
            for (shown, stored) in [
                (&mut o.neuron_alignment_table, held.neuron_alignment),
                (&mut o.correlated_neurons_table, held.correlated_neurons),
                (&mut o.correlated_features_table, held.correlated_features),
                (&mut o.correlated_b_features_table, held.correlated_b_features),
            ] {
                *shown &= stored > 0;
                if *shown {
                    most = if most == 0 { stored } else { stored.min(most) };
                }
            }
            o.n_rows = o.n_rows.min(most);
            most > 0
        }
        Component::ActsHistogram(o) => held.acts_bins.inspect(|bins| o.n_bins = *bins).is_some(),
        Component::LogitsHistogram(o) => held.logits_bins.inspect(|bins| o.n_bins = *bins).is_some(),
        Component::LogitsTable(o) => {
            o.n_rows = o.n_rows.min(held.logits_rows);
            o.n_rows > 0
        }
        Component::Sequences(o) => held.sequences.is_some_and(|held| {
            o.top_acts_group_size = o.top_acts_group_size.min(held.top_acts_group_size);
            o.quantile_group_size = o.quantile_group_size.min(held.quantile_group_size);
            o.top_logits_hoverdata = o.top_logits_hoverdata.min(held.top_logits_hoverdata);
            o.n_quantiles = if o.n_quantiles == 0 { 0 } else { held.n_quantiles };
            o.n_true_quantiles = if o.n_true_quantiles == 0 { 0 } else { held.n_true_quantiles };
            o.inactive_group_size = o.inactive_group_size.min(held.inactive_group_size);
            true
        }),
        Component::Newer(_) => true,
    }
}

/// What was cut, in one line.
pub fn cut_text(cut: &[Refusal]) -> String {
    let line = |r: &Refusal| format!("{}.{}: {}", r.component, r.option, r.reason);
    let mut lines: Vec<String> = cut.iter().map(line).collect();
    // Tables that share an option are refused one by one.
    lines.dedup();
    lines.join("; ")
}

/// The presets for `use`.
pub fn presets(r#use: Use) -> Vec<Preset> {
    Preset::all().into_iter().filter(|p| p.r#use == r#use).collect()
}
