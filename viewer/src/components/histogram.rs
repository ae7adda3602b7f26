//! A histogram: bars as one path a colour, two axes, and a line at a marked value. What a bar counts is said by
//! `www/plots.js`, where it is pointed at.

use leptos::prelude::*;
use page_logic::{
    format::{short_count, trimmed},
    scale::{BOTTOM, HEIGHT, LEFT, Plot, RIGHT, TOP, WIDTH},
};
use shared::{decimals, histogram::Histogram};

/// What the bars' colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Activations: from pale to full as tokens are.
    Acts,
    /// Logits: one colour below zero, another above.
    Logits,
}

/// Draws `histogram`; `None` draws an empty frame of the same size.
#[component]
pub fn HistogramPlot(
    /// Counts.
    histogram: Option<Histogram>,
    /// Colours.
    tone: Tone,
    /// What is counted, for those who do not see it.
    label: &'static str,
    /// One of what is counted.
    unit: &'static str,
    /// Whether the axis of counts is logarithmic.
    log: bool,
    /// Value to mark.
    #[prop(into)]
    mark: Signal<Option<f64>>,
) -> impl IntoView {
    let Some(histogram) = histogram else {
        return view! { <div class="histogram histogram-empty" aria-hidden="true"></div> }.into_any();
    };
    let plot = Plot::of(&histogram, log);
    let n: u64 = histogram.counts.iter().sum();
    let description = format!(
        "{label}: {n} values from {} to {}",
        trimmed(histogram.min.into()),
        trimmed(histogram.max.into())
    );
    let bars = match tone {
        Tone::Acts => view! { <path class="bars bars-acts" d=plot.bars(&histogram, |_| true) /> }.into_any(),
        Tone::Logits => view! {
            <path class="bars bars-negative" d=plot.bars(&histogram, |v| v < 0.0) />
            <path class="bars bars-positive" d=plot.bars(&histogram, |v| v >= 0.0) />
        }
        .into_any(),
    };
    let view_box = format!("0 0 {WIDTH} {HEIGHT}");
    let (min, width) = (f64::from(histogram.min), histogram.bin_width());
    let (left, step) = (plot.x.at(min), plot.x.at(min + width) - plot.x.at(min));
    let counts = histogram.counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    view! {
        <svg class="histogram" viewBox=view_box role="img" aria-label=description tabindex="0"
            data-counts=counts data-bins=format!("{left:.3} {step:.5} {min} {width}") data-unit=unit>
            <rect class="bin" x=LEFT width="0" y=TOP height=BOTTOM - TOP />
            {axes(&plot)}
            {bars}
            <line class="axis" x1=LEFT x2=RIGHT y1=BOTTOM y2=BOTTOM />
            {move || mark.get().map_or_else(|| ().into_any(), |value| mark_line(&plot, value).into_any())}
        </svg>
    }
    .into_any()
}

/// The lines of both axes are one path: fewer elements to change from feature to feature.
fn axes(plot: &Plot) -> impl IntoView + use<> {
    let mut lines = String::new();
    let mut line = |piece: String| lines.push_str(&piece);
    let x = plot.x_ticks.iter().map(|&t| {
        let x = format!("{:.2}", plot.x.at(t));
        line(format!("M{x} {TOP}V{BOTTOM}"));
        view! { <text class="tick" x=x y=BOTTOM + 14.0 text-anchor="middle">{trimmed(t)}</text> }
    });
    let x = x.collect_view();
    let y = plot.y_ticks.iter().map(|&t| {
        let y = plot.y.at(t);
        line(format!("M{LEFT} {y:.2}H{RIGHT}"));
        view! { <text class="tick" x=LEFT - 6.0 y=format!("{:.2}", y + 3.5) text-anchor="end">{short_count(t)}</text> }
    });
    let y = y.collect_view();
    view! { <path class="grid" d=lines /> {x} {y} }
}

fn mark_line(plot: &Plot, value: f64) -> impl IntoView + use<> {
    let at = plot.x.at(value).clamp(LEFT, RIGHT);
    let anchor = if at < LEFT + 26.0 {
        "start"
    } else if at > RIGHT - 26.0 {
        "end"
    } else {
        "middle"
    };
    let x = format!("{at:.2}");
    view! {
        <g class="mark" data-mark=value>
            <line x1=x.clone() x2=x.clone() y1=TOP - 3.0 y2=BOTTOM />
            <text x=x y=TOP - 7.0 text-anchor=anchor>{decimals::text(value, plot.x.domain.1.max(-plot.x.domain.0))}</text>
        </g>
    }
}
