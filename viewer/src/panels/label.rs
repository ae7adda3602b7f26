//! A feature's label, wherever the feature is named: one line that is read whole where it is pointed at.
//!
//! No page waits for labels. They are fetched once something is on screen, and come into places that are kept for them
//! in every bundle that has labels; only a row of correlated features grows for its label. In a bundle without, there are
//! no such places.

use std::sync::Arc;

use leptos::prelude::*;
use shared::{labels::Labels, layers::LABELS};

use crate::{
    data::{Bundle, Loading},
    state::Session,
};

/// The bundle's labels, as context for everything below the page's frame; absent where it has none.
#[derive(Clone, Copy)]
struct LabelsLoading(Loading<Arc<Labels>>);

/// Lets everything below show the labels of `bundle`.
pub fn provide_labels(session: Session, bundle: Arc<Bundle>) {
    if !bundle.manifest.has_layer(&LABELS) {
        return;
    }
    provide_context(LabelsLoading(Loading::new(move || {
        let labels = session.begun.get().then(|| bundle.labels());
        async move {
            match labels {
                Some(labels) => labels.await,
                None => Ok(Arc::default()),
            }
        }
    })));
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
        (None, Some(Some(Ok(labels)))) => labels.of(feature),
        (None, Some(Some(Err(e)))) => Some(e.to_string()),
        (None, _) => None,
    };
    let is_own = move || own.get().is_some();
    Some(view! { <span class="label" class:own=is_own data-label=feature>{move || text()}</span> }.into_any())
}

/// Gives the label of `feature` in the bundle, where it has come.
pub fn label_text(feature: u32) -> impl Fn() -> Option<String> {
    let labels = use_context::<LabelsLoading>();
    move || labels?.0.get()?.ok()?.of(feature)
}
