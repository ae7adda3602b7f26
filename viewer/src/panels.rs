//! One file per component of a layout, and the token card that they share.
//!
//! Panels know the schema. Each gets the feature it shows and the options its layout asks for; what the bundle
//! does not hold is said in the panel's place.

pub mod acts_histogram;
pub mod context_switch;
pub mod feature_tables;
pub mod histogram_controls;
pub mod label;
pub mod layout_editor;
pub mod logits_histogram;
pub mod logits_table;
pub mod sequences;
pub mod token_card;
pub mod token_events;
pub mod whole_row;

use leptos::prelude::*;
use shared::layout::{Column, Component, Layout};

use crate::{data::FeatureData, state::Marks};
use acts_histogram::ActsHistogram;
use feature_tables::FeatureTables;
use logits_histogram::LogitsHistogram;
use logits_table::LogitsTable;
use sequences::Sequences;

/// The columns of `layout`, showing one feature.
#[component]
pub fn LayoutColumns(
    /// The feature.
    shown: FeatureData,
    /// Which components, where.
    layout: Layout,
    /// Values marked in its histograms.
    marks: Marks,
) -> impl IntoView {
    let columns = layout.columns.iter().map(|column| column_view(column, &shown, marks)).collect_view();
    let height = layout.height.map(|px| format!("{px}px"));
    view! {
        <div class="columns" class:columns-fixed=height.is_some() style:max-height=height>
            {columns}
        </div>
    }
}

fn column_view(column: &Column, shown: &FeatureData, marks: Marks) -> impl IntoView + use<> {
    let has_sequences = column.components.iter().any(|c| matches!(c, Component::Sequences(_)));
    let kind = match column.components.first() {
        _ if has_sequences => "column column-sequences",
        Some(Component::FeatureTables(_)) => "column column-tables",
        _ => "column column-plots",
    };
    let components = column.components.iter().map(|c| component_view(c, shown.clone(), marks)).collect_view();
    let width = column.width.map(|px| format!("{px}px"));
    view! { <div class=kind class:column-sized=width.is_some() style:width=width>{components}</div> }
}

/// One component, showing one feature.
pub(crate) fn component_view(component: &Component, shown: FeatureData, marks: Marks) -> AnyView {
    let panel = match component.clone() {
        Component::FeatureTables(options) => view! { <FeatureTables shown options /> }.into_any(),
        Component::ActsHistogram(_) => view! { <ActsHistogram shown marks /> }.into_any(),
        Component::LogitsTable(options) => view! { <LogitsTable shown options marks /> }.into_any(),
        Component::LogitsHistogram(_) => view! { <LogitsHistogram shown marks /> }.into_any(),
        Component::Sequences(options) => view! { <Sequences shown options marks /> }.into_any(),
        Component::Newer(_) => return newer(component.name()),
    };
    // What the button does is in www/figures.js.
    view! {
        <div class="panel-frame">
            {panel}
            <button type="button" class="copy" data-copy title="Copy this panel" aria-label="Copy this panel"></button>
        </div>
    }
    .into_any()
}

/// A component that this page does not know.
fn newer(name: &str) -> AnyView {
    let note = format!("“{name}” was made by a newer version: open the bundle with a newer page to see it.");
    view! { <section class="panel" data-panel="newer"><p class="note">{note}</p></section> }.into_any()
}

/// A word that `www/help.js` explains where it stands.
pub(crate) fn term(name: &'static str, text: &'static str) -> AnyView {
    view! { <button type="button" class="term" data-term=name>{text}</button> }.into_any()
}

/// A component that the bundle holds no data for.
pub(crate) fn not_stored(what: &'static str) -> AnyView {
    view! { <p class="note">{format!("This bundle stores no {what}: a layout must ask for it when `compute` runs.")}</p> }
        .into_any()
}
