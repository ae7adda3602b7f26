//! What stands around every page: opening the bundle, the bar at the top, keys, and help.

use std::sync::Arc;

use leptos::{ev, prelude::*};
use page_logic::{annotations::Annotations, error::DataError, layouts::used_by, route::Route};
use wasm_bindgen::{JsCast as _, JsValue};

use crate::{
    components::{error_note::ErrorNote, handler::handler},
    data::{Bundle, Loading, Source},
    pages::{
        about::AboutPage,
        blind::BlindPage,
        compare::ComparePage,
        feature::{FeaturePage, focus_index, go_random},
        features::{FeaturesPage, focus_search},
        prompt::PromptPage,
    },
    panels::{
        context_switch::next_context, label::provide_labels, layout_editor::answer_editor,
        token_card::TokenCard,
    },
    state::{OpenBundle, Session},
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
    take_files(session);
    follow_annotations(session);
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
        Some(Err(e)) => {
            if matches!(e, DataError::NoBundle { .. }) {
                tell("saevis-no-bundle", &address().into());
            }
            failed(e.to_string())
        }
    };
    let about = move || opened.get().and_then(Result::ok).map(|b| bundle_name(&b)).unwrap_or_default();
    view! {
        <header class="bar">
            <a class="brand" href=Route::features().fragment()>"sae-vis"</a>
            <Links session />
            <span class="bundle-name" title=move || about()>{move || about()}</span>
            {move || opened_file(session)}
            <span data-file-host></span>
            <LayoutButton session />
            <OpenButton />
            <button type="button" class="icon-button" popovertarget="help" aria-label="Help" title="Help (?)">"?"</button>
            <button type="button" class="icon-button" data-theme-toggle title="Theme" aria-label="Theme"></button>
        </header>
        {move || notice(session)}
        <main data-ready=move || session.ready.get()>{move || content()}</main>
        <TokenCard />
    }
    .into_any()
}

/// Opens a `.saevis` from the reader's disk: `www/files.js`.
#[component]
fn OpenButton() -> impl IntoView {
    view! {
        <label class="button file" title="Open a .saevis file; dropping one on the page does the same">
            "Open…"<input type="file" accept=".saevis" data-open />
        </label>
    }
}

/// The name of the reader's file that is open, and a button that closes it.
fn opened_file(session: Session) -> Option<AnyView> {
    let name = session.source.with(|source| source.file_name().map(str::to_owned))?;
    let close = handler(move |_: web_sys::MouseEvent| {
        session.source.set(Source::of_address());
        session.go(Route::features());
    });
    let label = format!("Close {name}");
    Some(
        view! {
            <span class="opened-file" data-opened-file>
                {name}<button type="button" class="leave" data-close-file title=label.clone() aria-label=label on:click=close>"×"</button>
            </span>
        }
        .into_any(),
    )
}

/// What went wrong with something that the reader asked for, while the page stays as it was.
fn notice(session: Session) -> Option<AnyView> {
    let message = session.notice.get()?;
    let close = handler(move |_: web_sys::MouseEvent| session.notice.set(None));
    Some(
        view! {
            <div class="notice" role="alert" data-error data-notice>
                <p>{message}</p>
                <button type="button" class="leave" data-notice-close aria-label="Close this message" title="Close" on:click=close>"×"</button>
            </div>
        }
        .into_any(),
    )
}

/// The detail of an event of the page's scripts.
fn detail(e: &web_sys::CustomEvent) -> JsValue {
    e.detail()
}

/// Opens what the page's scripts bring: files that the reader picks or drops, and prompts that were answered.
fn take_files(session: Session) {
    let given = window_event_listener(ev::Custom::new("saevis-file"), move |e: web_sys::CustomEvent| {
        let given = js_sys::Array::from(&detail(&e));
        if let Ok(file) = given.get(0).dyn_into::<web_sys::File>() {
            session.open_file(file, given.get(1).is_truthy());
        }
    });
    // `compute serve` has added a prompt: the bundle is read anew, and the prompt is shown.
    let added = window_event_listener(ev::Custom::new("saevis-prompt"), move |e: web_sys::CustomEvent| {
        let fragment = detail(&e).as_string().unwrap_or_default();
        session.source.set(Source::of_address());
        session.go(Route::from_fragment(&fragment));
    });
    on_cleanup(move || {
        given.remove();
        added.remove();
    });
    tell("saevis-started", &JsValue::NULL);
}

/// Reads the reader's annotations whenever `www/annotations.js` says that they changed.
fn follow_annotations(session: Session) {
    let changed =
        window_event_listener(ev::Custom::new("saevis-annotations"), move |e: web_sys::CustomEvent| {
            let text = detail(&e).as_string().unwrap_or_default();
            session.annotations.set(Arc::new(Annotations::parse(&text)));
        });
    on_cleanup(move || changed.remove());
}

/// Tells the page's scripts something.
pub(crate) fn tell(name: &str, detail: &JsValue) {
    let init = web_sys::CustomEventInit::new();
    init.set_detail(detail);
    let event = web_sys::CustomEvent::new_with_event_init_dict(name, &init);
    let told = event.and_then(|event| window().dispatch_event(&event));
    debug_assert!(told.is_ok(), "an event can be made and dispatched");
}

/// Opens the layout editor, on the pages that have a layout: `www/editor.js`.
#[component]
fn LayoutButton(session: Session) -> impl IntoView {
    let none = move || session.route.with(|r| used_by(r).is_none());
    view! {
        <button type="button" class="button layout-button" title="Layout (l)" data-layout-button aria-pressed="false"
            hidden=move || none()>"Layout"</button>
    }
}

/// Under what annotations of the bundle's features are kept: the SAE, whatever text it was run on.
fn annotated(bundle: &Bundle) -> String {
    let sae = &bundle.manifest.sae;
    let sha256 = sae.sha256.as_ref().unwrap_or(&sae.name);
    format!("{} {sha256}", sae.hook.as_deref().unwrap_or_default())
}

fn bundle_name(bundle: &Bundle) -> String {
    let m = &bundle.manifest;
    let parts = [Some(&m.model.name), Some(&m.sae.name), m.sae.hook.as_ref()];
    let parts: Vec<&str> =
        parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

#[component]
fn Links(session: Session) -> impl IntoView {
    let link = move |name: &'static str, route: fn(Session) -> Route, here: fn(&Route) -> bool| {
        let current = move || session.route.with(here).then_some("page");
        view! { <a href=move || route(session).fragment() aria-current=move || current()>{name}</a> }
    };
    let is_table =
        |r: &Route| matches!(r, Route::Features(_) | Route::Feature(_) | Route::Compare(_) | Route::Blind(_));
    view! {
        <nav class="pages" aria-label="Pages">
            {link("Features", |session| Route::Features(session.browse.get()), is_table)}
            {link("Prompts", |_| Route::prompts(), |r| matches!(r, Route::Prompt { .. }))}
            {link("About", |_| Route::About, |r| matches!(r, Route::About))}
        </nav>
    }
}

/// Which page is shown. Pages stay while only their own part of the address changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Features,
    Feature,
    Compare,
    Blind,
    Prompt,
    About,
    Unknown(String),
}

#[component]
fn Pages(bundle: Arc<Bundle>) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    provide_context(OpenBundle(bundle.clone()));
    // What was found in another bundle.
    session.walk.set(None);
    tell("saevis-bundle", &annotated(&bundle).into());
    if let Some(shared) = &bundle.manifest.shared {
        tell("saevis-site", &(shared.n_up() as u32).into());
    }
    provide_labels(session, bundle.clone());
    let fitting = bundle.clone();
    Effect::new(move || session.layouts.fit(&fitting));
    answer_editor(session, bundle.clone());
    listen_to_keys(session, bundle);
    let kind = Memo::new(move |_| match session.route.get() {
        Route::Features(_) => Kind::Features,
        Route::Feature(_) => Kind::Feature,
        Route::Compare(_) => Kind::Compare,
        Route::Blind(_) => Kind::Blind,
        Route::Prompt { .. } => Kind::Prompt,
        Route::About => Kind::About,
        Route::Unknown(fragment) => Kind::Unknown(fragment),
    });
    let page = move || match kind.get() {
        Kind::Features => view! { <FeaturesPage /> }.into_any(),
        Kind::Feature => view! { <FeaturePage /> }.into_any(),
        Kind::Compare => view! { <ComparePage /> }.into_any(),
        Kind::Blind => view! { <BlindPage /> }.into_any(),
        Kind::Prompt => view! { <PromptPage /> }.into_any(),
        Kind::About => view! { <AboutPage /> }.into_any(),
        Kind::Unknown(fragment) => {
            let message =
                format!("no page at {fragment}: try #/ for the features or #/feature/0 for the first");
            view! { <ErrorNote message /> }.into_any()
        }
    };
    (move || page()).into_any()
}

fn listen_to_keys(session: Session, bundle: Arc<Bundle>) {
    let keys = window_event_listener(ev::keydown, move |e| {
        let typing = e
            .target()
            .and_then(|t| t.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| element.matches("input, textarea, select").unwrap_or(false));
        if e.key() == "Escape" {
            session.close_card();
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
            "/" => {
                session.searching.set_value(true);
                session.go(Route::Features(session.browse.get_untracked()));
            }
            "ArrowRight" if prompt => choose(".prompt-text", 1),
            "ArrowLeft" if prompt => choose(".prompt-text", -1),
            "j" if prompt => choose("[data-choices=prompt]", 1),
            "k" if prompt => choose("[data-choices=prompt]", -1),
            "m" => choose("[data-choices=metric]", 1),
            "j" | "ArrowRight" => step(1),
            "k" | "ArrowLeft" => step(-1),
            "g" => focus_index(),
            "r" => go_random(session, &bundle),
            "s" => click("[data-star]"),
            "n" => click("[data-notes]"),
            "c" => next_context(session),
            "l" => click("[data-layout-button]"),
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

/// Follows the link `by` steps from the current one among those in the element that `css` finds, round the end.
fn choose(css: &str, by: i32) {
    let Ok(links) = document().query_selector_all(&format!("{css} a")) else { return };
    let link = |i| links.item(i).and_then(|l| l.dyn_into::<web_sys::HtmlElement>().ok());
    let n = links.length();
    let current = (0..n).find(|&i| link(i).is_some_and(|l| l.has_attribute("aria-current")));
    if let Some(link) = current.and_then(|i| link((i + n).wrapping_add_signed(by) % n)) {
        link.click();
    }
}

/// Does what the button that `css` finds does.
fn click(css: &str) {
    let button = document().query_selector(css).ok().flatten();
    if let Some(button) = button.and_then(|b| b.dyn_into::<web_sys::HtmlElement>().ok()) {
        button.click();
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
