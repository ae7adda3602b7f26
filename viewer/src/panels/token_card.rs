//! The card of a token: what the feature does there. A native popover that stays in the window and, unless
//! pinned, follows the pointer.

use leptos::{html, prelude::*};
use page_logic::format::{percent, signed};
use shared::{decimals, sequence::EffectView};

use crate::{
    components::token_chip::{Side, token_chip},
    state::{Hover, Session},
};

/// Space between a token and its card, and between a card and the window's edge, in CSS pixels.
const GAP: f64 = 8.0;

/// The one card of the page.
#[component]
pub fn TokenCard() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let node = NodeRef::<html::Div>::new();
    Effect::new(move || {
        let Some(element) = node.get() else { return };
        let hover = session.hover.get();
        // Content is drawn in this turn, the next frame is painted after it: measured between the two, the
        // card never shows at its old place.
        request_animation_frame(move || move_card(&element, hover.as_ref()));
    });
    view! {
        <div
            class="token-card"
            id="token-card"
            popover="manual"
            role="tooltip"
            data-tooltip
            class:pinned=move || session.pinned.get()
            node_ref=node
        >
            {move || session.hover.get().map_or_else(|| ().into_any(), |hover| content(&hover))}
        </div>
    }
    .into_any()
}

fn move_card(element: &web_sys::HtmlElement, hover: Option<&Hover>) {
    let open = element.matches(":popover-open").unwrap_or(false);
    let Some(hover) = hover else {
        if open {
            report(&element.hide_popover());
        }
        return;
    };
    if !open {
        report(&element.show_popover());
    }
    let size = |v: Result<wasm_bindgen::JsValue, _>| v.ok().and_then(|v| v.as_f64()).unwrap_or(0.0);
    let (window_width, window_height) = (size(window().inner_width()), size(window().inner_height()));
    let (width, height) = (f64::from(element.offset_width()), f64::from(element.offset_height()));
    let [left, top, right, bottom] = hover.rect;
    let x = f64::midpoint(left, right) - width / 2.0;
    let x = x.min(window_width - width - GAP).max(GAP);
    let (above, below) = (top - GAP - height, bottom + GAP);
    let fits_below = below + height <= window_height - GAP;
    let y = if (hover.below && fits_below) || above < GAP { below } else { above };
    let y = y.min(window_height - height - GAP).max(GAP);
    let style = element.style();
    report(&style.set_property("left", &format!("{x:.0}px")));
    report(&style.set_property("top", &format!("{y:.0}px")));
}

/// A popover or a style that the browser refuses is worth a line in its console, no more.
fn report(result: &Result<(), wasm_bindgen::JsValue>) {
    if let Err(e) = result {
        leptos::logging::warn!("the token card: {e:?}");
    }
}

fn content(hover: &Hover) -> AnyView {
    let token = &hover.token;
    let origin = match hover.row {
        Some(row) => format!("row {row}, position {}", token.position),
        None => format!("position {}", token.position),
    };
    let joined = hover.joined.clone().map(|text| {
        view! { <p class="card-joined">"with its neighbours: "<span class="token-text">{text}</span></p> }
    });
    let here = token.effect.as_ref().map(|e| {
        let title = view! { <h4>"What the feature at the token before does to this one"</h4> };
        view! { {title}<dl class="card-figures">{effect(e, "loss-effect", "prob-change")}</dl> }
    });
    let next = hover.next.as_ref().map(|next| {
        let chip = token_chip(&hover.vocab, next.token_id, Side::None, 0.0);
        view! {
            <h4>"What it does to the next token, "{chip}</h4>
            <dl class="card-figures">{effect(&next.effect, "next-loss-effect", "next-prob-change")}</dl>
        }
    });
    let listed = token.effect.as_ref().or(hover.next.as_ref().map(|next| &next.effect));
    let whose = if token.effect.is_some() { "here" } else { "there" };
    let lists = listed.map(|e| lists(hover, whose, &e.boosted, &e.suppressed));
    view! {
        <header class="card-head">
            {token_chip(&hover.vocab, token.token_id, Side::None, 0.0)}
            {hover.shows_id.then(|| view! { <span class="card-id">"token "{token.token_id}</span> })}
            <span class="card-origin">{origin}</span>
        </header>
        {joined}
        <dl class="card-figures">
            {figure("activation", "activation", decimals::text(token.act, hover.max_act), "")}
            {token.logit.map(|logit| figure("feature’s logit for it", "logit", signed(logit, 3), ""))}
        </dl>
        {here}
        {next}
        {lists}
    }
    .into_any()
}

fn effect(effect: &EffectView, loss: &'static str, change: &'static str) -> impl IntoView + use<> {
    let (tone, word) = if effect.loss_effect < 0.0 { ("helps", "helps") } else { ("hurts", "hurts") };
    let value = format!("{} {word}", signed(effect.loss_effect, 4));
    view! {
        {figure("loss effect", loss, value, tone)}
        {effect.prob_change.map(|of| figure("probability change", change, signed_percent(of), ""))}
    }
}

fn signed_percent(change: f64) -> String {
    let text = percent(change, 2);
    if change >= 0.0 { format!("+{text}") } else { text }
}

fn figure(name: &'static str, hook: &'static str, value: String, tone: &'static str) -> impl IntoView {
    view! {
        <div class="card-figure">
            <dt>{name}</dt>
            <dd class=tone data-figure=hook>{value}</dd>
        </div>
    }
}

fn lists(
    hover: &Hover,
    whose: &str,
    boosted: &[(u32, f64)],
    suppressed: &[(u32, f64)],
) -> impl IntoView + use<> {
    let list = |title: &'static str, hook: &'static str, side: Side, tokens: &[(u32, f64)]| {
        let rows = tokens
            .iter()
            .take(hover.n_listed)
            .map(|&(id, by)| {
                view! { <li>{token_chip(&hover.vocab, id, side, 0.4)}<span class="number">{signed(by, 3)}</span></li> }
            })
            .collect_view();
        view! { <div data-list=hook><h4>{format!("{title} {whose}")}</h4><ol>{rows}</ol></div> }
    };
    view! {
        <div class="card-lists">
            {list("Boosted", "boosted", Side::Positive, boosted)}
            {list("Suppressed", "suppressed", Side::Negative, suppressed)}
        </div>
    }
}
