//! A token on its own, outside any text: its spaces are shown, for nothing around it shows them.

use leptos::prelude::*;
use shared::vocab::Vocab;

/// What the chip's colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A positive logit, or made likelier.
    Positive,
    /// A negative logit, or made less likely.
    Negative,
    /// Nothing.
    None,
}

/// Shows token `token_id` of `vocab`, coloured by `side` with `strength` from 0 to 1.
pub fn token_chip(vocab: &Vocab, token_id: u32, side: Side, strength: f64) -> impl IntoView + use<> {
    let text = vocab.text(token_id);
    let inner = text.trim_matches(' ');
    // All-space tokens have no inside: all their spaces come first.
    let n_before =
        if inner.is_empty() { text.len() } else { text.len() - text.trim_start_matches(' ').len() };
    let n_after = text.len() - n_before - inner.len();
    let spaces = |n: usize| (n > 0).then(|| view! { <span class="space">{"␣".repeat(n)}</span> });
    let side = match side {
        Side::Positive => "positive",
        Side::Negative => "negative",
        Side::None => "plain",
    };
    let step = (strength.clamp(0.0, 1.0) * 20.0).ceil() as u32;
    view! {
        <span class=format!("chip chip-{side} f{step}") data-chip=token_id>
            {spaces(n_before)}
            <span class="token-text">{inner.to_owned()}</span>
            {spaces(n_after)}
        </span>
    }
}
