//! The tokens of an example, and on demand its whole row.

use std::sync::Arc;

use leptos::{html, prelude::*};
use shared::{
    sequence::{RowActs, TokenView},
    vocab::Vocab,
};
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::{
    components::{
        error_note::ErrorNote,
        next_frame::next_frame,
        tokens::{TokenSpan, token_line},
    },
    data::{Loading, Shown},
};

/// How strongly tokens are coloured: what full background and full underline stand for.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Largest activation of the feature.
    pub act: f64,
    /// Largest loss effect, in nats.
    pub effect: f64,
}

/// No underline is full below this, in nats: a feature without effects is not painted as if it had some.
const MIN_EFFECT: f64 = 0.01;

impl Scale {
    /// The scale of a feature whose largest activation is `max`, over the effects stored in `acts`.
    pub fn of(max: f32, acts: &RowActs) -> Self {
        let effect = acts.effects.loss.values().fold(MIN_EFFECT, |m, v| m.max(v.abs()));
        Self { act: f64::from(max), effect }
    }
}

/// The spans of `tokens` in corpus row `row`; the one at `bold` is bold.
pub fn spans(
    tokens: &[TokenView],
    row: u32,
    bold: Option<u32>,
    vocab: &Vocab,
    scale: Scale,
) -> Vec<TokenSpan> {
    let ids: Vec<u32> = tokens.iter().map(|t| t.token_id).collect();
    let mut spans: Vec<TokenSpan> = tokens
        .iter()
        .zip(vocab.texts(&ids))
        .map(|(t, text)| TokenSpan {
            escaped: text.as_bytes() != vocab.bytes_of(t.token_id),
            text,
            token_id: t.token_id,
            row,
            position: t.position,
            fill: if scale.act > 0.0 { t.act / scale.act } else { 0.0 },
            underline: t.effect.as_ref().map_or(0.0, |e| e.loss_effect / scale.effect),
            bold: bold == Some(t.position),
            tab_stop: false,
            joined: None,
        })
        .collect();
    for joined in vocab.joined_characters(&ids) {
        for span in &mut spans[joined.tokens] {
            // The character itself may be one that has to be escaped.
            span.escaped = span.text.starts_with('\\');
            span.joined = Some(joined.text.clone());
        }
    }
    spans
}

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
    let place = move || match ids.get() {
        Some(Ok((_, Some(document)))) => files.place(document),
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
            let tokens = sequences.acts.tokens(row, 0, &ids);
            let spans = spans(&tokens, row, Some(position), &shown.vocab, scale);
            let text = NodeRef::<html::P>::new();
            next_frame(move || text.get_untracked().iter().for_each(|text| show_bold(text)));
            view! { <p class="whole-row-text" node_ref=text>{token_line(&spans)}</p> }.into_any()
        }
    };
    view! {
        <div class="whole-row" data-whole-row=row>
            <p class="whole-row-head">"Row "{row}<span data-document>{move || place()}</span></p>
            {move || content()}
        </div>
    }
}
