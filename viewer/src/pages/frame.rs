//! What stands around every page: opening the bundle, the bar at the top, keys, and help.

use std::sync::Arc;

use leptos::{ev, prelude::*};
use page_logic::{layouts::used_by, route::Route};
use wasm_bindgen::JsCast as _;

use crate::{
    components::{error_note::ErrorNote, handler::handler},
    data::{Bundle, Loading},
    pages::{
        about::AboutPage,
        feature::{FeaturePage, focus_index, go_random},
        features::{FeaturesPage, focus_search},
        prompt::PromptPage,
    },
    panels::{label::provide_labels, layout_editor::LayoutEditor, token_card::TokenCard},
    state::{Opened, Session},
};

/// Opens the bundle and shows the page that the address names.
#[component]
pub fn Frame() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let cancelled = RwSignal::new(false);
    let opened = Loading::new(move || {
        cancelled.set(false);
        Bundle::open(session.source.get())
    });
    take_dropped_files(session);
    let address = move || session.source.with_untracked(|s| s.address().to_owned());
    let failed = move |message: String| {
        let retry = Callback::new(move |()| {
            cancelled.set(false);
            opened.refetch();
        });
        view! { <ErrorNote message retry /> }.into_any()
    };
    let content = move || match opened.get() {
        // What comes after all is not shown: the reader is elsewhere by then.
        _ if cancelled.get() => failed(format!("opening was cancelled ({})", address())),
        None => {
            let cancel = handler(move |_: web_sys::MouseEvent| cancelled.set(true));
            view! {
                <div class="late-note">
                    <span role="status">"Opening "{address()}"… "</span>
                    <button type="button" class="button" data-cancel on:click=cancel>"Cancel"</button>
                </div>
            }
            .into_any()
        }
        Some(Ok(bundle)) => view! { <Pages bundle /> }.into_any(),
        Some(Err(e)) => failed(e.to_string()),
    };
    let about = move || opened.get().and_then(Result::ok).map(|b| bundle_name(&b)).unwrap_or_default();
    view! {
        <header class="bar">
            <a class="brand" href=Route::features().fragment()>"sae-vis"</a>
            <Links session />
            <span class="bundle-name" title=move || about()>{move || about()}</span>
            <LayoutButton session />
            <OpenButton session />
            <button type="button" class="icon-button" popovertarget="help" aria-label="Help" title="Help (?)">"?"</button>
            <button type="button" class="icon-button" data-theme-toggle title="Theme"><span class="visually-hidden">"Theme"</span></button>
        </header>
        <main data-ready=move || session.ready.get()>{move || content()}</main>
        <TokenCard />
    }
    .into_any()
}

/// Opens a `.saevis` from the reader's disk.
#[component]
fn OpenButton(session: Session) -> impl IntoView {
    let opened = handler(move |e: web_sys::Event| {
        let files = event_target::<web_sys::HtmlInputElement>(&e).files();
        if let Some(file) = files.and_then(|files| files.get(0)) {
            session.open_file(file);
        }
    });
    view! {
        <label class="button file" title="Open a .saevis file; dropping one on the page does the same">
            "Open…"<input type="file" accept=".saevis" data-open on:change=opened />
        </label>
    }
}

/// A file that is dropped anywhere is opened.
fn take_dropped_files(session: Session) {
    let over = window_event_listener(ev::dragover, |e| e.prevent_default());
    let drop = window_event_listener(ev::drop, move |e| {
        let files = e.data_transfer().and_then(|data| data.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
            e.prevent_default();
            session.open_file(file);
        }
    });
    on_cleanup(move || {
        over.remove();
        drop.remove();
    });
}

/// Opens the layout editor, on the pages that have a layout.
#[component]
fn LayoutButton(session: Session) -> impl IntoView {
    let toggle = handler(move |_: web_sys::MouseEvent| session.editing.update(|open| *open = !*open));
    let none = move || session.route.with(|r| used_by(r).is_none());
    view! {
        <button type="button" class="button layout-button" title="Layout (l)" data-layout-button
            hidden=move || none() aria-pressed=move || session.editing.get().to_string() on:click=toggle>"Layout"</button>
    }
}

fn bundle_name(bundle: &Bundle) -> String {
    let m = &bundle.manifest;
    format!("{} · {} · {}", m.model.name, m.sae.name, m.sae.hook)
}

#[component]
fn Links(session: Session) -> impl IntoView {
    let link = move |name: &'static str, route: Route, here: fn(&Route) -> bool| {
        let current = move || session.route.with(here).then_some("page");
        view! { <a href=route.fragment() aria-current=move || current()>{name}</a> }
    };
    view! {
        <nav class="pages" aria-label="Pages">
            {link("Features", Route::features(), |r| matches!(r, Route::Features(_) | Route::Feature(_)))}
            {link("Prompts", Route::prompts(), |r| matches!(r, Route::Prompt { .. }))}
            {link("About", Route::About, |r| matches!(r, Route::About))}
        </nav>
    }
}

/// Which page is shown. Pages stay while only their own part of the address changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Features,
    Feature,
    Prompt,
    About,
    Unknown(String),
}

#[component]
fn Pages(bundle: Arc<Bundle>) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    provide_context(Opened(bundle.clone()));
    // What was found in another bundle.
    session.walk.set(None);
    provide_labels(session, bundle.clone());
    listen_to_keys(session, bundle);
    let kind = Memo::new(move |_| match session.route.get() {
        Route::Features(_) => Kind::Features,
        Route::Feature(_) => Kind::Feature,
        Route::Prompt { .. } => Kind::Prompt,
        Route::About => Kind::About,
        Route::Unknown(fragment) => Kind::Unknown(fragment),
    });
    let page = move || match kind.get() {
        Kind::Features => view! { <FeaturesPage /> }.into_any(),
        Kind::Feature => view! { <FeaturePage /> }.into_any(),
        Kind::Prompt => view! { <PromptPage /> }.into_any(),
        Kind::About => view! { <AboutPage /> }.into_any(),
        Kind::Unknown(fragment) => {
            let message =
                format!("no page at {fragment}: try #/ for the features or #/feature/0 for the first");
            view! { <ErrorNote message /> }.into_any()
        }
    };
    view! {
        {move || page()}
        <LayoutEditor />
    }
    .into_any()
}

fn listen_to_keys(session: Session, bundle: Arc<Bundle>) {
    let keys = window_event_listener(ev::keydown, move |e| {
        let typing = e
            .target()
            .and_then(|t| t.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| element.matches("input, textarea, select").unwrap_or(false));
        if e.key() == "Escape" {
            session.close_card();
            session.editing.set(false);
            return;
        }
        if typing || e.ctrl_key() || e.meta_key() || e.alt_key() {
            return;
        }
        let key = e.key();
        if matches!(session.route.get_untracked(), Route::Features(_)) {
            match key.as_str() {
                "?" => toggle_help(),
                "/" => focus_search(),
                // Typing anywhere filters: the key itself goes into the box, which has the focus by then.
                _ if key.chars().count() == 1 && key != " " => return focus_search(),
                _ => return,
            }
            return e.prevent_default();
        }
        let prompt = matches!(session.route.get_untracked(), Route::Prompt { .. });
        let step = |by: i64| {
            if let Route::Feature(feature) = session.route.get_untracked()
                && let Some(next) = untrack(|| session.neighbour(&bundle, feature, by))
            {
                session.go(Route::Feature(next));
            }
        };
        match key.as_str() {
            "/" => session.go(Route::features()),
            "ArrowRight" if prompt => choose(".prompt-text", 1),
            "ArrowLeft" if prompt => choose(".prompt-text", -1),
            "j" if prompt => choose("[data-choices=prompt]", 1),
            "k" if prompt => choose("[data-choices=prompt]", -1),
            "m" => choose("[data-choices=metric]", 1),
            "j" | "ArrowRight" => step(1),
            "k" | "ArrowLeft" => step(-1),
            "g" => focus_index(),
            "r" => go_random(session, &bundle),
            "l" => session.editing.update(|open| *open = !*open),
            "?" => toggle_help(),
            _ => return,
        }
        e.prevent_default();
    });
    let clicks = window_event_listener(ev::click, move |_| {
        if session.pinned.get_untracked() {
            session.close_card();
        }
    });
    on_cleanup(move || {
        keys.remove();
        clicks.remove();
    });
}

/// Follows the link `by` places from the current one among those in the element that `css` finds, round the end.
fn choose(css: &str, by: i32) {
    let Ok(links) = document().query_selector_all(&format!("{css} a")) else { return };
    let link = |i| links.item(i).and_then(|l| l.dyn_into::<web_sys::HtmlElement>().ok());
    let n = links.length();
    let current = (0..n).find(|&i| link(i).is_some_and(|l| l.has_attribute("aria-current")));
    if let Some(link) = current.and_then(|i| link((i + n).wrapping_add_signed(by) % n)) {
        link.click();
    }
}

fn toggle_help() {
    let help = document().get_element_by_id("help");
    if let Some(help) = help.and_then(|h| h.dyn_into::<web_sys::HtmlElement>().ok()) {
        let open = help.matches(":popover-open").unwrap_or(false);
        let done = if open { help.hide_popover() } else { help.show_popover() };
        if let Err(e) = done {
            leptos::logging::warn!("the help: {e:?}");
        }
    }
}
