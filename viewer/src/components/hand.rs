//! Hands text to the reader: into the clipboard, or where the browser does not let the page, into a file.

use leptos::prelude::window;
use wasm_bindgen::{JsCast as _, JsValue};

/// The function of `www/hand.js` that does it and says so.
const FUNCTION: &str = "saeVisHand";

/// Hands `text` over; a file is called `name`.
pub fn hand(text: &str, name: &str) {
    let function = js_sys::Reflect::get(&window(), &FUNCTION.into()).ok();
    let function = function.and_then(|f| f.dyn_into::<js_sys::Function>().ok());
    let called = function.map(|f| f.call2(&JsValue::NULL, &text.into(), &name.into()));
    debug_assert!(matches!(called, Some(Ok(_))), "hand.js is loaded before the viewer");
}
