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
struct Coming(Loading<Arc<Labels>>);

/// Lets everything below show the labels of `bundle`.
pub fn provide_labels(session: Session, bundle: Arc<Bundle>) {
    if !bundle.manifest.has_layer(&LABELS) {
        return;
    }
    provide_context(Coming(Loading::new(move || {
        let labels = session.begun.get().then(|| bundle.labels());
        async move {
            match labels {
                Some(labels) => labels.await,
                None => Ok(Arc::default()),
            }
        }
    })));
}

/// The place for the label of `feature`; none where the bundle has no labels.
pub fn label(feature: u32) -> Option<AnyView> {
    let Coming(labels) = use_context()?;
    let text = move || match labels.get()? {
        Ok(labels) => labels.of(feature),
        Err(e) => Some(e.to_string()),
    };
    Some(view! { <span class="label" data-label=feature>{move || text()}</span> }.into_any())
}
