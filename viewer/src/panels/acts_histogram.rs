//! Activations over active positions.

use leptos::prelude::*;
use page_logic::format::{count, share};

use crate::{
    components::histogram::{HistogramPlot, Tone},
    data::FeatureData,
    panels::{histogram_controls::log_switch, term},
    state::{Marks, Session},
};

/// The activations histogram, with the density in its title.
#[component]
pub fn ActsHistogram(
    /// The feature.
    shown: FeatureData,
    /// Values to mark.
    marks: Marks,
) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let feature = shown.feature();
    let dead = feature.stats.is_dead();
    let density = feature.stats.density.map_or_else(|| "not known".to_owned(), share);
    let dataset = &shown.bundle.manifest.dataset;
    let n_positions = dataset.n_tokens();
    let note = dead.then(|| {
        let positions = n_positions.map_or_else(String::new, |n| format!("{} ", count(n)));
        view! { <p class="note plot-note">{format!("Never active on the {positions}positions of the corpus.")}</p> }
    });
    view! {
        <section class="panel" data-panel="acts-histogram">
            <h2>"ACTIVATIONS"</h2>
            <p class="subtitle">{term("density", "DENSITY")}" = "<span data-value="density">{density}</span></p>
            <div class="plot">
                {log_switch(session, shown.reading.log_counts)}
                <HistogramPlot
                    histogram=feature.acts_histogram.clone()
                    tone=Tone::Acts
                    label="Activations"
                    unit="position"
                    log=shown.reading.log_counts
                    mark=Signal::derive(move || marks.shown_act())
                />
                {note}
            </div>
        </section>
    }
    .into_any()
}
