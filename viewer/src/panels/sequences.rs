//! Examples from the corpus: top activations, then intervals.
//!
//! The panel listens for its tokens: pointing at one, focusing it or tapping it opens the card and marks its
//! values in the histograms; a click pins the card.

use leptos::{
    mount::{UnmountHandle, mount_to},
    prelude::*,
    tachys::view::any_view::AnyViewState,
};
use page_logic::{
    format::percent,
    line::{Line, Scale},
};
use shared::{
    decimals,
    layout::{SequencesOptions, StackMode},
    sequence::{Example, Group, GroupKind},
};

use wasm_bindgen::JsCast as _;
use web_sys::{Element, EventTarget, HtmlElement};

use crate::{
    components::handler::handler,
    components::tokens::{TokenRef, example_list},
    data::Shown,
    panels::{not_stored, sequence_line::WholeRow},
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
    let scale = Scale::of(shown.feature().stats.max_size(), &sequences.row_acts);
    let mut examples = sequences.examples(0, usize::MAX).into_iter();
    let groups = sequences
        .groups
        .iter()
        .enumerate()
        .map(|(g, group)| (g, group, examples.by_ref().take(group.n_examples as usize).collect()))
        .filter(|(_, group, _)| options.n_shown(&group.kind) > 0)
        .map(|(g, group, examples)| group_view(&shown, (g, group), examples, &options, scale))
        .collect_view();
    let stack = match options.stack_mode {
        StackMode::StackAll => "stack-all",
        StackMode::StackQuantiles => "stack-quantiles",
        StackMode::StackNone => "stack-none",
    };
    let dead = shown.feature().stats.is_dead();
    let note = dead.then(|| {
        view! { <p class="note">"A dead feature: nothing in this corpus activates it, so it has no examples. What it would do if it were active is in its logits."</p> }
    });
    let rows = WholeRows::new(&shown, scale);
    let expand = move |e: web_sys::MouseEvent| rows.toggle(e.target());
    view! {
        <section class="panel sequences" data-panel="sequences">
            <TokenArea shown=shown.clone() options marks>
                <div class=format!("groups {stack}") on:click=handler(expand)>{groups}</div>
            </TokenArea>
            {note}
        </section>
    }
    .into_any()
}

fn group_view(
    shown: &Shown,
    (g, group): (usize, &Group),
    examples: Vec<Example>,
    options: &SequencesOptions,
    scale: Scale,
) -> impl IntoView + use<> {
    let (title, subtitle) = heading(shown, group);
    let n = options.n_shown(&group.kind);
    let lines = examples.into_iter().take(n as usize).enumerate().map(|(i, example)| {
        let example = within(example, options.buffer);
        let mut line = Line::of(&example.tokens, example.row, Some(example.position), &shown.vocab, scale);
        // The Tab key stops once a group, at the first bold token.
        for span in &mut line.spans {
            span.tab_stop = i == 0 && span.bold;
        }
        line
    });
    let buffer = shown.feature().sequences.as_ref().and_then(|s| s.buffer);
    let short = buffer.is_some_and(|(before, after)| before.saturating_add(after) < MAX_ALIGNED);
    let aligned = options.buffer.is_some() && short;
    let kind = if group.kind == GroupKind::Top { "group group-top" } else { "group" };
    view! {
        <section class=kind data-group=g>
            <h2>{title}</h2>
            <p class="subtitle">{subtitle}</p>
            {example_list(&lines.collect::<Vec<_>>(), aligned)}
        </section>
    }
}

/// The title of a group, and the line under it.
fn heading(shown: &Shown, group: &Group) -> (String, String) {
    let (stats, size) = (shown.feature().stats, shown.max_act());
    let act = |value: f32| decimals::text(value.into(), size);
    let contains = match (group.n_positions, shown.feature().share(group)) {
        (Some(n), Some(share)) => format!("CONTAINS {n} positions ({})", percent(share, 3)),
        (Some(n), None) => format!("CONTAINS {n} positions"),
        _ => String::new(),
    };
    match &group.kind {
        GroupKind::Top => ("TOP ACTIVATIONS".to_owned(), format!("MAX = {}", act(stats.max))),
        GroupKind::Bottom => ("BOTTOM ACTIVATIONS".to_owned(), format!("MIN = {}", act(stats.min))),
        GroupKind::Interval { low, high } => (format!("INTERVAL {} – {}", act(*low), act(*high)), contains),
        GroupKind::Quantile { from, to, .. } => {
            (format!("QUANTILES {} – {}", percent((*from).into(), 0), percent((*to).into(), 0)), contains)
        }
        GroupKind::Inactive { token_id } => {
            (format!("INACTIVE AT {}", shown.vocab.text(*token_id)), contains)
        }
        GroupKind::Newer { name } => (format!("MADE BY A NEWER VERSION: {name}"), contains),
    }
}

/// The part of an example that a narrower buffer shows.
fn within(mut example: Example, buffer: Option<(u32, u32)>) -> Example {
    if let Some((before, after)) = buffer {
        let (first, last) = (example.position.saturating_sub(before), example.position.saturating_add(after));
        example.tokens.retain(|t| (first..=last).contains(&t.position));
    }
    example
}

/// The whole rows that are open under their examples.
#[derive(Clone, Copy)]
struct WholeRows {
    open: StoredValue<Vec<(Element, UnmountHandle<AnyViewState>)>, LocalStorage>,
    of: StoredValue<(Shown, Scale), LocalStorage>,
}

impl WholeRows {
    fn new(shown: &Shown, scale: Scale) -> Self {
        Self { open: StoredValue::new_local(Vec::new()), of: StoredValue::new_local((shown.clone(), scale)) }
    }

    /// Opens or closes the row of the example whose button `target` is.
    fn toggle(self, target: Option<EventTarget>) {
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

/// Listens for the tokens of one feature.
#[component]
fn TokenArea(shown: Shown, options: SequencesOptions, marks: Marks, children: Children) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let show = move |token: &TokenRef| {
        let Some(sequences) = &shown.feature().sequences else { return };
        let view = sequences.row_acts.tokens(token.row, token.position, &[token.token_id]).pop();
        let Some(mut view) = view else { return };
        let distinct = sequences.distinct_token_ids();
        let key = distinct.binary_search(&token.token_id).ok();
        view.logit = key.and_then(|k| sequences.token_logits.get(k));
        marks.token(&view);
        session.hover.set(Some(Hover {
            token: view,
            max_act: shown.max_act(),
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
            if let Some(button) = button.and_then(|b| b.dyn_into::<HtmlElement>().ok()) {
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
