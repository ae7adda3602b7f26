//! The feature's logits over the vocabulary.

use leptos::prelude::*;

use crate::{
    components::histogram::{HistogramPlot, Tone},
    data::FeatureData,
    panels::{histogram_controls::log_switch, not_stored},
    state::{Marks, Session},
};

/// The logits histogram.
#[component]
pub fn LogitsHistogram(
    /// The feature.
    shown: FeatureData,
    /// Values to mark.
    marks: Marks,
) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let histogram = shown.feature().logits_histogram.clone();
    let missing = histogram.is_none().then(|| not_stored("logits histogram"));
    view! {
        <section class="panel" data-panel="logits-histogram">
            <h2 class="visually-hidden">"LOGITS"</h2>
            <div class="plot">
                {log_switch(session, shown.reading.log_counts)}
                <HistogramPlot
                    histogram=histogram
                    tone=Tone::Logits
                    label="Logits over the vocabulary"
                    unit="token"
                    log=shown.reading.log_counts
                    mark=Signal::derive(move || marks.shown_logit())
                />
                {missing}
            </div>
        </section>
    }
    .into_any()
}
