//! The tokens of an example, and on demand its whole row.

use std::sync::Arc;

use leptos::{html, prelude::*};
use page_logic::line::{Line, Scale};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::{
    components::{error_note::ErrorNote, next_frame::next_frame, tokens::token_line},
    data::{Loading, Shown},
};

/// Scrolls a box of text so that its bold token is in the middle: a row may be longer than the box.
fn show_bold(text: &HtmlElement) {
    let bold = text.query_selector(".bold").ok().flatten();
    if let Some(bold) = bold.and_then(|bold| bold.dyn_into::<HtmlElement>().ok()) {
        text.set_scroll_top(bold.offset_top() - text.offset_top() - text.client_height() / 2);
    }
}

/// All tokens of a corpus row, fetched when first asked for.
#[component]
pub fn WholeRow(
    /// The feature.
    shown: Shown,
    /// Row of the corpus.
    row: u32,
    /// Position of the bold token.
    position: u32,
    /// Colours.
    scale: Scale,
) -> impl IntoView {
    let bundle = shown.bundle.clone();
    let ids = Loading::new(move || Arc::clone(&bundle).row(row));
    let files = shown.bundle.manifest.dataset.clone();
    let origin = move || match ids.get() {
        Some(Ok((_, Some(document)))) => files.origin(document),
        _ => String::new(),
    };
    let content = move || match ids.get() {
        None => ().into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| ids.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
        Some(Ok((ids, _))) => {
            let Some(sequences) = &shown.feature().sequences else { return ().into_any() };
            let tokens = sequences.row_acts.tokens(row, 0, &ids);
            let line = Line::of(&tokens, row, Some(position), &shown.vocab, scale);
            let text = NodeRef::<html::P>::new();
            next_frame(move || text.get_untracked().iter().for_each(|text| show_bold(text)));
            view! { <p class="whole-row-text" node_ref=text>{token_line(&line)}</p> }.into_any()
        }
    };
    view! {
        <div class="whole-row" data-whole-row=row>
            <p class="whole-row-head">"Row "{row}<span data-document>{move || origin()}</span></p>
            {move || content()}
        </div>
    }
}
