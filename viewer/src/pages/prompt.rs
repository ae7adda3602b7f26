//! A prompt: its tokens to choose a position from, and the features that matter most there, side by side.
//!
//! Prompt, metric and position are links, so each state can be shared and Back works; nothing here has state of
//! its own.

use std::sync::Arc;

use futures_util::future::try_join;
use leptos::prelude::*;
use page_logic::{
    error::DataError,
    format::first_words,
    line::{Line, Scale},
    reading::Reading,
    route::Route,
};
use shared::{
    layout::Use,
    prompt::{Metric, Prompt, PromptIndex, Score},
    sequence::TokenView,
    vocab::Vocab,
};
use wasm_bindgen::JsCast as _;

use crate::{
    components::{
        error_note::ErrorNote,
        handler::handler,
        token_chip::{Side, token_chip},
        tokens::{TokenRef, token_line},
    },
    data::{Bundle, FeatureData, Loading},
    panels::{
        LayoutColumns,
        context_switch::{buffer_of, context_switch},
        label::label,
        term,
        token_events::TokenEvents,
    },
    state::{Hover, Marks, NextEffect, Session, use_bundle},
};

/// What the address asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PromptAddress {
    prompt: u32,
    metric: Metric,
    position: Option<u32>,
}

impl PromptAddress {
    fn link(self) -> String {
        let Self { prompt, metric, position } = self;
        Route::Prompt { prompt, metric, position }.fragment()
    }
}

/// A prompt and the features that are best at one position of it.
#[derive(Clone)]
struct PromptData {
    wanted: PromptAddress,
    position: u32,
    prompt: Arc<Prompt>,
    prompts: Arc<PromptIndex>,
    vocab: Arc<Vocab>,
    columns: Vec<(Score, FeatureData)>,
}

/// The Prompt page.
#[component]
pub fn PromptPage() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let bundle = use_bundle();
    if bundle.manifest.n_prompts == 0 {
        return view! { <p class="note">"This bundle has no prompts: `compute prompt` adds some, `compute serve` answers those that are typed here."</p> }
            .into_any();
    }
    let wanted = Memo::new(move |before: Option<&PromptAddress>| match session.route.get() {
        Route::Prompt { prompt, metric, position } => PromptAddress { prompt, metric, position },
        // On the way to another page: nothing changes here any more.
        _ => before.copied().unwrap_or(PromptAddress {
            prompt: 0,
            metric: Metric::ActQuantile,
            position: None,
        }),
    });
    let found = Loading::new(move || {
        let buffer = buffer_of(&session.layouts.shown(Use::Prompt, &bundle));
        find(bundle.clone(), wanted.get(), session.choices.reading(), buffer)
    });
    Effect::new(move || {
        session.close_card();
        let Some(Ok(Answer::Found(found))) = found.get() else { return };
        document().set_title(&format!("Prompt {} · sae-vis", found.wanted.prompt + 1));
        let PromptAddress { prompt, metric, .. } = found.wanted;
        session.painted(format!("prompt/{prompt}/{}/{}", metric.name(), found.position));
    });
    let body = move || match found.get() {
        None => ().into_any(),
        Some(Ok(Answer::Found(found))) => view! { <PromptBody found /> }.into_any(),
        Some(Ok(Answer::NoSuch(wanted, texts))) => no_such(wanted, &texts).into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| found.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    };
    view! { <div class="body" aria-busy=move || found.get().is_none().to_string()>{move || body()}</div> }
        .into_any()
}

/// What there is to show.
#[derive(Clone)]
enum Answer {
    /// The prompt.
    Found(PromptData),
    /// The bundle has others.
    NoSuch(PromptAddress, Arc<PromptIndex>),
}

async fn find(
    bundle: Arc<Bundle>,
    wanted: PromptAddress,
    reading: Reading,
    buffer: Option<(u32, u32)>,
) -> Result<Answer, DataError> {
    let prompts = bundle.prompt_index();
    if wanted.prompt >= bundle.manifest.n_prompts {
        return Ok(Answer::NoSuch(wanted, prompts.await?));
    }
    let ((prompt, vocab), prompts) =
        try_join(try_join(bundle.prompt(wanted.prompt), bundle.vocab()), prompts).await?;
    let something = |p: &u32| !prompt.scores_at(wanted.metric, *p as usize).is_empty();
    let n = prompt.token_ids.len() as u32;
    let position = wanted.position.or_else(|| (0..n).find(something)).unwrap_or(0);
    let scores = prompt.scores_at(wanted.metric, position as usize).to_vec();
    // All blocks are on their way before the first is waited for.
    for score in &scores {
        bundle.prefetch(score.feature);
    }
    let mut columns = Vec::with_capacity(scores.len());
    for score in scores {
        columns.push((score, Arc::clone(&bundle).feature(score.feature, reading, buffer).await?));
    }
    Ok(Answer::Found(PromptData { wanted, position, prompt, prompts, vocab, columns }))
}

/// Says which prompts there are.
fn no_such(wanted: PromptAddress, prompts: &PromptIndex) -> impl IntoView + use<> {
    let n = prompts.texts.len();
    let noun = if n == 1 { "prompt" } else { "prompts" };
    view! {
        <div class="error-note" role="alert" data-error>
            <p>{format!("This bundle has {n} {noun}; {} is not one of them:", wanted.prompt)}</p>
            {prompt_choices(prompts, wanted)}
        </div>
    }
}

/// The prompts by their first words.
fn prompt_choices(prompts: &PromptIndex, wanted: PromptAddress) -> impl IntoView + use<> {
    let choices = prompts.texts.iter().enumerate().map(|(n, text)| {
        let n = n as u32;
        let link = PromptAddress { prompt: n, position: None, ..wanted }.link();
        let here = (n == wanted.prompt).then_some("true");
        view! { <a class="choice" href=link aria-current=here title=text.clone()>{format!("{}  {}", n + 1, first_words(text))}</a> }
    });
    view! { <nav class="choices prompt-choices" aria-label="Prompt" data-choices="prompt">{choices.collect_view()}</nav> }
}

#[component]
fn PromptBody(found: PromptData) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let PromptAddress { metric, prompt, .. } = found.wanted;
    let columns = if found.columns.is_empty() {
        nothing_here(&found).into_any()
    } else {
        let columns = (0..found.columns.len()).map(|i| view! { <PromptColumn found=found.clone() i /> });
        view! {
            {best(&found)}
            <div class="prompt-columns" tabindex="0" role="region" aria-label="Best features">{columns.collect_view()}</div>
        }
        .into_any()
    };
    let position = Some(found.position);
    let metrics = Metric::ALL
        .map(|m| choice(m.title().to_owned(), PromptAddress { prompt, metric: m, position }, m == metric))
        .collect_view();
    let bundle = use_bundle();
    let layout = move || session.layouts.shown(Use::Prompt, &bundle);
    view! {
        <h1 class="visually-hidden">{format!("Prompt {}", prompt + 1)}</h1>
        <header class="prompt-head">
            {prompt_choices(&found.prompts, found.wanted)}
            <nav class="choices" aria-label="Metric" data-choices="metric"><span class="choices-name">{term("quantile", "Ranked by")}</span>{metrics}</nav>
            {context_switch(session, layout)}
        </header>
        <PromptTokens found=found.clone() />
        {columns}
    }
    .into_any()
}

/// The best features as a list that leads to their columns.
fn best(found: &PromptData) -> impl IntoView + use<> {
    let rows = found.columns.iter().map(|(score, shown)| {
        let feature = score.feature;
        let tokens = shown.feature().logits_table.iter().flat_map(|table| table.top.iter().take(3));
        let chips = tokens.map(|t| token_chip(&found.vocab, t.token_id, Side::Positive, 0.35)).collect_view();
        let jump = handler(move |_: web_sys::MouseEvent| jump_to(feature));
        view! {
            <li>
                <button type="button" data-jump=feature on:click=jump>
                    <span class="number">{score.text(found.wanted.metric)}</span>
                    <span class="best-name">"#"{feature}{label(feature)}</span>
                    <span class="best-tokens">{chips}</span>
                </button>
            </li>
        }
    });
    view! { <ol class="best" aria-label="Best features here" data-best>{rows.collect_view()}</ol> }
}

/// Shows the column of a feature.
fn jump_to(feature: u32) {
    let column = document().query_selector(&format!("[data-score=\"{feature}\"]")).ok().flatten();
    let Some(column) = column else { return };
    column.scroll_into_view();
    let link =
        column.query_selector("h2 a").ok().flatten().and_then(|a| a.dyn_into::<web_sys::HtmlElement>().ok());
    let focused = link.map(|link| link.focus());
    debug_assert!(matches!(focused, Some(Ok(()))), "a column has a link");
}

fn choice(text: String, wanted: PromptAddress, here: bool) -> impl IntoView {
    view! { <a class="choice" href=wanted.link() aria-current=here.then_some("true")>{text}</a> }
}

/// The prompt's tokens, each a link to its position.
#[component]
fn PromptTokens(found: PromptData) -> impl IntoView {
    let token_ids = &found.prompt.token_ids;
    let tokens = token_ids.iter().zip(found.vocab.texts(token_ids)).enumerate().map(|(i, (&id, text))| {
        let i = i as u32;
        let empty = found.prompt.scores_at(found.wanted.metric, i as usize).is_empty();
        let link = PromptAddress { position: Some(i), ..found.wanted }.link();
        let here = (i == found.position).then_some("true");
        // The rest of a character that stands at its first token is named by its bytes.
        let name = text.is_empty().then(|| found.vocab.text(id));
        view! { <a class="prompt-token" class:empty=empty href=link aria-current=here aria-label=name data-prompt-token=i>{text}</a> }
    });
    view! { <p class="prompt-text">{tokens.collect_view()}</p> }
}

/// Says that no feature has a score here, and where the nearest one has.
fn nothing_here(found: &PromptData) -> impl IntoView + use<> {
    let PromptAddress { metric, .. } = found.wanted;
    let n = found.prompt.token_ids.len() as u32;
    let something = |p: &u32| !found.prompt.scores_at(metric, *p as usize).is_empty();
    let nearest = (0..n).filter(something).min_by_key(|p| p.abs_diff(found.position));
    let why = match (metric, found.position) {
        (Metric::LossEffect, 0) => "the first token has none before it, so nothing can have an effect on it",
        (Metric::LossEffect, _) => "no computed feature is active on the token before",
        _ => "no computed feature is active on this token",
    };
    let link = nearest.map(|p| {
        let text = found.vocab.text(found.prompt.token_ids.get(p as usize).copied().unwrap_or_default());
        let link = PromptAddress { position: Some(p), ..found.wanted }.link();
        view! { <a href=link>{format!("The nearest position with one is {p}, “{text}”.")}</a> }
    });
    view! { <p class="note" data-empty>{format!("No {} here: {why}. ", metric.title().to_lowercase())}{link}</p> }
}

/// One feature: score, the prompt under it, and the layout's components.
#[component]
fn PromptColumn(found: PromptData, i: usize) -> impl IntoView {
    let Some((score, shown)) = found.columns.get(i).cloned() else { return ().into_any() };
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let tokens = found.prompt.tokens(score.feature).unwrap_or_default();
    // The position itself, or where the ablation is done whose effect on it is ranked.
    let active = found.position - u32::from(found.wanted.metric == Metric::LossEffect).min(found.position);
    let of = |position: u32| tokens.get(position as usize).cloned();
    let marks = Marks::new(of(active).map(|t| t.act), of(found.position).and_then(|t| t.logit));
    let entry = found.prompt.features.iter().find(|f| f.feature == score.feature);
    let scale = entry.map(|f| Scale::of(shown.feature().stats.max_size(), &f.acts));
    let line =
        scale.map(|scale| token_line(&Line::of(&tokens, 0, Some(found.position), &found.vocab, scale)));
    let layout = session.layouts.shown(Use::Prompt, &shown.bundle);
    let (vocab, max_act) = (found.vocab.clone(), shown.max_act());
    let shows_id = shown.bundle.manifest.has_own_token_ids();
    let show = move |token: TokenRef| {
        let Some(view) = tokens.get(token.position as usize) else { return };
        marks.token(view);
        let next = tokens.get(token.position as usize + 1);
        session.hover.set(Some(Hover { shows_id, ..hover(view, next, max_act, &token, &vocab) }));
    };
    let link = Route::Feature(score.feature).fragment();
    view! {
        <section class="prompt-column" data-score=score.feature>
            <header>
                <h2><a href=link>"#"{score.feature}{label(score.feature)}</a></h2>
                <p class="subtitle">{found.wanted.metric.title()}" = "<b data-value="score">{score.text(found.wanted.metric)}</b></p>
            </header>
            <TokenEvents show=Callback::new(show) hide=Callback::new(move |()| marks.clear())>
                <p class="prompt-line" data-tokens data-line>{line}</p>
            </TokenEvents>
            <LayoutColumns shown layout marks />
        </section>
    }
    .into_any()
}

fn hover(
    view: &TokenView,
    next: Option<&TokenView>,
    max_act: f64,
    token: &TokenRef,
    vocab: &Arc<Vocab>,
) -> Hover {
    let next =
        next.and_then(|next| Some(NextEffect { token_id: next.token_id, effect: next.effect.clone()? }));
    Hover {
        token: view.clone(),
        next,
        max_act,
        shows_id: true,
        row: None,
        joined: token.joined.clone(),
        n_listed: usize::MAX,
        rect: token.rect(),
        below: true,
        vocab: vocab.clone(),
    }
}
