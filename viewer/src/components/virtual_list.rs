//! A list of which only the visible rows exist: sixty-five thousand rows scroll as smoothly as sixty.

use std::ops::Range;

use crate::components::{handler::handler, next_frame::next_frame};
use leptos::{ev, html, prelude::*};

/// Rows drawn beyond each edge, so that a flick of the wheel shows no gap.
const OVERSCAN: usize = 8;

/// Where a list is, and which of its rows has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scroll {
    /// Pixels above the box.
    top: f64,
    /// Height of the box in pixels.
    height: f64,
    /// The row that has the keyboard.
    pub current: usize,
}

impl Scroll {
    /// A list at its top.
    pub fn new() -> Self {
        Self { top: 0.0, height: 900.0, current: 0 }
    }

    fn visible(self, len: usize, row_px: f64) -> Range<usize> {
        let first = ((self.top / row_px) as usize).saturating_sub(OVERSCAN).min(len);
        first..(first + (self.height / row_px) as usize + 2 * OVERSCAN + 1).min(len)
    }
}

impl Default for Scroll {
    fn default() -> Self {
        Self::new()
    }
}

/// A scrolling box over rows of one height. The row that has the keyboard is kept in sight.
#[component]
pub fn VirtualList(
    /// Where the list is.
    scroll: RwSignal<Scroll>,
    /// Number of rows.
    len: Callback<(), usize>,
    /// Height of a row, in CSS pixels.
    row_px: f64,
    /// The rows of a range, each `row_px` high; its second argument has the keyboard.
    rows: Callback<(Range<usize>, usize), AnyView>,
    /// What stands above the rows and stays there.
    head: AnyView,
) -> impl IntoView {
    let list = NodeRef::<html::Div>::new();
    let measure = move || {
        let Some(list) = list.get_untracked() else { return };
        let (top, height) = (f64::from(list.scroll_top()), f64::from(list.client_height()));
        scroll.update(|s| (s.top, s.height) = (top, height));
    };
    let resized = window_event_listener(ev::resize, move |_| measure());
    on_cleanup(move || resized.remove());
    next_frame(measure);
    Effect::new(move |before: Option<(usize, usize)>| {
        let (n, at) = (len.run(()), scroll.get().current);
        let Some(list) = list.get_untracked().filter(|_| before.is_some_and(|b| b != (n, at))) else {
            return (n, at);
        };
        // What is gone cannot be scrolled to: another list begins at its top.
        if before.is_some_and(|(len, _)| len != n) {
            list.set_scroll_top(0);
            scroll.update(|s| s.current = 0);
            return (n, 0);
        }
        let (row, shown) = (at as f64 * row_px, f64::from(list.client_height()) - 2.0 * row_px);
        let from = f64::from(list.scroll_top());
        list.set_scroll_top(from.clamp((row - shown).min(row), row) as i32);
        (n, at)
    });
    let body = move || {
        let (n, at) = (len.run(()), scroll.get());
        let visible = at.visible(n, row_px);
        let above = visible.start as f64 * row_px;
        view! {
            <div class="virtual-rows" role="rowgroup" style=format!("height:{}px", n as f64 * row_px)>
                <div role="presentation" style=format!("transform:translateY({above}px)")>{rows.run((visible, at.current))}</div>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="virtual-list" node_ref=list on:scroll=handler(move |_| measure())>
            {head}
            {move || body()}
        </div>
    }
}
