//! Examples from the corpus: top activations, then intervals.
//!
//! The panel listens for its tokens: pointing at one, focusing it or tapping it opens the card and marks its
//! values in the histograms; a click pins the card.

use leptos::prelude::*;
use page_logic::{
    format::{percent, positions, share},
    line::{Line, Scale, Strip},
    reading::is_wider,
};
use shared::{
    decimals,
    layout::{SequencesOptions, StackMode},
    sequence::{Example, Group, GroupKind, Sequences as Data, TokenView},
};

use crate::{
    components::{
        handler::handler,
        tokens::{TokenRef, example_list},
    },
    data::FeatureData,
    panels::{not_stored, token_events::TokenEvents, whole_row::WholeRows},
    state::{Hover, Marks, NextEffect, Session},
};

/// Windows up to this many tokens are lined up at their bold token; longer ones are wrapped as text.
const MAX_ALIGNED: u32 = 32;

/// The sequences of a feature.
#[component]
pub fn Sequences(
    /// The feature.
    shown: FeatureData,
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
        .filter(|(_, group, _)| n_shown(&options, group) > 0)
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
    let unread = shown.rows.as_ref().err().map(|e| {
        view! { <p class="note" role="status" data-unread>{format!("The wider context cannot be shown: {e}")}</p> }
    });
    let rows = WholeRows::new(&shown, scale);
    let expand = move |e: web_sys::MouseEvent| rows.toggle(e.target());
    view! {
        <section class="panel sequences" data-panel="sequences">
            {unread}
            <TokenArea shown=shown.clone() options marks>
                <div class=format!("groups {stack}") on:click=handler(expand)>{groups}</div>
            </TokenArea>
            {note}
        </section>
    }
    .into_any()
}

/// How many examples of a group are shown, at most; 0 = the group is not shown, as one that stands for no position.
fn n_shown(options: &SequencesOptions, group: &Group) -> u32 {
    if group.n_positions == Some(0) { 0 } else { options.n_shown(&group.kind) }
}

fn group_view(
    shown: &FeatureData,
    (g, group): (usize, &Group),
    examples: Vec<Example>,
    options: &SequencesOptions,
    scale: Scale,
) -> Option<impl IntoView + use<>> {
    let sequences = shown.feature().sequences.as_ref()?;
    let (title, subtitle) = heading(shown, group, &examples);
    let buffer = shown.reading.reach.buffer(options.buffer);
    let n = n_shown(options, group) as usize;
    let lines = examples.into_iter().take(n).enumerate().map(|(i, example)| {
        let mut line = line(shown, sequences, example, buffer, scale);
        // The Tab key stops once a group, at the first bold token.
        for span in &mut line.spans {
            span.tab_stop = i == 0 && span.bold;
        }
        line
    });
    let aligned = buffer.is_some_and(|(before, after)| before.saturating_add(after) < MAX_ALIGNED);
    let lines: Vec<Line> = lines.collect();
    let hidden = lines.is_empty().then(|| {
        view! { <p class="note" data-hidden-examples>"Not shown: each lies within a window’s length of its row’s end."</p> }
    });
    let kind = if matches!(group.kind, GroupKind::Top) { "group group-top" } else { "group" };
    Some(view! {
        <section class=kind data-group=g>
            <h2>{title}</h2>
            <p class="subtitle">{subtitle}</p>
            {example_list(&lines, aligned)}
            {hidden}
        </section>
    })
}

/// The title of a group, and the line under it.
fn heading(shown: &FeatureData, group: &Group, examples: &[Example]) -> (String, String) {
    let stats = shown.feature().stats;
    let size = shown.max_act();
    let act = |value: f64| decimals::text(value, size);
    // Windows that would not fit into their row are not stored by every bundle.
    let hidden = |limit: f64| match examples.first() {
        Some(first) if act(first.act) != act(limit) => format!(", shown here {}", act(first.act)),
        _ => String::new(),
    };
    let part = shown.feature().share(group).map(share);
    // Other programs round the share, so the count that follows from it is not exact.
    let imported = shown.bundle.manifest.origin.is_some();
    let contains = match (group.n_positions.filter(|_| !imported), part) {
        (Some(n), Some(part)) => format!("CONTAINS {} ({part})", positions(n)),
        (Some(n), None) => format!("CONTAINS {}", positions(n)),
        (None, Some(part)) => format!("CONTAINS {part}"),
        (None, None) => String::new(),
    };
    match &group.kind {
        GroupKind::Top => {
            let max = f64::from(stats.max);
            ("TOP ACTIVATIONS".to_owned(), format!("MAX = {}{}", act(max), hidden(max)))
        }
        GroupKind::Bottom => {
            let min = f64::from(stats.min);
            ("BOTTOM ACTIVATIONS".to_owned(), format!("MIN = {}{}", act(min), hidden(min)))
        }
        GroupKind::Interval { low, high } => {
            (format!("INTERVAL {} – {}", act((*low).into()), act((*high).into())), contains)
        }
        GroupKind::Quantile { from, to, low, high } => {
            let title = format!(
                "QUANTILES {} – {} OF THE ACTIVE",
                percent((*from).into(), 0),
                percent((*to).into(), 0)
            );
            (title, format!("{} – {}", act((*low).into()), act((*high).into())))
        }
        GroupKind::Inactive { token_id } => {
            let title = format!("NOT ACTIVE AT “{}”", shown.vocab.text(*token_id));
            (title, group.n_positions.map_or_else(String::new, |n| format!("CHOSEN FROM {}", positions(n))))
        }
        GroupKind::Newer { name } => (format!("MADE BY A NEWER VERSION: {name}"), contains),
    }
}

/// The line of an example with `buffer` tokens around its bold one: from the stored window, or from the whole row.
fn line(
    shown: &FeatureData,
    sequences: &Data,
    example: Example,
    buffer: Option<(u32, u32)>,
    scale: Scale,
) -> Line {
    let (row, position) = (example.row, example.position);
    let (act, n_equal) = (decimals::text(example.act, shown.max_act()), example.count);
    let wider = is_wider(buffer, sequences.buffer);
    let ids = shown.rows.as_ref().ok().and_then(|rows| rows.as_ref()?.of(row)).filter(|_| wider);
    let mut strip = None;
    let tokens = if let Some(ids) = ids {
        let whole = sequences.row_acts.tokens(row, 0, ids);
        let range = buffer.map_or((0, whole.len() as u32), |(before, after)| {
            let end = position.saturating_add(after).saturating_add(1);
            (position.saturating_sub(before), end.min(whole.len() as u32))
        });
        strip = Some(Strip::of(&whole, range, scale));
        within(whole, position, buffer)
    } else {
        within(example.tokens, position, buffer)
    };
    Line { act, n_equal, strip, ..Line::of(&tokens, row, Some(position), &shown.vocab, scale) }
}

/// The tokens that `buffer` shows around the one at `position`.
fn within(mut tokens: Vec<TokenView>, position: u32, buffer: Option<(u32, u32)>) -> Vec<TokenView> {
    if let Some((before, after)) = buffer {
        let (first, last) = (position.saturating_sub(before), position.saturating_add(after));
        tokens.retain(|t| (first..=last).contains(&t.position));
    }
    tokens
}

/// Listens for the tokens of one feature.
#[component]
fn TokenArea(
    shown: FeatureData,
    options: SequencesOptions,
    marks: Marks,
    children: Children,
) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let show = move |token: &TokenRef| {
        let Some(sequences) = &shown.feature().sequences else { return };
        let ids = [Some(token.token_id), token.next_id];
        let ids: Vec<u32> = ids.into_iter().flatten().collect();
        let mut views = sequences.row_acts.tokens(token.row, token.position, &ids).into_iter();
        let Some(mut view) = views.next() else { return };
        let distinct = sequences.distinct_token_ids();
        let key = distinct.binary_search(&token.token_id).ok();
        view.logit = key.and_then(|k| sequences.token_logits.get(k));
        marks.token(&view);
        let next =
            views.next().and_then(|next| Some(NextEffect { token_id: next.token_id, effect: next.effect? }));
        session.hover.set(Some(Hover {
            token: view,
            next,
            max_act: shown.max_act(),
            shows_id: shown.bundle.manifest.has_own_token_ids(),
            row: shown.bundle.manifest.has_rows().then_some(token.row),
            joined: token.joined.clone(),
            n_listed: options.top_logits_hoverdata as usize,
            rect: token.rect(),
            below: options.hover_below,
            vocab: shown.vocab.clone(),
        }));
    };
    view! { <TokenEvents show=Callback::new(move |token| show(&token)) hide=Callback::new(move |()| marks.clear())>{children()}</TokenEvents> }
        .into_any()
}
