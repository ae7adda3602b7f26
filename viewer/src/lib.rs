//! The page that opens a bundle: it shows what each feature of a sparse autoencoder means.
//!
//! What it decides without a page is in [`page_logic`]. Read in this order: [`data`] (fetching and decoding), [`state`] (the
//! rest of what the page knows), [`pages`], [`panels`] (one per component of a layout), [`components`] (know nothing of SAEs).
//!
//! # Hooks for tests and scripts
//! | hook | where |
//! |---|---|
//! | `main[data-ready="feature/8"]` | set when feature 8 has been drawn; `features`, `about`, `prompt/0/act_quantile/5` |
//! | `h1[data-feature="8"]` | the feature's heading; `[data-dead]` beside it where it is dead |
//! | `[data-explanations="8"]` | the list of feature 8's explanations; absent in a bundle without explanations |
//! | `[data-label="8"]` | the element of feature 8's label, empty where it has none; absent in a bundle without labels |
//! | `[data-stat="density"]` | its numbers: `density`, `active`, `max`, `mean`, `std`, `skewness`, `kurtosis` |
//! | `[data-panel="…"]` | `feature-tables`, `acts-histogram`, `logits-table`, `logits-histogram`, `sequences` |
//! | `table[data-table="…"]` | `neuron-alignment`, `correlated-neurons`, `correlated-features`, `correlated-b-features` |
//! | `[data-logits="positive"]`, `[data-token-logit]` | the sides and rows of the logits table |
//! | `[data-group="0"]` | a group of sequences; 0 = top activations |
//! | `[data-line][data-row][data-position]` | an example; `[data-expand]` shows its `[data-whole-row]` |
//! | `[data-row] [data-token-id][data-position]` | a token of a sequence; `data-joined` where it is part of a character, which stands at the first of its tokens |
//! | `[role=tooltip][data-tooltip]` | the token card; `[data-figure="activation"]` (`logit`, `loss-effect`, `prob-change`), `[data-list="boosted"]` (`suppressed`) |
//! | `g.mark[data-mark]` | the line in a histogram, with its value |
//! | `[data-previous]`, `[data-next]`, `[data-random]`, `#feature-index` | the chooser |
//! | `[data-walk]`, `[data-leave]` | where the feature stands in what the table found, and back to all features |
//! | `[data-theme-toggle]` | the theme; `html[data-theme]`: `www/help.js` |
//! | `a[data-prompt-token="5"]` | a token of the prompt, a link to its position; `[data-empty]` where nothing is active |
//! | `[data-score="8"]` | a column of the prompt page: feature 8, with its score in `[data-value=score]` |
//! | `[data-choices="prompt"]`, `[data-choices="metric"]` | the links to other prompts and metrics |
//! | `[data-best]`, `[data-jump="8"]` | the list of the best features, and what leads to their columns |
//! | `[data-context="20"]`, `.strip` | how much of their rows examples show, and where in its row a feature fires |
//! | `.line-act`, `.line-count` | an example's activation, and how many windows it stands for |
//! | `svg[data-bins][data-counts]`, `[data-bin-said]`, `[data-log-counts]` | a histogram, what it says of a bar, and its counts: `www/plots.js` |
//! | `[data-term="density"]` | a word that is explained: `www/help.js` |
//! | `[data-chip="300"]`, `[data-token-search="top"]` | a token on its own, and what it leads to: `www/chips.js` |
//! | `[data-star="8"]`, `[data-notes]`, `.notes`, `[data-note="label"]` | the reader's own annotations: `www/annotations.js`, `www/notes.js` |
//! | `[data-compared="4"]`, `#compare-add`, `[data-compare-remove="4"]` | features side by side |
//! | `.blind-window`, `[data-guess]`, `[data-blind-score]`, `[data-blind-again]` | the blind test |
//! | `[data-feature-json]`, `[data-copy-table="tsv"]`, `.toast` | copies, and what is said of them: `www/hand.js` |
//! | `[data-query-wrong]`, `[data-columns]`, `[data-column-choice="max"]`, `[data-preview]` | the table's conditions, columns and preview |
//! | `[data-notice]`, `[data-opened-file]`, `[data-close-file]` | a message above the page, and the reader's file that is open |
//! | `[data-copy]`, `#copy-menu`, `[data-copy-as="svg"]` (`png`, `tsv`) | copying a panel: `www/figures.js` |
//! | `#help`, `[data-reading="monospace"]` (`wrapped`) | the help and the reader's choices: `www/help.js` |
//! | `#search`, `[data-found]`, `[data-range="density"]`, `[data-sort="max"]` | the table's search, count, ranges, order |
//! | `[data-brush]`, `[data-scatter]`, `[data-pointed]` | the two plots over the table, and what is pointed at |
//! | `[data-rows]`, `.features-row[data-feature="8"]` | the table, and the rows that are on screen |
//! | `[data-layout-button]`, `[data-editor]`, `[data-preset="reading"]`, `[data-cut]`, `[data-json]`, `[data-said]` | the layout editor: `www/editor.js` |
//! | `[data-component="logits_table"] [data-option="n_rows"]`, `[data-refusal="n_rows"]` | an option, and why its value is refused |
//! | `[data-do="remove"]` (`up`, `down`, `left`, `right`, `add`, `add-column`, `open`, …) | what the editor's buttons do |
//! | `[data-open]` | picks a `.saevis` |
//! | `[data-cancel]` | ends waiting for a bundle, or for a feature |
//! | `[role=alert][data-error]` | an error |

#![expect(clippy::needless_pass_by_value, reason = "leptos hands components their properties by value")]
#![expect(
    clippy::redundant_closure,
    reason = "the macro erases the type of a closure written in it, not of a name"
)]

pub mod choices;
pub mod components;
pub mod data;
pub mod layouts;
pub mod pages;
pub mod panels;
pub mod state;

use leptos::{ev, prelude::*};

use page_logic::route::Route;
use pages::frame::Frame;
use state::Session;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let session = Session::new();
    provide_context(session);
    if let Some(boot) = document().get_element_by_id("boot") {
        boot.remove();
    }
    let changes = window_event_listener(ev::hashchange, move |_| {
        let fragment = window().location().hash().unwrap_or_default();
        let route = Route::from_fragment(&fragment);
        session.layouts.follow(&fragment, &route);
        session.replace(route);
    });
    on_cleanup(move || changes.remove());
    view! { <Frame /> }
}
