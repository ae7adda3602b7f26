//! Pointer, focus and keys on tokens.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::{
    components::{handler::handler, tokens::TokenRef},
    state::Session,
};

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
