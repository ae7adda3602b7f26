//! The table of all features: search, ranges, a histogram to brush, a scatter plot to point at.
//!
//! Everything chosen here is in the address. A choice replaces the address rather than adding to the history, so that
//! Back leaves the table; coming back to it shows the rows that were left.

mod columns;
mod export;
mod filters;
mod plots;
mod preview;
mod rows;

use std::sync::Arc;

use futures_util::future::try_join;
use leptos::prelude::*;
use page_logic::{
    browse::Browse,
    find::{Hits, SearchTexts, filtered, sorted},
    route::Route,
    walk::Walk,
};
use shared::{index::FeatureIndex, labels::Labels, layers::LABELS, vocab::Vocab};

use crate::{
    components::{error_note::ErrorNote, next_frame::next_frame},
    data::Loading,
    state::{Session, use_bundle},
};

/// What the page shows; read once, cheap to copy about.
#[derive(Clone)]
struct TableData {
    index: Arc<FeatureIndex>,
    vocab: Arc<Vocab>,
    /// Absent where the bundle has none, as then their column is.
    labels: Option<Arc<Labels>>,
    texts: Arc<SearchTexts>,
}

/// What the page's parts share.
#[derive(Clone, Copy)]
struct Table {
    session: Session,
    loaded: StoredValue<TableData>,
    browse: RwSignal<Browse>,
    /// Entries of the index that are shown, in order.
    order: Memo<Arc<Vec<u32>>>,
    /// What of the texts was looked for.
    hits: Memo<Arc<Hits>>,
    columns: columns::Columns,
}

impl Table {
    fn new(session: Session, loaded: TableData) -> Self {
        let at_first = match session.route.get_untracked() {
            Route::Features(browse) => browse,
            _ => Browse::default(),
        };
        let has_labels = loaded.labels.is_some();
        let (browse, loaded) = (RwSignal::new(at_first), StoredValue::new(loaded));
        // The parts of what is chosen on which each step depends: a changed filter does not sort again.
        let by = Memo::new(move |_| {
            browse.with(|b| Browse { sort: b.sort, descending: b.descending, ..Browse::default() })
        });
        let kept = Memo::new(move |_| {
            browse.with(|b| Browse { query: b.query.clone(), ranges: b.ranges.clone(), ..Browse::default() })
        });
        let all =
            Memo::new(move |_| by.with(|by| loaded.with_value(|l| Arc::new(sorted(&l.index, &l.texts, by)))));
        let order = Memo::new(move |_| {
            let (all, annotations) = (all.get(), session.annotations.get());
            kept.with(|kept| {
                loaded.with_value(|l| Arc::new(filtered(&all, &l.index, &l.texts, &annotations, kept)))
            })
        });
        let hits =
            Memo::new(move |_| kept.with(|kept| loaded.with_value(|l| Arc::new(Hits::of(kept, &l.texts)))));
        Self { session, loaded, browse, order, hits, columns: columns::Columns::kept(has_labels) }
    }

    fn change(self, change: impl FnOnce(&mut Browse)) {
        self.browse.update(change);
    }

    fn index(self) -> Arc<FeatureIndex> {
        self.loaded.with_value(|l| l.index.clone())
    }

    fn has_labels(self) -> bool {
        self.loaded.with_value(|l| l.labels.is_some())
    }

    /// The feature in row `row`.
    fn feature(self, row: usize) -> Option<u32> {
        let entry = self.order.with_untracked(|order| order.get(row).copied())?;
        self.index().features.get(entry as usize).copied()
    }

    /// The row that shows `feature`.
    fn row_of(self, feature: u32) -> Option<usize> {
        let entry = self.index().features.binary_search(&feature).ok()? as u32;
        self.order.with_untracked(|order| order.iter().position(|e| *e == entry))
    }
}

/// The Features page.
#[component]
pub fn FeaturesPage() -> impl IntoView {
    let bundle = use_bundle();
    let loading = Loading::new(move || {
        let (index, vocab) = (bundle.index(), bundle.vocab());
        let labels = bundle.manifest.has_layer(&LABELS).then(|| bundle.labels());
        async move {
            let (index, vocab) = try_join(index, vocab).await?;
            let labels = match labels {
                Some(labels) => Some(labels.await?),
                None => None,
            };
            let texts = Arc::new(SearchTexts::of(&vocab, labels.as_deref(), &index));
            Ok(TableData { index, vocab, labels, texts })
        }
    });
    (move || match loading.get() {
        None => view! { <p class="late-note" role="status">"Loading the table of features…"</p> }.into_any(),
        Some(Ok(loaded)) => view! { <FeaturesTable loaded /> }.into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| loading.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    })
    .into_any()
}

#[component]
fn FeaturesTable(loaded: TableData) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let table = Table::new(session, loaded);
    let Table { browse, order, .. } = table;
    // The address follows what is chosen here; what is chosen follows a link or Back.
    Effect::new(move || {
        session.replace(Route::Features(browse.get()));
        session.browse.set(browse.get());
    });
    Effect::new(move || {
        if let Route::Features(wanted) = session.route.get()
            && browse.with_untracked(|b| *b != wanted)
        {
            browse.set(wanted);
        }
    });
    Effect::new(move || session.walk.set(Walk::of(browse.get(), order.get(), table.index())));
    if session.searching.get_value() {
        session.searching.set_value(false);
        next_frame(focus_search);
    }
    document().set_title("Features · sae-vis");
    session.painted("features".to_owned());
    view! {
        <div class="features" data-features>
            <h1 class="visually-hidden">"Features"</h1>
            <p class="welcome" data-welcome>
                "Each row is a feature of a sparse autoencoder: one direction that the model uses. Open one to see where in the text it is active and which next tokens it makes likelier. "
                <button type="button" class="leave" data-welcome-close title="Do not show this again" aria-label="Do not show this again">"×"</button>
            </p>
            <div class="overview">{plots::distribution(table)}{plots::cloud(table)}</div>
            <rows::Rows table />
        </div>
    }
    .into_any()
}

/// Puts the cursor into the search box.
pub fn focus_search() {
    let input = document().get_element_by_id("search");
    if let Some(input) =
        input.and_then(|i| wasm_bindgen::JsCast::dyn_into::<web_sys::HtmlInputElement>(i).ok())
    {
        let focused = input.focus().is_ok();
        debug_assert!(focused, "the box can be focused");
    }
}
