//! Activations over active positions.

use leptos::prelude::*;
use page_logic::format::{count, percent};

use crate::{
    components::histogram::{HistogramPlot, Tone},
    data::Shown,
    state::Marks,
};

/// The activations histogram, with the density in its title.
#[component]
pub fn ActsHistogram(
    /// The feature.
    shown: Shown,
    /// Values to mark.
    marks: Marks,
) -> impl IntoView {
    let feature = shown.feature();
    let dead = feature.stats.n_active == 0;
    let density = percent(feature.stats.density, 3);
    let dataset = &shown.bundle.manifest.dataset;
    let n_positions = u64::from(dataset.n_rows) * u64::from(dataset.seq_len);
    let note = dead.then(|| {
        view! { <p class="note plot-note">{format!("Never active on the {} positions of the corpus.", count(n_positions))}</p> }
    });
    view! {
        <section class="panel" data-panel="acts-histogram">
            <h2>"ACTIVATIONS"</h2>
            <p class="subtitle">"DENSITY = "<span data-value="density">{density}</span></p>
            <div class="plot">
                <HistogramPlot
                    histogram=feature.acts_histogram.clone()
                    tone=Tone::Acts
                    label="Activations"
                    mark=Signal::derive(move || marks.shown_act())
                />
                {note}
            </div>
        </section>
    }
}
