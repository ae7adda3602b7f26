//! Two to four features side by side, each component in one line across.

use std::sync::Arc;

use leptos::prelude::*;
use page_logic::{
    error::DataError,
    format::share,
    layouts::own,
    reading::Reading,
    route::{MAX_COMPARED, Route},
};
use shared::{
    decimals,
    layout::{Component, Layout, StackMode, Use},
};

use crate::{
    components::{error_note::ErrorNote, handler::handler},
    data::{Bundle, FeatureData, Loading},
    panels::{
        component_view,
        context_switch::{buffer_of, context_switch},
        label::label,
    },
    state::{Marks, Session, use_bundle},
};

/// Examples of each feature.
const N_EXAMPLES: u32 = 10;

/// The Compare page.
#[component]
pub fn ComparePage() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let bundle = use_bundle();
    let wanted = Memo::new(move |before: Option<&Vec<u32>>| match session.route.get() {
        Route::Compare(features) => features,
        _ => before.cloned().unwrap_or_default(),
    });
    let layout = own(Use::Feature, &bundle.manifest);
    let found = {
        let (bundle, layout) = (bundle.clone(), layout.clone());
        Loading::new(move || {
            find(bundle.clone(), wanted.get(), session.choices.reading(), buffer_of(&layout))
        })
    };
    Effect::new(move || {
        session.close_card();
        if let Some(Ok(_)) = found.get() {
            let list: Vec<String> = wanted.get().iter().map(ToString::to_string).collect();
            document().set_title(&format!("Compare {} · sae-vis", list.join(", ")));
            session.painted(format!("compare/{}", list.join(",")));
        }
    });
    let lines = lines(&layout);
    let body = move || match found.get() {
        None => ().into_any(),
        Some(Ok(features)) => columns(&features, &lines, &wanted.get()).into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| found.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    };
    let add = move |e: web_sys::SubmitEvent| {
        e.prevent_default();
        let input = document().get_element_by_id("compare-add");
        let input = input.and_then(|i| wasm_bindgen::JsCast::dyn_into::<web_sys::HtmlInputElement>(i).ok());
        let Some(input) = input else { return };
        if let Ok(feature) = input.value().trim().parse::<u32>() {
            let mut features = wanted.get_untracked();
            if !features.contains(&feature) {
                features.push(feature);
            }
            input.set_value("");
            session.go(Route::Compare(features));
        }
    };
    let full = move || wanted.with(|features| features.len() >= MAX_COMPARED);
    view! {
        <nav class="chooser" aria-label="Compare">
            <h1>"Compare"</h1>
            <form on:submit=handler(add) hidden=move || full()>
                <label class="visually-hidden" for="compare-add">"Add a feature by its index"</label>
                <input id="compare-add" class="index-input" inputmode="numeric" pattern="[0-9]*" autocomplete="off" placeholder="index" />
                <button type="submit" class="button" data-compare-add>"Add"</button>
            </form>
            {context_switch(session, move || layout.clone())}
        </nav>
        <div class="body" aria-busy=move || found.get().is_none().to_string()>{move || body()}</div>
    }
    .into_any()
}

async fn find(
    bundle: Arc<Bundle>,
    features: Vec<u32>,
    reading: Reading,
    buffer: Option<(u32, u32)>,
) -> Result<Vec<FeatureData>, DataError> {
    for feature in &features {
        bundle.prefetch(*feature);
    }
    let mut shown = Vec::with_capacity(features.len());
    for feature in features {
        shown.push(Arc::clone(&bundle).feature(feature, reading, buffer).await?);
    }
    Ok(shown)
}

/// The layout's components one under another: numbers first, then top examples, then what is related.
fn lines(layout: &Layout) -> Vec<Component> {
    let mut lines: Vec<Component> = layout.components().cloned().collect();
    for component in &mut lines {
        if let Component::Sequences(options) = component {
            options.stack_mode = StackMode::StackAll;
            (options.n_quantiles, options.n_true_quantiles) = (0, 0);
            options.top_acts_group_size = options.top_acts_group_size.min(N_EXAMPLES);
        }
    }
    lines.sort_by_key(|component| match component {
        Component::ActsHistogram(_) => 0,
        Component::LogitsTable(_) => 1,
        Component::Sequences(_) => 2,
        Component::LogitsHistogram(_) => 3,
        Component::FeatureTables(_) | Component::Newer(_) => 4,
    });
    lines
}

fn columns(features: &[FeatureData], lines: &[Component], wanted: &[u32]) -> impl IntoView + use<> {
    let marks: Vec<Marks> = features.iter().map(|_| Marks::new(None, None)).collect();
    let heads = features.iter().map(|shown| head(shown, wanted)).collect_view();
    let line = |component: &Component| {
        let cell = |(shown, marks): (&FeatureData, &Marks)| {
            let feature = shown.feature().feature;
            view! { <div class="compare-cell" data-score=feature>{component_view(component, shown.clone(), *marks)}</div> }
        };
        features.iter().zip(&marks).map(cell).collect_view()
    };
    let style = format!("--n:{}", features.len().max(1));
    view! { <div class="compare" style=style tabindex="0" role="region" aria-label="Features">{heads}{lines.iter().map(line).collect_view()}</div> }
}

fn head(shown: &FeatureData, wanted: &[u32]) -> impl IntoView + use<> {
    let feature = shown.feature().feature;
    let stats = shown.feature().stats;
    let others: Vec<u32> = wanted.iter().copied().filter(|f| *f != feature).collect();
    let remove = (!others.is_empty()).then(|| {
        let name = format!("Remove feature {feature}");
        view! { <a class="leave" href=Route::Compare(others).fragment() data-compare-remove=feature aria-label=name.clone() title=name>"×"</a> }
    });
    let density = stats.density.map_or_else(String::new, |density| format!("density {}, ", share(density)));
    let max = decimals::text(stats.max.into(), stats.max_size().into());
    view! {
        <header class="compare-head" data-compared=feature>
            <h2><a href=Route::Feature(feature).fragment()>"#"{feature}</a>{remove}</h2>
            <p class="feature-label" tabindex="0">{label(feature)}</p>
            <p class="subtitle">{format!("{density}max {max}")}</p>
        </header>
    }
}
