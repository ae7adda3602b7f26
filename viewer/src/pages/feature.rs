//! One feature: the chooser, its numbers, and the layout's components.

use std::sync::Arc;

use leptos::{html, prelude::*};
use page_logic::{
    feature_json::feature_json,
    format::{bytes, count, positions, share, significant},
    route::Route,
};
use shared::{
    decimals,
    feature::Moments,
    layout::{Layout, Use},
};
use wasm_bindgen::JsCast as _;

use crate::{
    components::{
        error_note::ErrorNote,
        hand::{hand, say},
        handler::handler,
    },
    data::{Bundle, FeatureData, Loading},
    panels::{
        LayoutColumns,
        context_switch::{buffer_of, context_switch},
        label::{explanations, label, label_text},
        term,
    },
    state::{Marks, Session, use_bundle},
};

/// The Feature page. It stays while the feature changes: the old one is shown until the new one is decoded.
#[component]
pub fn FeaturePage() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let bundle = use_bundle();
    let wanted = Memo::new(move |before: Option<&u32>| match session.route.get() {
        Route::Feature(feature) => feature,
        // On the way to another page: nothing changes here any more.
        _ => before.copied().unwrap_or(0),
    });
    let found = {
        let bundle = bundle.clone();
        Loading::new(move || {
            let (feature, reading) = (wanted.get(), session.choices.reading());
            let buffer = buffer_of(&session.layouts.shown(Use::Feature, &bundle));
            let shown = Arc::clone(&bundle).feature(feature, reading, buffer);
            async move { Ok((feature, shown.await)) }
        })
    };
    let neighbours = bundle.clone();
    Effect::new(move || {
        session.close_card();
        let Some(Ok((feature, Ok(_)))) = found.get() else { return };
        if feature != wanted.get() {
            return;
        }
        document().set_title(&format!("Feature {feature} · sae-vis"));
        session.table.update_value(|table| table.feature = Some(feature));
        session.painted(format!("feature/{feature}"));
        for by in [1, -1] {
            if let Some(next) = session.neighbour(&neighbours, feature, by) {
                neighbours.prefetch(next);
            }
        }
    });
    let late = move || !matches!(found.get(), Some(Ok((feature, _))) if feature == wanted.get());
    let body = move || match found.get().map(|found| found.and_then(|(_, shown)| shown)) {
        None => ().into_any(),
        Some(Ok(shown)) => {
            let layout = session.layouts.shown(Use::Feature, &shown.bundle);
            view! { <FeatureBody shown layout /> }.into_any()
        }
        Some(Err(e)) => {
            let retry = Callback::new(move |()| found.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    };
    let sizes = bundle.clone();
    let note = move || {
        let feature = wanted.get();
        if late() {
            format!("Loading feature {feature}, {} ", bytes(sizes.size_of(feature)))
        } else {
            String::new()
        }
    };
    // What was shown before is still there, so going back is at once.
    let cancel = handler(move |_: web_sys::MouseEvent| {
        let gone = window().history().and_then(|history| history.back());
        debug_assert!(gone.is_ok(), "the window has a history");
    });
    view! {
        <Chooser session bundle wanted />
        <div class="body" class:late=move || late() aria-busy=move || late().to_string()>
            <div class="late-note" hidden=move || !late()>
                <span role="status">{move || note()}</span>
                <button type="button" class="button" data-cancel on:click=cancel>"Cancel"</button>
            </div>
            {move || body()}
        </div>
    }
    .into_any()
}

/// Index input, previous, next and random.
#[component]
fn Chooser(session: Session, bundle: Arc<Bundle>, wanted: Memo<u32>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let neighbour = |by: i64| {
        let bundle = bundle.clone();
        move || session.neighbour(&bundle, wanted.get(), by).map(|f| Route::Feature(f).fragment())
    };
    let (previous, next) = (neighbour(-1), neighbour(1));
    let random = {
        let bundle = bundle.clone();
        move |_| go_random(session, &bundle)
    };
    let jump = move |e: web_sys::SubmitEvent| {
        e.prevent_default();
        let Some(input) = input.get_untracked() else { return };
        if let Ok(feature) = input.value().trim().parse() {
            session.go(Route::Feature(feature));
        } else {
            say(&format!("“{}” is no feature’s index", input.value()));
            input.set_value(&wanted.get_untracked().to_string());
        }
        input.select();
    };
    let n = bundle.manifest.n_features() as u64;
    let rank = move || match session.walk.get().and_then(|walk| Some((walk.rank(wanted.get())?, walk))) {
        None => format!("of {} {}", count(n), if n == 1 { "feature" } else { "features" }).into_any(),
        Some((rank, walk)) => {
            let said =
                format!("{} of {} in the table", count(rank as u64 + 1), count(walk.n_features() as u64));
            let table = Route::Features(walk.browse).fragment();
            let leave = handler(move |_: web_sys::MouseEvent| session.walk.set(None));
            view! {
                <a href=table data-walk>{said}</a>
                <button type="button" class="leave" data-leave title="Go through all features" aria-label="Go through all features" on:click=leave>"×"</button>
            }
            .into_any()
        }
    };
    let named =
        move || label(wanted.get()).map(|label| view! { <p class="feature-label" tabindex="0">{label}</p> });
    let layout = {
        let bundle = bundle.clone();
        move || session.layouts.shown(Use::Feature, &bundle)
    };
    view! {
        <nav class="chooser" aria-label="Feature">
            <a class="icon-button" href=move || previous() data-previous title="Previous feature (k)" aria-label="Previous feature">
                <span aria-hidden="true">"←"</span>
            </a>
            <form on:submit=handler(jump)>
                <label class="visually-hidden" for="feature-index">"Feature index"</label>
                <input
                    id="feature-index"
                    class="index-input"
                    node_ref=input
                    inputmode="numeric"
                    pattern="[0-9]*"
                    autocomplete="off"
                    title="Feature index (g)"
                    prop:value=move || wanted.get().to_string()
                    on:focus=handler(move |_| { if let Some(input) = input.get_untracked() { input.select(); } })
                />
            </form>
            <a class="icon-button" href=move || next() data-next title="Next feature (j)" aria-label="Next feature">
                <span aria-hidden="true">"→"</span>
            </a>
            <button type="button" class="button" data-random title="Random feature (r)" on:click=handler(random)>"Random"</button>
            <span class="chooser-count">{move || rank()}</span>
            {move || named()}
            <StarButton session wanted />
            <a class="button" href=move || Route::Compare(vec![wanted.get()]).fragment() data-compare title="Side by side with other features">"Compare"</a>
            <button type="button" class="button" data-notes title="Your label, note, rating and lists (n)" aria-expanded="false">"Notes"</button>
            {context_switch(session, layout)}
        </nav>
        <div class="notes-host" data-notes-host data-feature=move || wanted.get().to_string()></div>
    }
}

/// Stars the feature; `www/annotations.js` does it.
#[component]
fn StarButton(session: Session, wanted: Memo<u32>) -> impl IntoView {
    let starred = move || session.annotations.with(|a| a.of(wanted.get()).is_some_and(|a| a.starred));
    view! {
        <button type="button" class="icon-button star-button" data-star=move || wanted.get().to_string() title="Star (s)" aria-label="Star"
            aria-pressed=move || starred().to_string()>{move || if starred() { "★" } else { "☆" }}</button>
    }
}

/// Goes to a feature by chance: one that the table found, or else any of the bundle.
pub fn go_random(session: Session, bundle: &Bundle) {
    let one_of = |n: usize| (js_sys::Math::random() * n as f64) as usize;
    let found = session.walk.with_untracked(|walk| walk.as_ref().and_then(|w| w.nth(one_of(w.n_features()))));
    let feature = found.or_else(|| bundle.nth(one_of(bundle.manifest.n_features()) as u32));
    if let Some(feature) = feature {
        session.go(Route::Feature(feature));
    }
}

/// Puts the cursor into the index input.
pub fn focus_index() {
    let input = document().get_element_by_id("feature-index");
    if let Some(input) = input.and_then(|i| i.dyn_into::<web_sys::HtmlInputElement>().ok()) {
        let focused = input.focus().is_ok();
        debug_assert!(focused, "the input can be focused");
        input.select();
    }
}

/// Title, numbers and components of one feature.
#[component]
fn FeatureBody(shown: FeatureData, layout: Layout) -> impl IntoView {
    let f = shown.feature();
    let index = f.feature;
    let numbers = numbers(&shown);
    let dead = f.stats.is_dead();
    let explanations = explanations(index, &shown.bundle);
    let (of, text_of_label) = (shown.clone(), label_text(index));
    let json = handler(move |_: web_sys::MouseEvent| {
        let text = feature_json(of.feature(), &of.vocab, untrack(&text_of_label).as_deref());
        hand(&text, &format!("feature-{index}.json"));
    });
    view! {
        <header class="feature-head">
            <h1 data-feature=index>"Feature "{index}</h1>
            {dead.then(|| view! { <span class="badge" data-dead>"dead"</span> })}
            <dl class="numbers">{numbers}</dl>
            <button type="button" class="term" data-feature-json title="Copy the feature as JSON" on:click=json>"JSON"</button>
        </header>
        {explanations}
        <LayoutColumns shown layout marks=Marks::new(None, None) />
    }
}

fn numbers(shown: &FeatureData) -> impl IntoView + use<> {
    let s = shown.feature().stats;
    let imported = shown.bundle.manifest.origin.is_some();
    let unknown = || if imported { "not in this file" } else { "–" }.to_owned();
    let number =
        |text: Option<String>| if s.is_dead() { "–".to_owned() } else { text.unwrap_or_else(unknown) };
    let moment = |of: fn(&Moments) -> String| number(s.moments.as_ref().map(of));
    let max = s.max.is_finite().then(|| decimals::text(s.max.into(), s.max_size().into()));
    let known = [
        ("density", s.density.map_or_else(unknown, share)),
        ("active", s.n_active.map_or_else(unknown, positions)),
        ("max", number(max)),
    ];
    // Other programs' files have none of these: said once.
    let moments = (!imported || s.moments.is_some()).then(|| {
        [
            ("mean", moment(|m| significant(m.mean))),
            ("std", moment(|m| significant(m.std))),
            ("skewness", moment(|m| format!("{:.2}", m.skewness))),
            ("kurtosis", moment(|m| format!("{:.2}", m.kurtosis))),
        ]
    });
    let absent = moments.is_none().then(|| {
        view! { <div><dt>"mean, std, skewness, kurtosis"</dt><dd data-stat="absent">{unknown()}</dd></div> }
    });
    let shown = known
        .into_iter()
        .chain(moments.into_iter().flatten())
        .map(|(name, value)| view! { <div><dt>{term(name, name)}</dt><dd data-stat=name>{value}</dd></div> })
        .collect_view();
    view! { {shown}{absent} }
}
