//! Hands text to the reader: into the clipboard, or where the browser does not let the page, into a file. `www/hand.js` does
//! it and says so.

use leptos::prelude::window;
use wasm_bindgen::{JsCast as _, JsValue};

/// Hands `text` over; a file is called `name`.
pub fn hand(text: &str, name: &str) {
    call("saeVisHand", text, name);
}

/// Says something that needs no answer.
pub fn say(text: &str) {
    call("saeVisSay", text, "");
}

fn call(function: &str, a: &str, b: &str) {
    let function = js_sys::Reflect::get(&window(), &function.into()).ok();
    let function = function.and_then(|f| f.dyn_into::<js_sys::Function>().ok());
    let called = function.map(|f| f.call2(&JsValue::NULL, &a.into(), &b.into()));
    debug_assert!(matches!(called, Some(Ok(_))), "hand.js is loaded before the viewer");
}
