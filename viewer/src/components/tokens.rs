//! Tokens as they are drawn, and which token an event is about.
//!
//! Lines and lists of lines are handed over as text to the elements of `www/tokens.js`, which says how they read it. They
//! have no listeners of their own: the panel around them listens once and asks [`TokenRef`].

use std::fmt::Write as _;

use leptos::{html::custom, prelude::*};
use wasm_bindgen::JsCast as _;

/// The elements of `www/tokens.js`. In capitals, as an element says its own name: Leptos compares the two, and makes a
/// new element where they differ.
const TOKEN_LINE: &str = "TOKEN-LINE";
const EXAMPLE_LIST: &str = "EXAMPLE-LIST";

/// Steps of the background's and the underline's strength; CSS has a class for each.
const N_STEPS: f64 = 20.0;

/// A token as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSpan {
    /// Text, escaped for the eye.
    pub text: String,
    /// Token.
    pub token_id: u32,
    /// Corpus row, 0 in a prompt.
    pub row: u32,
    /// Position in the row.
    pub position: u32,
    /// Background, 0 to 1.
    pub fill: f64,
    /// Underline, −1 (helps) to 1 (hurts).
    pub underline: f64,
    /// Whether it is the token that the line was chosen for.
    pub bold: bool,
    /// Whether the Tab key stops at it.
    pub tab_stop: bool,
    /// Whether the text stands for something that has no sign of its own.
    pub escaped: bool,
    /// The character that it makes together with its neighbours.
    pub joined: Option<String>,
}

impl TokenSpan {
    fn class(&self) -> String {
        let mut class = String::from("token");
        let step = |share: f64| (share.abs().min(1.0) * N_STEPS).ceil() as u32;
        let add = |written: std::fmt::Result| debug_assert!(written.is_ok(), "a string takes any text");
        if self.fill > 0.0 {
            add(write!(class, " active f{}", step(self.fill)));
        }
        // Less than half a step is nothing to look at.
        if self.underline.abs() * N_STEPS > 0.5 {
            let side = if self.underline < 0.0 { "helps" } else { "hurts" };
            add(write!(class, " {side} u{}", step(self.underline)));
        }
        for (holds, name) in
            [(self.bold, " bold"), (self.escaped, " escaped"), (self.joined.is_some(), " joined")]
        {
            if holds {
                class.push_str(name);
            }
        }
        class
    }
}

/// A line of tokens.
pub fn token_line(tokens: &[TokenSpan]) -> impl IntoView + use<> {
    custom(TOKEN_LINE).prop("line", encoded(tokens))
}

/// Lines one under another.
///
/// - `aligned`: whether their bold tokens stand under one another
/// - `n_reserved`: lines for which there is always room, so that fewer move nothing below them; where they are aligned
pub fn example_list(lines: &[Vec<TokenSpan>], aligned: bool, n_reserved: u32) -> impl IntoView + use<> {
    let lines: Vec<String> = lines.iter().map(|tokens| encoded(tokens)).collect();
    let lists = custom(EXAMPLE_LIST).class("lines").attr("role", "list").attr("data-tokens", "");
    let room = aligned.then(|| format!("--lines:{n_reserved}"));
    lists.attr("style", room).prop("aligned", aligned).prop("examples", lines.join("\x1d"))
}

fn encoded(tokens: &[TokenSpan]) -> String {
    let index = |of: fn(&TokenSpan) -> bool| tokens.iter().position(of).map_or(-1, |i| i as i64);
    let (row, first) = tokens.first().map_or((0, 0), |t| (t.row, t.position));
    let mut line = format!("{row}\x1f{first}\x1f{}\x1f{}", index(|t| t.bold), index(|t| t.tab_stop));
    for token in tokens {
        let joined = token.joined.as_deref().unwrap_or_default();
        line.push('\x1e');
        line.push_str(&token.class());
        let written = write!(line, "\x1f{}\x1f{joined}\x1f{}", token.token_id, token.text);
        debug_assert!(written.is_ok(), "a string takes any text");
    }
    line
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
            joined: element.get_attribute("data-joined"),
            element,
        })
    }

    /// Left, top, right and bottom in the window.
    pub fn place(&self) -> [f64; 4] {
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
