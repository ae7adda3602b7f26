//! Tokens as they are drawn, and which token an event is about.
//!
//! Lines and lists of lines are handed over as text to the elements of `www/tokens.js`, which says how they read it. They
//! have no listeners of their own: the panel around them listens once and asks [`TokenRef`].

use leptos::{html::custom, prelude::*};
use page_logic::line::Line;
use wasm_bindgen::JsCast as _;

/// The elements of `www/tokens.js`. In capitals, as an element says its own name: Leptos compares the two, and makes a
/// new element where they differ.
const TOKEN_LINE: &str = "TOKEN-LINE";
const EXAMPLE_LIST: &str = "EXAMPLE-LIST";

/// A line of tokens.
pub fn token_line(line: &Line) -> impl IntoView + use<> {
    custom(TOKEN_LINE).prop("line", line.encoded())
}

/// Lines one under another.
///
/// - `aligned`: whether their bold tokens stand under one another
pub fn example_list(lines: &[Line], aligned: bool) -> impl IntoView + use<> {
    let lines: Vec<String> = lines.iter().map(Line::encoded).collect();
    let lists = custom(EXAMPLE_LIST).class("lines").attr("role", "list").attr("data-tokens", "");
    lists.prop("aligned", aligned).prop("examples", lines.join("\x1d"))
}

/// The token that an event is about.
#[derive(Debug, Clone)]
pub struct TokenRef {
    /// Its element.
    pub element: web_sys::HtmlElement,
    /// Corpus row, 0 in a prompt.
    pub row: u32,
    /// Position in the row.
    pub position: u32,
    /// Token.
    pub token_id: u32,
    /// The token after it in the line.
    pub next_id: Option<u32>,
    /// The character that it makes together with its neighbours.
    pub joined: Option<String>,
}

impl TokenRef {
    /// The token at or around `target`.
    pub fn of(target: Option<web_sys::EventTarget>) -> Option<Self> {
        let element: web_sys::Element = target?.dyn_into().ok()?;
        let element: web_sys::HtmlElement = element.closest("[data-token-id]").ok()??.dyn_into().ok()?;
        let number = |name: &str| element.get_attribute(name)?.parse().ok();
        Some(Self {
            row: element.closest("[data-row]").ok()??.get_attribute("data-row")?.parse().ok()?,
            position: number("data-position")?,
            token_id: number("data-token-id")?,
            next_id: following(&element).and_then(|next| next.get_attribute("data-token-id")?.parse().ok()),
            joined: element.get_attribute("data-joined"),
            element,
        })
    }

    /// Left, top, right and bottom in the window.
    pub fn rect(&self) -> [f64; 4] {
        let rect = self.element.get_bounding_client_rect();
        [rect.left(), rect.top(), rect.right(), rect.bottom()]
    }

    /// The token that the arrow key `key` leads to: left and right in the line, up and down to the bold token
    /// of the line before or after.
    pub fn towards(&self, key: &str) -> Option<web_sys::HtmlElement> {
        let line = self.element.closest("[data-line]").ok()??;
        let find = |root: &web_sys::Element, selector: &str| {
            let found = root.query_selector(selector).ok()??;
            found.dyn_into::<web_sys::HtmlElement>().ok()
        };
        let at = |position: u32| find(&line, &format!("[data-position=\"{position}\"]"));
        match key {
            "ArrowLeft" => at(self.position.checked_sub(1)?),
            "ArrowRight" => at(self.position + 1),
            "ArrowUp" | "ArrowDown" => {
                let lines = line.closest("[data-tokens]").ok()??.query_selector_all("[data-line]").ok()?;
                let here =
                    (0..lines.length()).find(|i| lines.get(*i).is_some_and(|n| n == *line.as_ref()))?;
                let there = if key == "ArrowUp" { here.checked_sub(1)? } else { here + 1 };
                let line: web_sys::Element = lines.get(there)?.dyn_into().ok()?;
                find(&line, ".bold").or_else(|| find(&line, "[data-token-id]"))
            }
            _ => None,
        }
    }
}

/// The token after `element`, which may be the first of the other half of a window that is lined up.
fn following(element: &web_sys::Element) -> Option<web_sys::Element> {
    element.next_element_sibling().or_else(|| {
        let half = element.closest(".before").ok()??.next_element_sibling()?;
        half.first_element_child()
    })
}
