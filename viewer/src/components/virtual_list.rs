//! A list of which only the visible rows exist: a million rows scroll as smoothly as sixty.

use std::ops::Range;

use crate::components::{handler::handler, next_frame::next_frame};
use leptos::{ev, html, prelude::*};

/// Rows drawn beyond each edge, so that a flick of the wheel shows no gap.
const OVERSCAN: usize = 8;

/// The highest box that browsers lay out; a longer list is scrolled faster than it moves.
const MAX_PX: f64 = 15_000_000.0;

/// Where a list is, and which of its rows has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scroll {
    /// Pixels of the box above what is in sight.
    pub top: f64,
    /// Height of what is in sight, in pixels.
    height: f64,
    /// The row that has the keyboard.
    pub current: usize,
}

impl Scroll {
    /// A list at its top.
    pub fn new() -> Self {
        Self::at(0.0, 0)
    }

    /// A list that is scrolled to `top`, with the keyboard at row `current`.
    pub fn at(top: f64, current: usize) -> Self {
        Self { top, height: 900.0, current }
    }

    /// The rows in sight and around it, and how many pixels below the box's top the first of them stands.
    fn visible(self, len: usize, row_px: f64) -> (Range<usize>, f64) {
        let above = self.top * stretch(len, row_px, self.height);
        let first = ((above / row_px) as usize).saturating_sub(OVERSCAN).min(len);
        let rows = first..(first + (self.height / row_px) as usize + 2 * OVERSCAN + 1).min(len);
        (rows, self.top + first as f64 * row_px - above)
    }

    /// How far to scroll so that `row` is in sight: not at all where it is.
    fn towards(self, row: usize, len: usize, row_px: f64) -> f64 {
        let stretch = stretch(len, row_px, self.height);
        let (row, shown) = (row as f64 * row_px, self.height - 2.0 * row_px);
        (self.top * stretch).clamp((row - shown).min(row), row) / stretch
    }
}

/// Pixels of the list for each pixel of its box.
fn stretch(len: usize, row_px: f64, height: f64) -> f64 {
    let whole = len as f64 * row_px;
    if whole <= MAX_PX { 1.0 } else { (whole - height) / (MAX_PX - height) }
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
    // A list that was left in its middle is there again once its rows are.
    let first = scroll.get_untracked();
    next_frame(move || {
        if let Some(list) = list.get_untracked().filter(|_| first.top > 0.0 || first.current > 0) {
            let height = f64::from(list.client_height());
            let to = Scroll { height, ..first }.towards(first.current, len.run(()), row_px);
            list.set_scroll_top(to as i32);
        }
        measure();
    });
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
        let now = Scroll {
            top: f64::from(list.scroll_top()),
            height: f64::from(list.client_height()),
            current: at,
        };
        list.set_scroll_top(now.towards(at, n, row_px) as i32);
        (n, at)
    });
    let body = move || {
        let (n, at) = (len.run(()), scroll.get());
        let (visible, above) = at.visible(n, row_px);
        view! {
            <div class="virtual-rows" role="rowgroup" style=format!("height:{}px", (n as f64 * row_px).min(MAX_PX))>
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
