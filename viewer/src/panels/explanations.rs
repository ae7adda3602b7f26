//! What people and programs say that a feature means, each with its author and scores: below the feature's numbers.
//!
//! They are fetched once something is on screen, as labels are. A bundle without that layer has no such place.

use std::sync::Arc;

use leptos::prelude::*;
use shared::{
    explanations::{Explanation, Explanations},
    layers::EXPLANATIONS,
    vocab::escape,
};

use crate::{
    data::{Bundle, Loading},
    state::Session,
};

/// The bundle's explanations, as context for everything below the page's frame; absent where it has none.
#[derive(Clone, Copy)]
struct ExplanationsLoading(Loading<Arc<Explanations>>);

/// Lets feature pages show the explanations of `bundle`.
pub fn provide_explanations(session: Session, bundle: Arc<Bundle>) {
    if !bundle.manifest.has_layer(&EXPLANATIONS) {
        return;
    }
    provide_context(ExplanationsLoading(Loading::new(move || {
        let all = session.begun.get().then(|| bundle.explanations());
        async move {
            match all {
                Some(all) => all.await,
                None => Ok(Arc::default()),
            }
        }
    })));
}

/// The explanations of `feature`; none in a bundle without that layer.
pub fn explanations(feature: u32) -> Option<AnyView> {
    let ExplanationsLoading(all) = use_context::<ExplanationsLoading>()?;
    let items = move || match all.get() {
        Some(Ok(all)) => all.of(feature).iter().map(item).collect_view().into_any(),
        Some(Err(e)) => view! { <li>{e.to_string()}</li> }.into_any(),
        None => ().into_any(),
    };
    Some(
        view! { <ul class="explanations" aria-label="Explanations" data-explanations=feature>{items}</ul> }
            .into_any(),
    )
}

fn item(explanation: &Explanation) -> impl IntoView + use<> {
    let shown = |text: &String| escape(text.as_bytes());
    let who = [&explanation.author, &explanation.method, &explanation.date];
    let who: Vec<String> = who.into_iter().flatten().map(shown).collect();
    let scores: Vec<String> = explanation
        .scores
        .iter()
        .map(|score| {
            let by = score.judge.as_ref().map_or_else(String::new, |judge| format!(" by {}", shown(judge)));
            format!("{} {:.2}{by}", shown(&score.test), score.value)
        })
        .collect();
    view! {
        <li>
            <span class="explanation">{shown(&explanation.text)}</span>
            <span class="explained-by">{[who, scores].concat().join(" · ")}</span>
        </li>
    }
}
