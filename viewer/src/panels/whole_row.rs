//! The whole row of an example, under it, on demand.

use std::sync::Arc;

use leptos::{
    html,
    mount::{UnmountHandle, mount_to},
    prelude::*,
    tachys::view::any_view::AnyViewState,
};
use page_logic::line::{Line, Scale};
use wasm_bindgen::JsCast as _;
use web_sys::{Element, EventTarget, HtmlElement};

use crate::{
    components::{error_note::ErrorNote, next_frame::next_frame, tokens::token_line},
    data::{FeatureData, Loading},
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
fn WholeRow(
    /// The feature.
    shown: FeatureData,
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

/// The whole rows that are open under their examples.
#[derive(Clone, Copy)]
pub struct WholeRows {
    open: StoredValue<Vec<(Element, UnmountHandle<AnyViewState>)>, LocalStorage>,
    of: StoredValue<(FeatureData, Scale), LocalStorage>,
}

impl WholeRows {
    /// None is open yet.
    pub fn new(shown: &FeatureData, scale: Scale) -> Self {
        Self { open: StoredValue::new_local(Vec::new()), of: StoredValue::new_local((shown.clone(), scale)) }
    }

    /// Opens or closes the row of the example whose button `target` is.
    pub fn toggle(self, target: Option<EventTarget>) {
        let button = target.and_then(|t| t.dyn_into::<Element>().ok());
        let Some(button) = button.filter(|b| b.has_attribute("data-expand")) else { return };
        let Some(line) = button.parent_element().and_then(|line| line.dyn_into::<HtmlElement>().ok()) else {
            return;
        };
        let at = self.open.with_value(|open| open.iter().position(|(button_of, _)| *button_of == button));
        if let Some(at) = at {
            self.open.update_value(|open| drop(open.swap_remove(at)));
        } else {
            let number = |name: &str| line.get_attribute(name).and_then(|n| n.parse().ok()).unwrap_or(0);
            let (row, position) = (number("data-row"), number("data-position"));
            let (shown, scale) = self.of.get_value();
            let view = move || view! { <WholeRow shown row position scale /> }.into_any();
            let handle = mount_to(line.clone(), view);
            self.open.update_value(|open| open.push((button.clone(), handle)));
        }
        let opens = at.is_none();
        // Elements of the page's own take any class and attribute.
        let grows = line.class_list().toggle_with_force("open", opens);
        let said = button.set_attribute("aria-expanded", if opens { "true" } else { "false" });
        debug_assert!(grows.is_ok() && said.is_ok());
    }
}
