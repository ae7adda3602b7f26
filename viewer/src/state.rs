//! What the page knows besides its data: where it is, what is pointed at, and what the reader chose.

use std::sync::Arc;

use leptos::prelude::*;
use page_logic::{annotations::Annotations, browse::Browse, route::Route, walk::Walk};
use shared::{
    sequence::{EffectView, TokenView},
    vocab::Vocab,
};

use crate::{
    choices::Choices,
    data::{Bundle, Source, in_background},
    layouts::Layouts,
};

/// What every page can reach: given as context by [`crate::App`].
#[derive(Clone, Copy)]
pub struct Session {
    /// What the address says.
    pub route: RwSignal<Route>,
    /// The token whose card is open.
    pub hover: RwSignal<Option<Hover>>,
    /// Whether the card stays when the pointer leaves the token.
    pub pinned: RwSignal<bool>,
    /// The bundle that is shown.
    pub source: RwSignal<Source>,
    /// The layouts that the reader chose.
    pub layouts: Layouts,
    /// How the reader wants examples and plots.
    pub choices: Choices,
    /// The table as it was left.
    pub table: StoredValue<LeftTable>,
    /// The reader's annotations, of the SAE that is shown.
    pub annotations: RwSignal<Arc<Annotations>>,
    /// What the table shows: where the link to it leads.
    pub browse: RwSignal<Browse>,
    /// Whether the table is to begin with its search box.
    pub searching: StoredValue<bool>,
    /// What went wrong with something that the reader asked for.
    pub notice: RwSignal<Option<String>>,
    /// What the table found, where that is not all features by their index: Previous and Next lead through it.
    pub walk: RwSignal<Option<Walk>>,
    /// What is on screen, as `data-ready` says it.
    pub ready: RwSignal<String>,
    /// Whether anything has been: what can wait until then does.
    pub begun: RwSignal<bool>,
}

impl Session {
    /// State of a page that has just been opened.
    pub fn new() -> Self {
        let fragment = window().location().hash().unwrap_or_default();
        let route = Route::from_fragment(&fragment);
        let notice = RwSignal::new(None);
        Self {
            source: RwSignal::new(Source::of_address()),
            layouts: Layouts::new(&fragment, &route, notice),
            choices: Choices::new(),
            table: StoredValue::default(),
            annotations: RwSignal::default(),
            browse: RwSignal::default(),
            searching: StoredValue::new(false),
            notice,
            walk: RwSignal::new(None),
            route: RwSignal::new(route),
            hover: RwSignal::new(None),
            pinned: RwSignal::new(false),
            ready: RwSignal::new(String::new()),
            begun: RwSignal::new(false),
        }
    }

    /// The feature `by` steps after `feature`: in what the table found, if it is there, or else in the whole bundle.
    pub fn neighbour(self, bundle: &Bundle, feature: u32, by: i64) -> Option<u32> {
        let found = self.walk.with(|walk| walk.as_ref()?.neighbour(feature, by));
        found.or_else(|| bundle.neighbour(feature, by))
    }

    /// Goes to `route`, as following a link to it does.
    pub fn go(self, route: Route) {
        // The address of a page can always be given a fragment; were it refused, the page would still follow.
        let address_follows = window().location().set_hash(&self.layouts.address(&route)).is_ok();
        debug_assert!(address_follows, "the fragment was refused");
        if self.route.get_untracked() != route {
            self.route.set(route);
        }
    }

    /// Makes the address say `route`, as a state of the page that is shown, not as a step that Back undoes.
    pub fn replace(self, route: Route) {
        let address = self.layouts.address(&route);
        // Browsers take some twenty changes a second and then none for a while: none is spent on what is said already.
        if window().location().hash().as_ref() != Ok(&address) {
            let said = window()
                .history()
                .and_then(|h| h.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address)));
            debug_assert!(said.is_ok(), "the address of this page can be changed");
        }
        if self.route.get_untracked() != route {
            self.route.set(route);
        }
    }

    /// Shows the bundle in a file of the reader's, once it is known to be one; until then, and where it is none, what is open
    /// stays so. A file that is `restored` after a reload is shown at the address that the page has.
    pub fn open_file(self, file: web_sys::File, restored: bool) {
        let source = Source::file(file);
        in_background(async move {
            match Bundle::open(source.clone()).await {
                Ok(_) => {
                    self.notice.set(None);
                    self.source.set(source);
                    if !restored {
                        self.go(Route::features());
                    }
                }
                Err(e) => self.notice.set(Some(e.to_string())),
            }
        });
    }

    /// Closes the token card.
    pub fn close_card(self) {
        self.pinned.set(false);
        self.hover.set(None);
    }

    /// Says that `what` has been drawn, once it has: in the second frame from now, as `www/tokens.js` does.
    pub fn painted(self, what: String) {
        request_animation_frame(move || {
            request_animation_frame(move || {
                self.ready.set(what);
                if !self.begun.get_untracked() {
                    self.begun.set(true);
                }
            });
        });
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

/// The table of features as it was left.
#[derive(Debug, Clone, Default)]
pub struct LeftTable {
    /// What it showed.
    pub browse: Browse,
    /// Pixels above the rows on screen.
    pub top: f64,
    /// The feature that was last looked at.
    pub feature: Option<u32>,
}

/// The open bundle, as context for everything below the page's frame.
#[derive(Clone)]
pub struct OpenBundle(pub Arc<Bundle>);

/// The open bundle.
///
/// Its callers are rendered only below [`OpenBundle`].
pub fn use_bundle() -> Arc<Bundle> {
    use_context::<OpenBundle>().map_or_else(|| unreachable!("rendered below an open bundle"), |o| o.0)
}

/// A token that is pointed at, with what its card shows.
#[derive(Clone)]
pub struct Hover {
    /// The token under the feature.
    pub token: TokenView,
    /// What the feature does to the token after it.
    pub next: Option<NextEffect>,
    /// The feature's largest activation, which says with how many decimals others are printed.
    pub max_act: f64,
    /// Whether the token's id is the model's own.
    pub shows_id: bool,
    /// Corpus row; `None` in a prompt, and where rows are not known.
    pub row: Option<u32>,
    /// The character that it makes together with its neighbours.
    pub joined: Option<String>,
    /// Tokens to list on each side.
    pub n_listed: usize,
    /// Where the token is on screen: left, top, right, bottom.
    pub rect: [f64; 4],
    /// Whether the card opens below it.
    pub below: bool,
    /// Token texts.
    pub vocab: Arc<Vocab>,
}

/// What ablating the feature at a token does to the one after it.
#[derive(Clone)]
pub struct NextEffect {
    /// The token after it.
    pub token_id: u32,
    /// What it does there.
    pub effect: EffectView,
}

/// Values marked in the two histograms of one feature.
#[derive(Clone, Copy)]
pub struct Marks {
    /// An activation.
    pub act: RwSignal<Option<f64>>,
    /// A logit.
    pub logit: RwSignal<Option<f64>>,
    /// Activation that is marked while nothing is pointed at.
    pub base_act: Option<f64>,
    /// Logit that is marked while nothing is pointed at.
    pub base_logit: Option<f64>,
}

impl Marks {
    /// No marks but the permanent ones.
    pub fn new(base_act: Option<f64>, base_logit: Option<f64>) -> Self {
        Self { act: RwSignal::new(None), logit: RwSignal::new(None), base_act, base_logit }
    }

    /// Marks the values of `token`.
    pub fn token(self, token: &TokenView) {
        self.act.set(Some(token.act));
        self.logit.set(token.logit);
    }

    /// Takes all marks away but the permanent ones.
    pub fn clear(self) {
        self.act.set(None);
        self.logit.set(None);
    }

    /// The activation to mark.
    pub fn shown_act(self) -> Option<f64> {
        self.act.get().or(self.base_act)
    }

    /// The logit to mark.
    pub fn shown_logit(self) -> Option<f64> {
        self.logit.get().or(self.base_logit)
    }
}
