//! A histogram in which a range is chosen by dragging.

use std::{cell::Cell, rc::Rc};

use crate::components::handler::handler;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

/// Width and height of the bars' area, in the drawing's units.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 96.0;
/// Drags shorter than this share of the axis are clicks, which free the range.
const MIN_SHARE: f64 = 0.01;

/// Bars over an axis from 0 to 1, a part of which may be chosen.
pub struct Bars {
    /// Counts of equal parts of the axis.
    pub counts: Vec<u32>,
    /// Texts below the axis with their coordinates.
    pub ticks: Vec<(String, f64)>,
    /// The chosen part.
    pub chosen: Option<(f64, f64)>,
    /// What is shown, for those who do not see it.
    pub label: String,
}

/// Draws `bars`; `choose` takes the part that the reader drags over.
pub fn brush(bars: Bars, choose: impl Fn(Option<(f64, f64)>) + 'static) -> impl IntoView {
    // Where the drag began, and where it is.
    let drag = Rc::new(Cell::new(None::<(f64, f64)>));
    let (begun, moved, ended) = (drag.clone(), drag.clone(), drag);
    let down = move |e: web_sys::PointerEvent| {
        let Some((svg, share)) = share_at(&e) else { return };
        e.prevent_default();
        // Without capture a drag that leaves the plot ends there, which is no loss.
        let captured = svg.set_pointer_capture(e.pointer_id()).is_ok();
        debug_assert!(captured, "the pointer is down");
        begun.set(Some((share, share)));
    };
    let over = move |e: web_sys::PointerEvent| {
        let (Some((from, _)), Some((svg, to))) = (moved.get(), share_at(&e)) else { return };
        moved.set(Some((from, to)));
        if let Some(part) = svg.query_selector(".brush-part").ok().flatten() {
            let (x, width) = rect((from.min(to), from.max(to)));
            let drawn = part.set_attribute("x", &x).and_then(|()| part.set_attribute("width", &width));
            debug_assert!(drawn.is_ok(), "a rectangle has a size");
        }
    };
    let up = move |_: web_sys::PointerEvent| {
        if let Some((from, to)) = ended.take() {
            choose(Some((from.min(to), from.max(to))).filter(|(a, b)| b - a >= MIN_SHARE));
        }
    };
    let (x, width) = rect(bars.chosen.unwrap_or_default());
    view! {
        <div class="brush">
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=bars.label
                data-brush on:pointerdown=handler(down) on:pointermove=handler(over) on:pointerup=handler(up)>
                <rect class="brush-part" x=x width=width y="0" height=HEIGHT.to_string() />
                <path class="bars-features" d=path(&bars.counts) />
            </svg>
            {ticks("brush-ticks", "left", bars.ticks)}
        </div>
    }
}

/// Texts along an axis; `side` is the CSS property that positions them.
pub fn ticks(class: &'static str, side: &'static str, ticks: Vec<(String, f64)>) -> impl IntoView {
    let tick =
        |(text, at): (String, f64)| view! { <span style=format!("{side}:{:.2}%", at * 100.0)>{text}</span> };
    view! { <div class=class aria-hidden="true">{ticks.into_iter().map(tick).collect_view()}</div> }
}

/// The plot and the share of its width at which the pointer is.
fn share_at(e: &web_sys::PointerEvent) -> Option<(web_sys::Element, f64)> {
    let svg: web_sys::Element = e.current_target()?.dyn_into().ok()?;
    let rect = svg.get_bounding_client_rect();
    let share = (f64::from(e.client_x()) - rect.left()) / rect.width().max(1.0);
    Some((svg, share.clamp(0.0, 1.0)))
}

fn rect((a, b): (f64, f64)) -> (String, String) {
    (format!("{:.1}", a * WIDTH), format!("{:.1}", (b - a) * WIDTH))
}

/// One path for all bars; one feature is at least a line.
fn path(counts: &[u32]) -> String {
    use std::fmt::Write as _;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let width = WIDTH / counts.len().max(1) as f64;
    let mut path = String::new();
    for (i, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let height = (f64::from(n) / f64::from(most) * (HEIGHT - 4.0)).max(1.5);
        let (x, y) = (i as f64 * width + 0.4, HEIGHT - height);
        let written = write!(path, "M{x:.1} {HEIGHT}V{y:.1}h{:.1}V{HEIGHT}z", width - 0.8);
        debug_assert!(written.is_ok(), "a string takes any text");
    }
    path
}
