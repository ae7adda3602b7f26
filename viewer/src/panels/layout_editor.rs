//! What `www/editor.js` asks: which components and options there are, which presets, and whether a draft can be shown.

use std::sync::Arc;

use leptos::prelude::*;
use page_logic::{
    json::quoted,
    layouts::{Unfit, check, cut_text, fitted, own, presets, used_by},
};
use shared::layout::{Component, Layout, OptionInfo, Refusal, Setting, Use};
use wasm_bindgen::{JsValue, closure::Closure};

use crate::{data::Bundle, state::Session};

/// The function that the editor calls with what it asks and a layout as JSON; it gets JSON back.
const FUNCTION: &str = "saeVisLayout";

/// Answers the editor about `bundle`.
pub fn answer_editor(session: Session, bundle: Arc<Bundle>) {
    let answer = Closure::<dyn Fn(String, String) -> String>::new(move |asked: String, json: String| {
        let r#use = used_by(&session.route.get_untracked()).unwrap_or(Use::Feature);
        match asked.as_str() {
            "catalog" => catalog(r#use, &bundle),
            "now" => checked(&untrack(|| session.layouts.shown(r#use, &bundle)), r#use, &bundle),
            _ => match Layout::from_json(&json) {
                Ok(layout) => {
                    if asked == "choose" {
                        choose(session, r#use, &bundle, &layout);
                    }
                    checked(&layout, r#use, &bundle)
                }
                Err(e) => format!("{{\"error\":{}}}", quoted(&e.to_string())),
            },
        }
    });
    let set = js_sys::Reflect::set(&window(), &FUNCTION.into(), &answer.into_js_value());
    debug_assert!(set.is_ok_and(|set| set), "the window takes any member");
    on_cleanup(|| {
        let gone = js_sys::Reflect::set(&window(), &FUNCTION.into(), &JsValue::UNDEFINED);
        debug_assert!(gone.is_ok_and(|gone| gone), "the window takes any member");
    });
}

/// Shows `layout` where `bundle` covers it.
fn choose(session: Session, r#use: Use, bundle: &Bundle, layout: &Layout) {
    if check(layout, r#use, &bundle.manifest).is_ok() {
        let chosen = (*layout != own(r#use, &bundle.manifest)).then(|| layout.clone());
        session.layouts.choose(r#use, chosen);
        session.replace(session.route.get_untracked());
    }
}

/// A layout as JSON, and why it cannot be shown.
fn checked(layout: &Layout, r#use: Use, bundle: &Bundle) -> String {
    let json = quoted(&layout.to_json());
    match check(layout, r#use, &bundle.manifest) {
        Ok(()) => format!("{{\"json\":{json}}}"),
        Err(Unfit::Invalid(reason)) => format!("{{\"json\":{json},\"error\":{}}}", quoted(&reason)),
        Err(Unfit::Refused(refusals)) => {
            let refusal = |r: &Refusal| {
                let (component, option) = (quoted(r.component), quoted(r.option));
                format!("{{\"component\":{component},\"option\":{option},\"reason\":{}}}", quoted(&r.reason))
            };
            let refusals: Vec<String> = refusals.iter().map(refusal).collect();
            format!("{{\"json\":{json},\"refusals\":[{}]}}", refusals.join(","))
        }
    }
}

/// All components with their options, and the layouts that are offered.
fn catalog(r#use: Use, bundle: &Bundle) -> String {
    let component = |component: &Component| {
        let options: Vec<String> = component.settings().iter().map(option).collect();
        format!("{{\"name\":{},\"options\":[{}]}}", quoted(component.name()), options.join(","))
    };
    let components: Vec<String> = Component::all().iter().map(component).collect();
    let mut offered = vec![("the bundle's own", own(r#use, &bundle.manifest), String::new())];
    offered.extend(presets(r#use).into_iter().filter_map(|p| {
        let (layout, cut) = fitted(&p.layout, r#use, &bundle.manifest)?;
        Some((p.name, layout, cut_text(&cut)))
    }));
    let preset = |(name, layout, cut): &(&str, Layout, String)| {
        let json = quoted(&layout.to_json());
        format!("{{\"name\":{},\"json\":{json},\"cut\":{}}}", quoted(name), quoted(cut))
    };
    let offered: Vec<String> = offered.iter().map(preset).collect();
    let name = if r#use == Use::Feature { "feature" } else { "prompt" };
    let (components, offered) = (components.join(","), offered.join(","));
    format!("{{\"use\":\"{name}\",\"catalog\":[{components}],\"presets\":[{offered}]}}")
}

fn option((info, default): &(OptionInfo, Setting)) -> String {
    let kind = match default {
        Setting::Number(_) => "number",
        Setting::Flag(_) => "flag",
        Setting::Buffer(_) => "buffer",
        Setting::Choice(_) => "choice",
    };
    let choices: Vec<String> = info.choices.iter().map(|word| quoted(word)).collect();
    format!(
        "{{\"name\":{},\"about\":{},\"min\":{},\"max\":{},\"kind\":\"{kind}\",\"default\":{},\"choices\":[{}]}}",
        quoted(info.name),
        quoted(info.about),
        info.range.start(),
        info.range.end(),
        default.to_json(),
        choices.join(",")
    )
}
