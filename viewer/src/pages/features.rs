//! The table of all features: search, ranges, a histogram to brush, a scatter plot to point at.
//!
//! Everything chosen here is in the address. A choice replaces the address rather than adding to the history, so that
//! Back leaves the table.

use std::{ops::Range, sync::Arc};

use futures_util::future::try_join;
use leptos::prelude::*;
use page_logic::{
    axis::{Axis, counts},
    browse::{Browse, Column, Stat},
    find::{Searchable, order},
    format::{count, percent, significant, trimmed},
    route::Route,
    walk::Walk,
};
use shared::{decimals, index::FeatureIndex, labels::Labels, layers::LABELS, vocab::Vocab};
use wasm_bindgen::JsCast as _;

use crate::{
    components::{
        brush::{Bars, brush, ticks},
        error_note::ErrorNote,
        handler::handler,
        scatter::{Dot, scatter},
        token_chip::{Side, token_chip},
        virtual_list::{Scroll, VirtualList},
    },
    data::Loading,
    state::{Session, use_bundle},
};

/// Height of a row, in CSS pixels; `.features-row` of components.css has the same.
const ROW_PX: f64 = 30.0;
/// Bars of the histogram.
const N_BARS: usize = 60;
/// Tokens shown of each list.
const N_TOKENS: usize = 5;

/// What the page shows; read once, cheap to copy about.
#[derive(Clone)]
struct Loaded {
    index: Arc<FeatureIndex>,
    vocab: Arc<Vocab>,
    /// Absent where the bundle has none, as then their column is.
    labels: Option<Arc<Labels>>,
    texts: Arc<Searchable>,
}

/// What the page's parts share.
#[derive(Clone, Copy)]
struct Table {
    loaded: StoredValue<Loaded>,
    browse: RwSignal<Browse>,
    order: Memo<Arc<Vec<u32>>>,
}

impl Table {
    fn change(self, change: impl FnOnce(&mut Browse)) {
        self.browse.update(change);
    }

    fn index(self) -> Arc<FeatureIndex> {
        self.loaded.with_value(|l| l.index.clone())
    }

    fn has_labels(self) -> bool {
        self.loaded.with_value(|l| l.labels.is_some())
    }

    /// The feature in row `row`.
    fn feature(self, row: usize) -> Option<u32> {
        let entry = self.order.with_untracked(|order| order.get(row).copied())?;
        self.index().features.get(entry as usize).copied()
    }
}

/// The Features page.
#[component]
pub fn FeaturesPage() -> impl IntoView {
    let bundle = use_bundle();
    let loading = Loading::new(move || {
        let (index, vocab) = (bundle.index(), bundle.vocab());
        let labels = bundle.manifest.has_layer(&LABELS).then(|| bundle.labels());
        async move {
            let (index, vocab) = try_join(index, vocab).await?;
            let labels = match labels {
                Some(labels) => Some(labels.await?),
                None => None,
            };
            let texts = Arc::new(Searchable::of(&vocab, labels.as_deref(), &index));
            Ok(Loaded { index, vocab, labels, texts })
        }
    });
    (move || match loading.get() {
        None => view! { <p class="late-note" role="status">"Loading the table of features…"</p> }.into_any(),
        Some(Ok(loaded)) => view! { <FeaturesTable loaded /> }.into_any(),
        Some(Err(e)) => {
            let retry = Callback::new(move |()| loading.refetch());
            view! { <ErrorNote message=e.to_string() retry /> }.into_any()
        }
    })
    .into_any()
}

#[component]
fn FeaturesTable(loaded: Loaded) -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let at_first = match session.route.get_untracked() {
        Route::Features(browse) => browse,
        _ => Browse::default(),
    };
    let browse = RwSignal::new(at_first);
    let loaded = StoredValue::new(loaded);
    let order = Memo::new(move |_| {
        browse.with(|browse| loaded.with_value(|l| Arc::new(order(&l.index, &l.texts, browse))))
    });
    let table = Table { loaded, browse, order };
    // The address follows what is chosen here; what is chosen follows a link or Back.
    Effect::new(move || session.replace(Route::Features(browse.get())));
    Effect::new(move || {
        if let Route::Features(wanted) = session.route.get()
            && browse.with_untracked(|b| *b != wanted)
        {
            browse.set(wanted);
        }
    });
    Effect::new(move || session.walk.set(Walk::of(browse.get(), order.get(), table.index())));
    document().set_title("Features · sae-vis");
    session.painted("features".to_owned());
    view! {
        <div class="features" data-features>
            <h1 class="visually-hidden">"Features"</h1>
            <div class="overview">{move || distribution(table)}{move || cloud(table, session)}</div>
            <Rows table session />
        </div>
    }
    .into_any()
}

/// Puts the cursor into the search box.
pub fn focus_search() {
    let input = document().get_element_by_id("search");
    if let Some(input) = input.and_then(|i| i.dyn_into::<web_sys::HtmlInputElement>().ok()) {
        let focused = input.focus().is_ok();
        debug_assert!(focused, "the box can be focused");
    }
}

/// The search box, the chosen ranges, and how many features are left.
fn filters(table: Table) -> AnyView {
    let browse = table.browse.get();
    let (n, n_all) = (table.order.with(|o| o.len() as u64), table.index().len() as u64);
    let of_all = if n == n_all { String::new() } else { format!(" of {}", count(n_all)) };
    let range = |(stat, low, high): &(Stat, f64, f64)| {
        let stat = *stat;
        let text = format!("{} {} – {}", stat.name(), bound(*low), bound(*high));
        view! {
            <button type="button" class="choice" data-range=stat.name() title="Remove" on:click=handler(move |_| table.change(|b| b.set_range(stat, None)))>
                {text}<span aria-hidden="true">" ×"</span>
            </button>
        }
    };
    let searched =
        if table.has_labels() { "Search tokens, labels or an index" } else { "Search tokens or an index" };
    view! {
        <search class="filters">
            <input id="search" class="search" type="search" autocomplete="off" spellcheck="false"
                placeholder=searched aria-label=searched title="Search (/)"
                prop:value=browse.query on:input=handler(move |e| table.change(|b| b.query = event_target_value(&e))) />
            {browse.ranges.iter().map(range).collect_view()}
            <output class="found" data-found aria-live="polite">{format!("{}{of_all} features", count(n))}</output>
        </search>
    }
    .into_any()
}

fn bound(value: f64) -> String {
    if value.is_infinite() { "any".to_owned() } else { significant(value) }
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

/// The histogram of a statistic over all features, with a range to choose.
fn distribution(table: Table) -> AnyView {
    let (index, browse) = (table.index(), table.browse.get());
    let stat = browse.bars;
    let axis = Axis::of(&index, stat);
    let range = browse.range(stat);
    let choose = move |part: Option<(f64, f64)>| {
        let range = part.map(|(a, b)| (axis.value(a), axis.value(b)));
        table.change(|b| b.set_range(stat, range));
    };
    let bars = Bars {
        counts: counts(&index, stat, &axis, N_BARS),
        ticks: texts(&axis),
        chosen: range.map(|(low, high)| (axis.at(low).unwrap_or(0.0), axis.at(high).unwrap_or(1.0))),
        label: format!("Features by {}: drag to choose a range", stat.name()),
    };
    let n_dead = index.density.iter().filter(|d| **d <= 0.0).count() as u64;
    let dead = if n_dead > 0 { format!("{} dead", count(n_dead)) } else { String::new() };
    view! {
        <section class="panel" data-panel="distribution">
            <header class="plot-head">
                <h2>"FEATURES BY"</h2>
                {stat_select("Statistic", stat, move |s| table.change(|b| b.bars = s))}
                <span class="bounds">{bound_input(table, stat, range, true)}<span aria-hidden="true">"–"</span>{bound_input(table, stat, range, false)}</span>
                <span class="subtitle">{dead}</span>
            </header>
            {brush(bars, choose)}
        </section>
    }
    .into_any()
}

/// A box for one bound of a range.
fn bound_input(table: Table, stat: Stat, range: Option<(f64, f64)>, is_low: bool) -> AnyView {
    let (low, high) = range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let value = if is_low { low } else { high };
    let text = if value.is_finite() { significant(value) } else { String::new() };
    let label = format!("{} {}", if is_low { "Least" } else { "Most" }, stat.name());
    let change = move |e: web_sys::Event| {
        let typed = event_target::<web_sys::HtmlInputElement>(&e).value_as_number();
        let typed = Some(typed).filter(|v| v.is_finite());
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
fn cloud(table: Table, session: Session) -> AnyView {
    let (index, (x, y)) = (table.index(), table.browse.with(|b| b.axes));
    let (x_axis, y_axis) = (Axis::of(&index, x), Axis::of(&index, y));
    let dot = |&i: &u32| {
        let at = |stat: Stat, axis: &Axis| axis.at(stat.of(&index, i as usize));
        Some(Dot { id: index.features[i as usize], x: at(x, &x_axis)?, y: at(y, &y_axis)? })
    };
    let dots = table.order.with(|order| order.iter().filter_map(dot).collect());
    let said = NodeRef::<leptos::html::Output>::new();
    let point = move |feature: Option<u32>| {
        let text = feature.and_then(|feature| {
            let i = index.features.binary_search(&feature).ok()?;
            let value = |stat: Stat| format!("{} {}", stat.name(), significant(stat.of(&index, i)));
            Some(format!("feature {feature}: {}, {}", value(x), value(y)))
        });
        if let Some(said) = said.get_untracked() {
            said.set_text_content(text.as_deref());
        }
    };
    let plot = scatter(dots, format!("Features by {} and {}", x.name(), y.name()), point, move |feature| {
        session.go(Route::Feature(feature));
    });
    view! {
        <section class="panel" data-panel="scatter">
            <header class="plot-head">
                {stat_select("Vertical axis", y, move |s| table.change(|b| b.axes.1 = s))}
                <h2>"AGAINST"</h2>
                {stat_select("Horizontal axis", x, move |s| table.change(|b| b.axes.0 = s))}
                <output class="subtitle" data-pointed node_ref=said></output>
            </header>
            <div class="scatter-frame">
                {ticks("scatter-ticks", "bottom", texts(&y_axis))}
                {plot}
                {ticks("brush-ticks", "left", texts(&x_axis))}
            </div>
        </section>
    }
    .into_any()
}

fn texts(axis: &Axis) -> Vec<(String, f64)> {
    let text = |value: f64| {
        if value != 0.0 && value.abs() < 1e-3 { format!("{value:.0e}") } else { trimmed(value) }
    };
    axis.ticks().into_iter().map(|(value, at)| (text(value), at)).collect()
}

/// The rows that are in sight, under heads that sort.
#[component]
fn Rows(table: Table, session: Session) -> impl IntoView {
    let scroll = RwSignal::new(Scroll::new());
    let n_rows = move || table.order.with(|o| o.len());
    let rows = Callback::new(move |(range, current): (Range<usize>, usize)| {
        let loaded = table.loaded.get_value();
        table.order.with(|order| {
            let row = |at: usize| order.get(at).map(|&i| row(&loaded, i as usize, at, at == current));
            range.filter_map(row).collect_view().into_any()
        })
    });
    let nothing = move || {
        let text =
            if n_rows() == 0 { "No feature is like this: change the search or remove a range." } else { "" };
        view! { <p class="note features-note">{text}</p> }.into_any()
    };
    // From the search box as from the table: what is found is reached without leaving it.
    let key = move |e: web_sys::KeyboardEvent| {
        let target = e.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
        let in_search = target.as_ref().is_some_and(|t| t.id() == "search");
        let here = in_search || target.is_some_and(|t| t.has_attribute("data-rows"));
        let at = scroll.get_untracked().current;
        let page = 15;
        let to = match e.key().as_str() {
            _ if !here => return,
            "ArrowDown" => at + 1,
            "ArrowUp" => at.saturating_sub(1),
            "PageDown" => at + page,
            "PageUp" => at.saturating_sub(page),
            "Home" if !in_search => 0,
            "End" if !in_search => usize::MAX,
            "Enter" => {
                if let Some(feature) = table.feature(at) {
                    session.go(Route::Feature(feature));
                }
                return;
            }
            _ => return,
        };
        e.prevent_default();
        scroll.update(|s| s.current = to.min(n_rows().saturating_sub(1)));
    };
    let head = view! { {move || head(table)} }.into_any();
    view! {
        <div class="features-list" on:keydown=handler(key)>
            {move || filters(table)}
            <div class="features-table" class:labelled=table.has_labels() role="table" aria-label="Features" tabindex="0" data-rows>
                <VirtualList scroll len=Callback::new(move |()| n_rows()) row_px=ROW_PX rows head />
                {move || nothing()}
            </div>
        </div>
    }
}

fn head(table: Table) -> AnyView {
    let (sort, descending) = table.browse.with(|b| (b.sort, b.descending));
    let (said, arrow) = if descending { ("descending", " ↓") } else { ("ascending", " ↑") };
    let cell = |column: Column| {
        let sorted = (column == sort).then_some(said);
        view! {
            <div role="columnheader" aria-sort=sorted>
                <button type="button" data-sort=column.name() on:click=handler(move |_| table.change(|b| b.sort_by(column)))>
                    {column.name()}<span aria-hidden="true">{sorted.map(|_| arrow)}</span>
                </button>
            </div>
        }
    };
    let mut columns = Stat::ALL.map(Column::Stat).to_vec();
    if table.has_labels() {
        columns.insert(1, Column::Label);
    }
    view! {
        <div class="features-head features-row" role="row">
            {columns.into_iter().map(cell).collect_view()}
            <div role="columnheader" class="tokens-cell">"most active at"</div>
            <div role="columnheader" class="tokens-cell">"raises the logits of"</div>
        </div>
    }
    .into_any()
}

fn row(loaded: &Loaded, i: usize, at: usize, current: bool) -> impl IntoView + use<> {
    let index = &loaded.index;
    let feature = index.features[i];
    let dead = index.density[i] <= 0.0;
    let number = |text: String| {
        let text = if dead { "–".to_owned() } else { text };
        view! { <div role="cell" class="number">{text}</div> }
    };
    let tokens = |ids: &[u32], side: Side| {
        let chips =
            ids.iter().take(N_TOKENS).map(|&id| token_chip(&loaded.vocab, id, side, 0.35)).collect_view();
        view! { <div role="cell" class="tokens-cell">{chips}</div> }
    };
    let label = loaded.labels.as_ref().map(|labels| {
        let text = labels.of(feature);
        view! { <div role="cell" class="label-cell"><span class="label" data-label=feature>{text}</span></div> }
    });
    let density = if dead { "dead".to_owned() } else { percent(index.density[i].into(), 3) };
    view! {
        <div class="features-row" role="row" class:current=current class:dead=dead aria-rowindex=(at + 2).to_string() data-feature=feature.to_string()>
            <div role="cell" class="number"><a class="row-link" tabindex="-1" href=Route::Feature(feature).fragment()>{feature.to_string()}</a></div>
            {label}
            <div role="cell" class="number">{density}</div>
            {number(decimals::text(index.max[i].into(), index.max[i].into()))}
            {number(significant(index.mean[i].into()))}
            {number(significant(index.std[i].into()))}
            {number(format!("{:.2}", index.skewness[i]))}
            {number(format!("{:.2}", index.kurtosis[i]))}
            {tokens(&index.active_tokens[i], Side::None)}
            {tokens(&index.logit_tokens[i], Side::Positive)}
        </div>
    }
}
