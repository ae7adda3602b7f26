//! Related neurons and features.

use leptos::prelude::*;
use page_logic::{
    format::{percent, signed},
    route::Route,
};
use shared::{feature::Correlated, layout::FeatureTablesOptions};

use crate::{
    components::table::{Cell, NumberTable},
    data::{Bundle, FeatureData},
    panels::label::label,
};

const CORRELATED: [&str; 3] = ["Index", "Pearson Corr.", "Cosine Sim."];

/// The feature tables that `options` ask for, in the order of sae_vis.
#[component]
pub fn FeatureTables(
    /// The feature.
    shown: FeatureData,
    /// Which tables, how many rows.
    options: FeatureTablesOptions,
) -> impl IntoView {
    let tables = &shown.feature().tables;
    let bundle = &shown.bundle;
    let n_rows = options.n_rows as usize;
    let plain = |index: u32| Cell::text(index.to_string());
    let aligned = tables.neuron_alignment.as_ref().filter(|_| options.neuron_alignment_table).map(|rows| {
        let rows = rows.iter().take(n_rows).map(|r| {
            let value = Cell::text(signed(r.value.into(), 3));
            [plain(r.neuron), value, Cell::text(percent(r.l1_share.into(), 1))]
        });
        let rows = rows.collect::<Vec<_>>();
        let heads = ["Index", "Value", "% of L₁"];
        view! { <NumberTable title="NEURON ALIGNMENT" name="neuron-alignment" heads rows /> }
    });
    let correlated =
        |stored: &Option<Vec<Correlated>>, wanted: bool, title, name, index: &dyn Fn(u32) -> Cell| {
            stored.as_ref().filter(|_| wanted).map(|stored| {
                let rows = stored.iter().take(n_rows).map(|r| correlated_row(r, index)).collect::<Vec<_>>();
                view! { <NumberTable title=title name=name heads=CORRELATED rows /> }
            })
        };
    view! {
        <section class="panel feature-tables" data-panel="feature-tables">
            {aligned}
            {correlated(
                &tables.correlated_neurons,
                options.correlated_neurons_table,
                "CORRELATED NEURONS",
                "correlated-neurons",
                &plain,
            )}
            {correlated(
                &tables.correlated_features,
                options.correlated_features_table,
                "CORRELATED FEATURES",
                "correlated-features",
                &|index| feature_cell(bundle, index),
            )}
            {correlated(
                &tables.correlated_b_features,
                options.correlated_b_features_table,
                "CORRELATED B FEATURES",
                "correlated-b-features",
                &plain,
            )}
        </section>
    }
}

fn correlated_row(r: &Correlated, index: &dyn Fn(u32) -> Cell) -> [Cell; 3] {
    [index(r.index), Cell::text(signed(r.pearson.into(), 3)), Cell::text(signed(r.cosine.into(), 3))]
}

/// A link where the bundle has the feature.
fn feature_cell(bundle: &Bundle, index: u32) -> Cell {
    let link = || (Route::Feature(index).fragment(), label(index));
    Cell { text: index.to_string(), link: bundle.manifest.has_feature(index).then(link) }
}
