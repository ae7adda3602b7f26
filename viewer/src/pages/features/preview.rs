//! The strongest example of the feature that is pointed at, or that the keyboard is at, under the table.

use std::{sync::Arc, time::Duration};

use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*};
use page_logic::{
    error::DataError,
    line::{Line, Scale},
    reading::Reading,
};
use wasm_bindgen::JsCast as _;

use crate::{
    components::tokens::token_line,
    data::{Bundle, FeatureData, Loading},
    state::use_bundle,
};

/// How long a row is pointed at before its block is fetched: running over rows fetches none.
const REST: Duration = Duration::from_millis(200);

/// The feature whose example is shown.
#[derive(Clone, Copy)]
pub struct Preview {
    feature: RwSignal<Option<u32>>,
    waiting: StoredValue<Option<TimeoutHandle>>,
}

impl Preview {
    /// Shows none yet.
    pub fn new() -> Self {
        Self { feature: RwSignal::new(None), waiting: StoredValue::new(None) }
    }

    /// Shows the row that the pointer rests on.
    pub fn point(self, e: &web_sys::PointerEvent) {
        let target = e.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
        let row = target.and_then(|t| t.closest(".features-row[data-feature]").ok().flatten());
        self.rest(row.and_then(|row| row.get_attribute("data-feature")?.parse().ok()));
    }

    /// Shows `feature` once nothing else has been asked for in a while.
    pub fn rest(self, feature: Option<u32>) {
        if let Some(earlier) = self.waiting.get_value() {
            earlier.clear();
        }
        let handle = set_timeout_with_handle(move || self.feature.set(feature), REST);
        self.waiting.set_value(handle.ok());
    }

    /// What is shown.
    pub fn view(self) -> AnyView {
        let bundle = use_bundle();
        let found = Loading::new(move || find(bundle.clone(), self.feature.get()));
        let line = move || {
            let Some(Ok(Some(shown))) = found.get() else { return ().into_any() };
            let feature = shown.feature().feature;
            let example = example(&shown).map(|line| token_line(&line).into_any());
            let none = example.is_none().then_some("no example");
            view! { <span class="preview-name">"#"{feature}</span>{example}{none} }.into_any()
        };
        on_cleanup(move || {
            if let Some(waiting) = self.waiting.try_get_value().flatten() {
                waiting.clear();
            }
        });
        view! { <p class="preview" data-preview>{move || line()}</p> }.into_any()
    }
}

async fn find(bundle: Arc<Bundle>, feature: Option<u32>) -> Result<Option<FeatureData>, DataError> {
    match feature {
        Some(feature) => bundle.feature(feature, Reading::default(), Some((0, 0))).await.map(Some),
        None => Ok(None),
    }
}

fn example(shown: &FeatureData) -> Option<Line> {
    let sequences = shown.feature().sequences.as_ref()?;
    let example = sequences.examples(0, 1).pop()?;
    let scale = Scale::of(shown.feature().stats.max_size(), &sequences.row_acts);
    Some(Line::of(&example.tokens, example.row, Some(example.position), &shown.vocab, scale))
}
