//! Tokens that the feature's direction makes least and most likely, side by side.

use leptos::prelude::*;
use page_logic::format::signed;
use shared::{feature::TokenLogit, layout::LogitsTableOptions, vocab::Vocab};

use wasm_bindgen::JsCast as _;
use web_sys::{Element, EventTarget, FocusEvent, PointerEvent};

use crate::{
    components::handler::handler,
    components::token_chip::{Side, token_chip},
    data::FeatureData,
    panels::not_stored,
    state::Marks,
};

/// The logits table. Pointing at a token marks its logit in the histogram.
#[component]
pub fn LogitsTable(
    /// The feature.
    shown: FeatureData,
    /// Number of rows.
    options: LogitsTableOptions,
    /// Values to mark.
    marks: Marks,
) -> impl IntoView {
    let Some(table) = &shown.feature().logits_table else {
        return view! { <section class="panel" data-panel="logits-table">{not_stored("logits table")}</section> }
            .into_any();
    };
    let n_rows = options.n_rows as usize;
    // One scale for both sides, so that equal colour is equal size.
    let first = |side: &[TokenLogit]| side.first().map_or(0.0, |t| t.logit.abs());
    let scale = f64::from(first(&table.top).max(first(&table.bottom)));
    let list = |title, hook, side, tokens: &[TokenLogit]| {
        let rows = tokens
            .iter()
            .copied()
            .take(n_rows)
            .enumerate()
            .map(|t| row(&shown.vocab, t, side, scale))
            .collect_view();
        view! {
            <div class="logits-side" data-logits=hook>
                <h2>{title}</h2>
                <ol>{rows}</ol>
            </div>
        }
    };
    let mark = move |target: Option<EventTarget>| marks.logit.set(target.and_then(logit_of));
    view! {
        <section
            class="panel logits-table"
            data-panel="logits-table"
            on:pointerover=handler(move |e: PointerEvent| mark(e.target()))
            on:pointerleave=handler(move |_| mark(None))
            on:focusin=handler(move |e: FocusEvent| mark(e.target()))
            on:focusout=handler(move |_| mark(None))
        >
            {list("NEGATIVE LOGITS", "negative", Side::Negative, &table.bottom)}
            {list("POSITIVE LOGITS", "positive", Side::Positive, &table.top)}
        </section>
    }
    .into_any()
}

fn row(vocab: &Vocab, (i, entry): (usize, TokenLogit), side: Side, scale: f64) -> impl IntoView + use<> {
    let logit = f64::from(entry.logit);
    // The Tab key stops once; the arrow keys lead on: www/chips.js.
    let stop = if i == 0 && side == Side::Negative { "0" } else { "-1" };
    let strength = if scale > 0.0 { logit.abs() / scale } else { 0.0 };
    view! {
        <li tabindex=stop data-token-logit=entry.logit>
            {token_chip(vocab, entry.token_id, side, strength)}
            <span class="number">{signed(logit, 2)}</span>
        </li>
    }
}

/// The logit of the row at or around an element.
fn logit_of(target: EventTarget) -> Option<f64> {
    let row = target.dyn_into::<Element>().ok()?.closest("[data-token-logit]").ok()??;
    // The browser's own parser: Rust's weighs 10 KB.
    Some(js_sys::parse_float(&row.get_attribute("data-token-logit")?))
}
