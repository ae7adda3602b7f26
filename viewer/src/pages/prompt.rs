//! A prompt: its tokens to choose a position from, and the features that matter most there, side by side.
//!
//! Prompt, metric and position are links, so each state can be shared and Back works; nothing here has state of
//! its own.

use std::sync::Arc;

use futures_util::future::try_join;
use leptos::prelude::*;
use page_logic::{
    error::DataError,
    line::{Line, Scale},
    route::Route,
};
use shared::{
    layout::Use,
    prompt::{Metric, Prompt, Score},
    sequence::TokenView,
    vocab::Vocab,
};

use crate::{
    components::{
        error_note::ErrorNote,
        tokens::{TokenRef, token_line},
    },
    data::{Bundle, Loading, Shown},
    panels::{LayoutColumns, label::label, sequences::TokenEvents},
    state::{Hover, Marks, Session, use_bundle},
};

/// What the address asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    prompt: u32,
    metric: Metric,
    position: Option<u32>,
}

impl Wanted {
    fn link(self) -> String {
        let Self { prompt, metric, position } = self;
        Route::Prompt { prompt, metric, position }.fragment()
    }
}

/// A prompt and the features that are best at one position of it.
#[derive(Clone)]
struct Found {
    wanted: Wanted,
    position: u32,
    prompt: Arc<Prompt>,
    vocab: Arc<Vocab>,
    columns: Vec<(Score, Shown)>,
}

/// The Prompt page.
#[component]
pub fn PromptPage() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let bundle = use_bundle();
    if bundle.manifest.n_prompts == 0 {
        return view! { <p class="note">"This bundle has no prompts: give `compute run` one or more with --prompt TEXT."</p> }
            .into_any();
    }
    let wanted = Memo::new(move |before: Option<&Wanted>| match session.route.get() {
        Route::Prompt { prompt, metric, position } => Wanted { prompt, metric, position },
        // On the way to another page: nothing changes here any more.
        _ => before.copied().unwrap_or(Wanted { prompt: 0, metric: Metric::ActQuantile, position: None }),
    });
    let n_prompts = bundle.manifest.n_prompts;
    let found = Loading::new(move || find(bundle.clone(), wanted.get()));
    Effect::new(move || {
        session.close_card();
        let Some(Ok(found)) = found.get() else { return };
        document().set_title(&format!("Prompt {} · sae-vis", found.wanted.prompt));
        let Wanted { prompt, metric, .. } = found.wanted;
        session.painted(format!("prompt/{prompt}/{}/{}", metric.name(), found.position));
    });
    let body = move || match found.get() {
        None => ().into_any(),
        Some(Ok(found)) => view! { <PromptBody found n_prompts /> }.into_any(),
        Some(Err(e)) => view! { <ErrorNote message=e.to_string() /> }.into_any(),
    };
    view! { <div class="body" aria-busy=move || found.get().is_none().to_string()>{move || body()}</div> }
        .into_any()
}

async fn find(bundle: Arc<Bundle>, wanted: Wanted) -> Result<Found, DataError> {
    let (prompt, vocab) = try_join(bundle.prompt(wanted.prompt), bundle.vocab()).await?;
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
        columns.push((score, Arc::clone(&bundle).feature(score.feature).await?));
    }
    Ok(Found { wanted, position, prompt, vocab, columns })
}

#[component]
fn PromptBody(found: Found, n_prompts: u32) -> impl IntoView {
    let Wanted { metric, prompt, .. } = found.wanted;
    let columns = if found.columns.is_empty() {
        nothing_here(&found).into_any()
    } else {
        let columns = (0..found.columns.len()).map(|i| view! { <PromptColumn found=found.clone() i /> });
        view! { <div class="prompt-columns" tabindex="0" aria-label="Best features">{columns.collect_view()}</div> }
            .into_any()
    };
    let prompts = (0..n_prompts)
        .map(|n| choice((n + 1).to_string(), Wanted { prompt: n, metric, position: None }, n == prompt))
        .collect_view();
    let position = Some(found.position);
    let metrics = Metric::ALL
        .map(|m| choice(m.title().to_owned(), Wanted { prompt, metric: m, position }, m == metric))
        .collect_view();
    view! {
        <header class="prompt-head">
            <nav class="choices" aria-label="Prompt" data-choices="prompt"><span class="choices-name">"Prompt"</span>{prompts}</nav>
            <nav class="choices" aria-label="Metric" data-choices="metric"><span class="choices-name">"Ranked by"</span>{metrics}</nav>
        </header>
        <PromptTokens found=found.clone() />
        {columns}
    }
}

fn choice(text: String, wanted: Wanted, here: bool) -> impl IntoView {
    view! { <a class="choice" href=wanted.link() aria-current=here.then_some("true")>{text}</a> }
}

/// The prompt's tokens, each a link to its position.
#[component]
fn PromptTokens(found: Found) -> impl IntoView {
    let token_ids = &found.prompt.token_ids;
    let tokens = token_ids.iter().zip(found.vocab.texts(token_ids)).enumerate().map(|(i, (&id, text))| {
        let i = i as u32;
        let empty = found.prompt.scores_at(found.wanted.metric, i as usize).is_empty();
        let link = Wanted { position: Some(i), ..found.wanted }.link();
        let here = (i == found.position).then_some("true");
        // The rest of a character that stands at its first token is named by its bytes.
        let name = text.is_empty().then(|| found.vocab.text(id));
        view! { <a class="prompt-token" class:empty=empty href=link aria-current=here aria-label=name data-prompt-token=i>{text}</a> }
    });
    view! { <p class="prompt-text">{tokens.collect_view()}</p> }
}

/// Says that no feature has a score here, and where the nearest one has.
fn nothing_here(found: &Found) -> impl IntoView + use<> {
    let Wanted { metric, .. } = found.wanted;
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
        let link = Wanted { position: Some(p), ..found.wanted }.link();
        view! { <a href=link>{format!("The nearest position with one is {p}, “{text}”.")}</a> }
    });
    view! { <p class="note" data-empty>{format!("No {} here: {why}. ", metric.title().to_lowercase())}{link}</p> }
}

/// One feature: score, the prompt under it, and the layout's components.
#[component]
fn PromptColumn(found: Found, i: usize) -> impl IntoView {
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
    let show = move |token: TokenRef| {
        let Some(view) = tokens.get(token.position as usize) else { return };
        marks.token(view);
        session.hover.set(Some(hover(view, max_act, &token, &vocab)));
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

fn hover(view: &TokenView, max_act: f64, token: &TokenRef, vocab: &Arc<Vocab>) -> Hover {
    Hover {
        token: view.clone(),
        max_act,
        row: None,
        joined: token.joined.clone(),
        n_listed: usize::MAX,
        place: token.place(),
        below: true,
        vocab: vocab.clone(),
    }
}
