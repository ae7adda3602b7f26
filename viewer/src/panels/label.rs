//! A feature's label, wherever the feature is named: one line that is read whole where it is pointed at.
//!
//! No page waits for labels. They are fetched once something is on screen, and come into places that are kept for them
//! in every bundle that has labels; only a row of correlated features grows for its label. In a bundle without, there are
//! no such places.

use std::sync::Arc;

use leptos::prelude::*;
use shared::{
    explanations::{Explanation, Explanations},
    labels::Labels,
    layers::{EXPLANATIONS, LABELS},
    vocab::escape,
};

use crate::{
    data::{Bundle, Loading},
    state::Session,
};

/// The bundle's labels and explanations, as context for everything below the page's frame; absent where it has none.
#[derive(Clone, Copy)]
struct LabelsLoading(Loading<Said>);

/// What people and programs say that features mean.
#[derive(Clone, Default)]
struct Said {
    labels: Arc<Labels>,
    /// Empty where the bundle has none.
    explanations: Arc<Explanations>,
}

/// Lets everything below show the labels and explanations of `bundle`.
pub fn provide_labels(session: Session, bundle: Arc<Bundle>) {
    // Whoever writes explanations writes labels.
    if !bundle.manifest.has_layer(&LABELS) {
        return;
    }
    provide_context(LabelsLoading(Loading::new(move || {
        let begun = session.begun.get();
        let labels = begun.then(|| bundle.labels());
        let explained = begun && bundle.manifest.has_layer(&EXPLANATIONS);
        let explanations = explained.then(|| bundle.explanations());
        async move {
            let Some(labels) = labels else { return Ok(Said::default()) };
            let explanations = match explanations {
                Some(explanations) => explanations.await?,
                None => Arc::default(),
            };
            Ok(Said { labels: labels.await?, explanations })
        }
    })));
}

/// The explanations of `feature`, each with its author and scores; none in a bundle without that layer.
pub fn explanations(feature: u32, bundle: &Bundle) -> Option<AnyView> {
    let LabelsLoading(said) = use_context()?;
    let items = move || {
        let said = said.get().and_then(Result::ok).unwrap_or_default();
        said.explanations.of(feature).iter().map(explanation).collect_view()
    };
    bundle
        .manifest
        .has_layer(&EXPLANATIONS)
        .then(|| view! { <ul class="explanations" aria-label="Explanations" data-explanations=feature>{items}</ul> }.into_any())
}

fn explanation(explanation: &Explanation) -> AnyView {
    let shown = |text: &String| escape(text.as_bytes());
    let who = [&explanation.author, &explanation.method, &explanation.date];
    let mut by: Vec<String> = who.into_iter().flatten().map(shown).collect();
    for score in &explanation.scores {
        let judge = score.judge.as_ref().map_or_else(String::new, |judge| format!(" by {}", shown(judge)));
        by.push(format!("{} {:.2}{judge}", shown(&score.test), score.value));
    }
    view! {
        <li>
            <span class="explanation">{shown(&explanation.text)}</span>
            <span class="explained-by">{by.join(" · ")}</span>
        </li>
    }
    .into_any()
}

/// Where the label of `feature` stands, the reader's own before the bundle's; none where neither has any.
pub fn label(feature: u32) -> Option<AnyView> {
    let labels = use_context::<LabelsLoading>();
    if labels.is_none()
        && !use_context::<Session>()?.annotations.with(|a| a.iter().any(|(_, a)| !a.label.is_empty()))
    {
        return None;
    }
    let session = use_context::<Session>()?;
    let own = Memo::new(move |_| {
        let label = session.annotations.with(|a| a.of(feature).map(|a| a.label.clone()));
        label.filter(|label| !label.is_empty())
    });
    let text = move || match (own.get(), labels.map(|LabelsLoading(labels)| labels.get())) {
        (Some(own), _) => Some(own),
        (None, Some(Some(Ok(said)))) => said.labels.of(feature),
        (None, Some(Some(Err(e)))) => Some(e.to_string()),
        (None, _) => None,
    };
    let is_own = move || own.get().is_some();
    Some(view! { <span class="label" class:own=is_own data-label=feature>{move || text()}</span> }.into_any())
}

/// Gives the label of `feature` in the bundle, where it has come.
pub fn label_text(feature: u32) -> impl Fn() -> Option<String> {
    let labels = use_context::<LabelsLoading>();
    move || labels?.0.get()?.ok()?.labels.of(feature)
}
