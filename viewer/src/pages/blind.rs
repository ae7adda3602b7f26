//! The blind test: the reader guesses from the label alone in which windows the feature fires. The score goes with the
//! reader's annotations of the feature.

use std::sync::Arc;

use leptos::prelude::*;
use page_logic::{
    blind::{Window, windows},
    error::DataError,
    line::{Line, Scale},
    reading::{Reach, Reading},
    route::Route,
};

use crate::{
    components::{error_note::ErrorNote, handler::handler, tokens::token_line},
    data::{Bundle, FeatureData, Loading},
    pages::frame::tell,
    panels::label::label,
    state::{Session, use_bundle},
};

/// A test that is under way.
#[derive(Clone)]
struct Test {
    shown: FeatureData,
    windows: Arc<Vec<Window>>,
    /// The reader's guess about each.
    guesses: RwSignal<Vec<Option<bool>>>,
}

/// The page of the blind test.
#[component]
pub fn BlindPage() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let bundle = use_bundle();
    let wanted = Memo::new(move |before: Option<&u32>| match session.route.get() {
        Route::Blind(feature) => feature,
        _ => before.copied().unwrap_or(0),
    });
    let found = Loading::new(move || find(bundle.clone(), wanted.get()));
    Effect::new(move || {
        if let Some(Ok(_)) = found.get() {
            document().set_title(&format!("Blind test of feature {} · sae-vis", wanted.get()));
            session.painted(format!("blind/{}", wanted.get()));
        }
    });
    let body = move || match found.get() {
        None => ().into_any(),
        Some(Ok(test)) => test_view(&test, found).into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| found.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    };
    view! {
        <nav class="chooser" aria-label="Blind test">
            <h1>"Blind test of feature "{move || wanted.get()}</h1>
            <p class="feature-label" tabindex="0">{move || label(wanted.get())}</p>
            <a class="button" href=move || Route::Feature(wanted.get()).fragment() data-blind-leave>"Back to the feature"</a>
        </nav>
        <div class="body" aria-busy=move || found.get().is_none().to_string()>{move || body()}</div>
    }
    .into_any()
}

async fn find(bundle: Arc<Bundle>, feature: u32) -> Result<Test, DataError> {
    let reading = Reading { reach: Reach::Row, log_counts: false };
    let shown = bundle.feature(feature, reading, None).await?;
    let rows = shown.rows.clone()?;
    let drawn =
        shown.feature().sequences.as_ref().zip(rows.as_ref()).map_or_else(Vec::new, |(sequences, rows)| {
            windows(sequences, |row| rows.of(row), js_sys::Math::random)
        });
    let guesses = RwSignal::new(vec![None; drawn.len()]);
    Ok(Test { shown, windows: Arc::new(drawn), guesses })
}

fn test_view(test: &Test, found: Loading<Test>) -> impl IntoView + use<> {
    if test.windows.is_empty() {
        return view! {
            <p class="note" data-blind-none>"No test: the bundle’s examples of this feature leave no window in which it is silent, or it has none."</p>
        }
        .into_any();
    }
    let lines = (0..test.windows.len()).map(|i| window_view(test, i)).collect_view();
    let (guesses, windows) = (test.guesses, test.windows.clone());
    let feature = test.shown.feature().feature;
    let score = Memo::new(move |_| {
        guesses.with(|guesses| {
            let all = guesses.iter().all(Option::is_some);
            let right =
                guesses.iter().zip(windows.iter()).filter(|(guess, w)| **guess == Some(w.fires)).count();
            all.then_some((right, windows.len()))
        })
    });
    Effect::new(move || {
        if let Some((right, n)) = score.get() {
            let said = [feature, right as u32, n as u32].map(wasm_bindgen::JsValue::from);
            tell("saevis-blind", &said.iter().collect::<js_sys::Array>().into());
        }
    });
    let said = move || {
        match score.get() {
        None => "In which of these does the feature fire? Judge by its label; its colours come when all are judged.".to_owned(),
        Some((right, n)) => format!("{right} of {n} right. By chance it would be {}.", n / 2),
    }
    };
    let again = handler(move |_: web_sys::MouseEvent| found.refetch());
    view! {
        <p class="blind-said" role="status" data-blind-score>{move || said()}</p>
        <ol class="blind">{lines}</ol>
        <button type="button" class="button" data-blind-again hidden=move || score.get().is_none() on:click=again>"Again, with other windows"</button>
    }
    .into_any()
}

fn window_view(test: &Test, i: usize) -> impl IntoView + use<> {
    let (test, guesses) = (test.clone(), test.guesses);
    let fires = test.windows[i].fires;
    let done = move || guesses.with(|guesses| guesses.iter().all(Option::is_some));
    let line = move || {
        let window = &test.windows[i];
        // Nothing is coloured, and nothing bold, until all are judged.
        let act = if done() { test.shown.max_act() } else { 0.0 };
        let bold = done().then_some(window.position).filter(|_| window.fires);
        let scale = Scale { act, effect: f64::INFINITY };
        token_line(&Line::of(&window.tokens, window.row, bold, &test.shown.vocab, scale)).into_any()
    };
    let choice = move |text: &'static str, guess: bool| {
        let choose = handler(move |_: web_sys::Event| guesses.update(|guesses| guesses[i] = Some(guess)));
        view! {
            <label class="segment">
                <input type="radio" name=format!("window-{i}") data-guess=guess.to_string() disabled=move || done() on:change=choose />
                <span>{text}</span>
            </label>
        }
    };
    let verdict = move || match guesses.with(|guesses| guesses[i]) {
        Some(guess) if done() => {
            if guess == fires {
                "right"
            } else {
                "wrong"
            }
        }
        _ => "",
    };
    view! {
        <li class=move || format!("blind-window {}", verdict())>
            <p class="prompt-line" data-tokens data-line>{move || line()}</p>
            <fieldset class="segments">
                <legend class="visually-hidden">{format!("Window {}", i + 1)}</legend>
                {choice("fires", true)}{choice("does not", false)}
            </fieldset>
            <span class="blind-verdict">{move || verdict()}</span>
        </li>
    }
}
