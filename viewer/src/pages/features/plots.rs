//! The two plots over the table: how a statistic is distributed, and two statistics against each other.

use std::sync::Arc;

use leptos::prelude::*;
use page_logic::{
    axis::{Axis, counts},
    browse::Stat,
    format::{count, trimmed},
    route::Route,
};

use super::{Table, filters::value_text};
use crate::components::{
    brush::{Bars, brush, ticks},
    handler::handler,
    scatter::{Dot, scatter},
};

/// Bars of the histogram.
const N_BARS: usize = 60;
/// What a share is multiplied with where it is typed and read in percent.
const PERCENT: f64 = 100.0;

/// The histogram of a statistic over all features, with a range to choose.
pub fn distribution(table: Table) -> AnyView {
    let stat = Memo::new(move |_| table.browse.with(|b| b.bars));
    let counted = Memo::new(move |_| {
        let (index, stat) = (table.index(), stat.get());
        let axis = Axis::of(&index, stat);
        (axis, counts(&index, stat, &axis, N_BARS))
    });
    let n_dead = table.index().density.iter().filter(|d| **d <= 0.0).count() as u64;
    let dead = if n_dead > 0 { format!("{} dead", count(n_dead)) } else { String::new() };
    let range = Memo::new(move |_| table.browse.with(|b| b.range(b.bars)));
    let plot = move || {
        let (axis, counts) = counted.get();
        let stat = stat.get();
        let choose = move |part: Option<(f64, f64)>| {
            let range = part.map(|(a, b)| (axis.value(a), axis.value(b)));
            table.change(|b| b.set_range(stat, range));
        };
        let bars = Bars {
            counts,
            ticks: texts(stat, &axis),
            chosen: range.get().and_then(|(low, high)| axis.part(low, high)),
            label: format!("Features by {}: drag to choose a range", stat.name()),
        };
        brush(bars, choose).into_any()
    };
    let bounds = move || {
        let (stat, range) = (stat.get(), range.get());
        let unit = (stat == Stat::Density).then_some("%");
        view! { {bound_input(table, stat, range, true)}<span aria-hidden="true">"–"</span>{bound_input(table, stat, range, false)}{unit} }
            .into_any()
    };
    view! {
        <section class="panel" data-panel="distribution">
            <header class="plot-head">
                <h2>"FEATURES BY"</h2>
                {move || stat_select("Statistic", stat.get(), move |s| table.change(|b| b.bars = s))}
                <span class="bounds">{move || bounds()}</span>
                <span class="subtitle">{dead}</span>
            </header>
            {move || plot()}
        </section>
    }
    .into_any()
}

/// A choice of statistic.
fn stat_select(label: &'static str, chosen: Stat, choose: impl Fn(Stat) + 'static) -> AnyView {
    let option =
        |stat: Stat| view! { <option value=stat.name() selected=chosen == stat>{stat.name()}</option> };
    let options = Stat::ALL.into_iter().skip(1).map(option).collect_view();
    let change = move |e| {
        if let Some(stat) = Stat::from_name(&event_target_value(&e)) {
            choose(stat);
        }
    };
    view! { <select aria-label=label title=label on:change=handler(change)>{options}</select> }.into_any()
}

/// A box for one bound of a range.
fn bound_input(table: Table, stat: Stat, range: Option<(f64, f64)>, is_low: bool) -> AnyView {
    let scale = if stat == Stat::Density { PERCENT } else { 1.0 };
    let (low, high) = range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let value = if is_low { low } else { high };
    let text = if value.is_finite() { trimmed(value * scale) } else { String::new() };
    let unit = if stat == Stat::Density { ", in percent" } else { "" };
    let label = format!("{} {}{unit}", if is_low { "Least" } else { "Most" }, stat.name());
    let change = move |e: web_sys::Event| {
        let typed = event_target::<web_sys::HtmlInputElement>(&e).value_as_number();
        let typed = Some(typed / scale).filter(|v| v.is_finite());
        let (low, high) = if is_low {
            (typed.unwrap_or(f64::NEG_INFINITY), high)
        } else {
            (low, typed.unwrap_or(f64::INFINITY))
        };
        let any = low.is_infinite() && high.is_infinite();
        table.change(|b| b.set_range(stat, (!any).then_some((low, high))));
    };
    view! {
        <input class="bound" type="number" step="any" autocomplete="off" placeholder="any" title=label.clone() aria-label=label
            prop:value=text on:change=handler(change) />
    }
    .into_any()
}

/// Two statistics against each other, of the features that the table shows.
pub fn cloud(table: Table) -> AnyView {
    let axes = Memo::new(move |_| table.browse.with(|b| b.axes));
    // Where each entry of the index lies: a changed filter does not compute it again.
    let spots = Memo::new(move |_| {
        let (index, (x, y)) = (table.index(), axes.get());
        let (x_axis, y_axis) = (Axis::of(&index, x), Axis::of(&index, y));
        let at = |stat: Stat, axis: &Axis, i| axis.at(stat.of(&index, i)).map_or(f32::NAN, |at| at as f32);
        Arc::new((0..index.len()).map(|i| (at(x, &x_axis, i), at(y, &y_axis, i))).collect::<Vec<_>>())
    });
    let said = NodeRef::<leptos::html::Output>::new();
    let plot = move || {
        let (index, (x, y), spots) = (table.index(), axes.get(), spots.get());
        let dot = |&i: &u32| {
            let (x, y) = spots[i as usize];
            (!x.is_nan() && !y.is_nan()).then_some(Dot { id: i, x, y })
        };
        let dots = table.order.with(|order| order.iter().filter_map(dot).collect());
        let name = move |entry: u32| table.index().features[entry as usize];
        let point = move |entry: Option<u32>| {
            let text = entry.map(|entry| described(table, entry as usize, (x, y)));
            if let Some(said) = said.get_untracked() {
                said.set_text_content(text.as_deref());
            }
        };
        point(None);
        let label = format!("Features by {} and {}", x.name(), y.name());
        let plot = scatter(dots, label, point, move |entry| table.session.go(Route::Feature(name(entry))));
        view! {
            {ticks("scatter-ticks", "bottom", texts(y, &Axis::of(&index, y)))}
            {plot}
            {ticks("brush-ticks", "left", texts(x, &Axis::of(&index, x)))}
        }
        .into_any()
    };
    view! {
        <section class="panel" data-panel="scatter">
            <header class="plot-head">
                {move || stat_select("Vertical axis", axes.get().1, move |s| table.change(|b| b.axes.1 = s))}
                <h2>"AGAINST"</h2>
                {move || stat_select("Horizontal axis", axes.get().0, move |s| table.change(|b| b.axes.0 = s))}
                <output class="subtitle" data-pointed node_ref=said></output>
            </header>
            <div class="scatter-frame">{move || plot()}</div>
        </section>
    }
    .into_any()
}

/// A feature that is pointed at: its index, two statistics, its label or its first tokens.
fn described(table: Table, entry: usize, (x, y): (Stat, Stat)) -> String {
    table.loaded.with_value(|l| {
        let feature = l.index.features[entry];
        let value = |stat: Stat| format!("{} {}", stat.name(), value_text(stat, stat.of(&l.index, entry)));
        let tokens = l.index.active_tokens[entry].iter().take(3).map(|id| l.vocab.text(*id));
        let label = l.labels.as_ref().and_then(|labels| labels.of(feature));
        let label = label.unwrap_or_else(|| tokens.collect::<Vec<_>>().join(" · "));
        format!("feature {feature}: {}, {}; {label}", value(x), value(y))
    })
}

fn texts(stat: Stat, axis: &Axis) -> Vec<(String, f64)> {
    let text = |value: f64| match stat {
        Stat::Density => format!("{}%", trimmed(value * PERCENT)),
        _ if value != 0.0 && value.abs() < 1e-3 => format!("{value:.0e}"),
        _ => trimmed(value),
    };
    axis.ticks().into_iter().map(|(value, at)| (text(value), at)).collect()
}
