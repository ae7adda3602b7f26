//! Examples from the corpus: top activations, then intervals.
//!
//! The panel listens for its tokens: pointing at one, focusing it or tapping it opens the card and marks its
//! values in the histograms; a click pins the card.

use leptos::prelude::*;
use shared::{
    layout::{SequencesOptions, StackMode},
    sequence::{Example, GroupKind},
};

use crate::{
    components::handler::handler,
    components::tokens::TokenRef,
    data::Shown,
    format::percent,
    panels::{
        not_stored,
        sequence_line::{Scale, SequenceLine},
    },
    state::{Hover, Marks, Session},
};

/// Windows up to this many tokens are lined up at their bold token; longer ones are wrapped as text.
const MAX_ALIGNED: u32 = 32;

/// The sequences of a feature.
#[component]
pub fn Sequences(
    /// The feature.
    shown: Shown,
    /// Which groups, how many examples, how much context.
    options: SequencesOptions,
    /// Values to mark.
    marks: Marks,
) -> impl IntoView {
    let Some(sequences) = &shown.feature().sequences else {
        return view! { <section class="panel" data-panel="sequences">{not_stored("sequences")}</section> }
            .into_any();
    };
    let max = shown.feature().stats.max;
    let scale = Scale::of(max, &sequences.acts);
    let groups = (0..sequences.groups.len())
        .filter(|g| options.n_quantiles > 0 || sequences.groups[*g].kind == GroupKind::Top)
        .map(|g| group_view(&shown, g, &options, scale))
        .collect_view();
    let aligned = options.buffer.is_some() && sequences.window_len <= MAX_ALIGNED;
    let stack = match options.stack_mode {
        StackMode::StackAll => "stack-all",
        StackMode::StackQuantiles => "stack-quantiles",
        StackMode::StackNone => "stack-none",
    };
    let dead = shown.feature().stats.n_active == 0;
    let note = dead.then(|| {
        view! { <p class="note">"A dead feature: nothing in this corpus activates it, so it has no examples. What it would do if it were active is in its logits."</p> }
    });
    view! {
        <section class="panel sequences" class:aligned=aligned data-panel="sequences">
            <TokenArea shown=shown.clone() options marks>
                <div class=format!("groups {stack}")>{groups}</div>
            </TokenArea>
            {note}
        </section>
    }
    .into_any()
}

fn group_view(
    shown: &Shown,
    g: usize,
    options: &SequencesOptions,
    scale: Scale,
) -> Option<impl IntoView + use<>> {
    let sequences = shown.feature().sequences.as_ref()?;
    let group = sequences.groups.get(g)?;
    let (title, subtitle, n) = match group.kind {
        GroupKind::Top => {
            let max = format!("MAX = {:.3}", shown.feature().stats.max);
            ("TOP ACTIVATIONS".to_owned(), max, options.top_acts_group_size)
        }
        GroupKind::Interval { low, high, share } => {
            let contains = format!("CONTAINS {}", percent(share, 3));
            (format!("INTERVAL {low:.3} – {high:.3}"), contains, options.quantile_group_size)
        }
    };
    let lines = sequences
        .group_examples(g)
        .into_iter()
        .take(n as usize)
        .enumerate()
        .map(|(i, example)| {
            let example = within(example, options.buffer);
            view! { <SequenceLine shown=shown.clone() example scale tab_stop=i == 0 /> }
        })
        .collect_view();
    let kind = if group.kind == GroupKind::Top { "group group-top" } else { "group" };
    Some(view! {
        <section class=kind data-group=g>
            <h2>{title}</h2>
            <p class="subtitle">{subtitle}</p>
            <ol class="lines" data-tokens>{lines}</ol>
        </section>
    })
}

/// The part of an example that a narrower buffer shows.
fn within(mut example: Example, buffer: Option<(u32, u32)>) -> Example {
    if let Some((before, after)) = buffer {
        let (first, last) = (example.position.saturating_sub(before), example.position.saturating_add(after));
        example.tokens.retain(|t| (first..=last).contains(&t.position));
    }
    example
}

/// Listens for the tokens of one feature.
#[component]
fn TokenArea(shown: Shown, options: SequencesOptions, marks: Marks, children: Children) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let show = move |token: &TokenRef| {
        let Some(sequences) = &shown.feature().sequences else { return };
        let view = sequences.acts.tokens(token.row, token.position, &[token.token_id]).pop();
        let Some(mut view) = view else { return };
        let distinct = sequences.distinct_token_ids();
        let key = distinct.binary_search(&token.token_id).ok();
        view.logit = key.and_then(|k| sequences.token_logits.get(k));
        marks.token(&view);
        session.hover.set(Some(Hover {
            token: view,
            row: Some(token.row),
            joined: token.joined.clone(),
            n_listed: options.top_logits_hoverdata as usize,
            place: token.place(),
            below: options.hover_below,
            vocab: shown.vocab.clone(),
        }));
    };
    view! { <TokenEvents show=Callback::new(move |token| show(&token)) hide=Callback::new(move |()| marks.clear())>{children()}</TokenEvents> }
        .into_any()
}

/// Turns pointer, focus and keys on tokens into showing and hiding.
#[component]
pub fn TokenEvents(
    /// A token is pointed at.
    show: Callback<TokenRef>,
    /// No token is.
    hide: Callback<()>,
    /// What holds the tokens.
    children: Children,
) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let pinned = move || session.pinned.get_untracked();
    let leave = move || {
        if !pinned() {
            session.close_card();
            hide.run(());
        }
    };
    let over = move |e: web_sys::PointerEvent| match TokenRef::of(e.target()) {
        _ if pinned() => {}
        Some(token) => show.run(token),
        None => leave(),
    };
    let click = move |e: web_sys::MouseEvent| {
        let Some(token) = TokenRef::of(e.target()) else { return };
        e.stop_propagation();
        session.pinned.set(true);
        show.run(token);
    };
    let focused = move |e: web_sys::FocusEvent| {
        if let Some(token) = TokenRef::of(e.target()).filter(|_| !pinned()) {
            show.run(token);
        }
    };
    let key = move |e: web_sys::KeyboardEvent| {
        let Some(token) = TokenRef::of(e.target()) else { return };
        let key = e.key();
        if key == "Enter" || key == " " {
            let line = token.element.closest("[data-line]").ok().flatten();
            let button = line.and_then(|l| l.query_selector("[data-expand]").ok().flatten());
            if let Some(button) =
                button.and_then(|b| wasm_bindgen::JsCast::dyn_into::<web_sys::HtmlElement>(b).ok())
            {
                button.click();
            }
        } else if let Some(next) = token.towards(&key) {
            session.pinned.set(false);
            // Focus may be refused for an element that is just going away: then nothing moves.
            let moved = next.focus().is_ok();
            debug_assert!(moved, "a token can be focused");
        } else if !key.starts_with("Arrow") {
            return;
        }
        e.prevent_default();
        e.stop_propagation();
    };
    view! {
        <div
            class="token-area"
            on:pointerover=handler(over)
            on:pointerleave=handler(move |_| leave())
            on:click=handler(click)
            on:focusin=handler(focused)
            on:focusout=handler(move |_| leave())
            on:keydown=handler(key)
        >
            {children()}
        </div>
    }
    .into_any()
}
