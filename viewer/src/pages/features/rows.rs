//! The rows that are in sight, under heads that sort.

use std::ops::Range;

use leptos::prelude::*;
use page_logic::{
    browse::{Column, Stat},
    find::Hits,
    format::{share, significant},
    route::Route,
};
use shared::decimals;
use wasm_bindgen::JsCast as _;

use super::{Table, TableData, columns::TableColumn, filters::filters, preview::Preview};
use crate::components::{
    handler::handler,
    token_chip::{Side, token_chip},
    virtual_list::{Scroll, VirtualList},
};

/// Height of a row, in CSS pixels; `.features-row` of components.css has the same.
const ROW_PX: f64 = 30.0;
/// Rows that the keys for a page lead on.
const N_PAGE: usize = 15;
/// Tokens shown of each list.
const N_TOKENS: usize = 5;

/// The table with what filters it.
#[component]
pub fn Rows(table: Table) -> impl IntoView {
    let session = table.session;
    let scroll = RwSignal::new(left_at(table));
    Effect::new(move || {
        let top = scroll.get().top;
        session.table.update_value(|left| (left.browse, left.top) = (table.browse.get_untracked(), top));
    });
    let n_rows = move || table.order.with(|o| o.len());
    let rows = Callback::new(move |(range, current): (Range<usize>, usize)| {
        let (loaded, hits, columns) = (table.loaded.get_value(), table.hits.get(), table.columns.get());
        let last = session.table.with_value(|left| left.feature);
        let row = |at: usize, i: u32| {
            row(
                &Cells { table, loaded: &loaded, hits: &hits, columns: &columns, last },
                i as usize,
                at,
                at == current,
            )
        };
        table
            .order
            .with(|order| range.filter_map(|at| Some(row(at, *order.get(at)?))).collect_view().into_any())
    });
    let nothing = move || {
        (n_rows() == 0).then(|| view! { <p class="note features-note">"No feature is like this: change the search or remove a range."</p> })
    };
    let key = move |e: web_sys::KeyboardEvent| keys(table, scroll, &e);
    let preview = Preview::new();
    let point = handler(move |e: web_sys::PointerEvent| preview.point(&e));
    Effect::new(move |before: Option<usize>| {
        let at = scroll.get().current;
        if before.is_some_and(|before| before != at) {
            preview.rest(table.feature(at));
        }
        at
    });
    let head = view! { {move || head(table)} }.into_any();
    view! {
        <div class="features-list" on:keydown=handler(key)>
            {move || filters(table)}
            <div class="features-table" class:all-columns=move || table.columns.are_chosen() style=move || table.columns.style()
                role="table" aria-label="Features" tabindex="0" data-rows on:pointerover=point>
                <VirtualList scroll len=Callback::new(move |()| n_rows()) row_px=ROW_PX rows head />
                {move || nothing()}
            </div>
            {preview.view()}
        </div>
    }
}

/// Where the table was left, if it shows the same again; the feature that was looked at last is then in sight.
fn left_at(table: Table) -> Scroll {
    let left = table.session.table.get_value();
    if table.browse.with_untracked(|browse| *browse != left.browse) {
        return Scroll::new();
    }
    let row = left.feature.and_then(|feature| table.row_of(feature));
    Scroll::at(left.top, row.unwrap_or(0))
}

/// From the search box as from the table: what is found is reached without leaving it.
fn keys(table: Table, scroll: RwSignal<Scroll>, e: &web_sys::KeyboardEvent) {
    let target = e.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
    let in_search = target.as_ref().is_some_and(|t| t.id() == "search");
    if !in_search && !target.is_some_and(|t| t.has_attribute("data-rows")) {
        return;
    }
    let at = scroll.get_untracked().current;
    let to = match e.key().as_str() {
        "ArrowDown" => at + 1,
        "ArrowUp" => at.saturating_sub(1),
        "PageDown" => at + N_PAGE,
        "PageUp" => at.saturating_sub(N_PAGE),
        "Home" if !in_search => 0,
        "End" if !in_search => usize::MAX,
        "Enter" => {
            if let Some(feature) = table.feature(at) {
                table.session.go(Route::Feature(feature));
            }
            return;
        }
        _ => return,
    };
    e.prevent_default();
    let n_rows = table.order.with_untracked(|order| order.len());
    scroll.update(|s| s.current = to.min(n_rows.saturating_sub(1)));
}

fn head(table: Table) -> AnyView {
    let (sort, descending) = table.browse.with(|b| (b.sort, b.descending));
    let (said, arrow) = if descending { ("descending", " ↓") } else { ("ascending", " ↑") };
    let sorted = |column: Column, class: String| {
        let sorted = (column == sort).then_some(said);
        view! {
            <div role="columnheader" class=class aria-sort=sorted>
                <button type="button" data-sort=column.name() on:click=handler(move |_| table.change(|b| b.sort_by(column)))>
                    {column.name()}<span aria-hidden="true">{sorted.map(|_| arrow)}</span>
                </button>
            </div>
        }
        .into_any()
    };
    let cell = |shown: TableColumn| match shown {
        TableColumn::Sorted(column) => sorted(column, shown.class()),
        TableColumn::Top | TableColumn::Logits => {
            let class = format!("tokens-cell {}", shown.class());
            view! { <div role="columnheader" class=class>{shown.title()}</div> }.into_any()
        }
    };
    view! {
        <div class="features-head features-row" role="row">
            {sorted(Column::Stat(Stat::Index), String::new())}
            {table.columns.get().into_iter().map(cell).collect_view()}
        </div>
    }
    .into_any()
}

/// What all rows share.
struct Cells<'a> {
    table: Table,
    loaded: &'a TableData,
    hits: &'a Hits,
    columns: &'a [TableColumn],
    last: Option<u32>,
}

fn row(cells: &Cells<'_>, i: usize, at: usize, current: bool) -> impl IntoView + use<> {
    let feature = cells.loaded.index.features[i];
    let dead = cells.loaded.index.density[i] <= 0.0;
    let starred =
        cells.table.session.annotations.with(|marks| marks.of(feature).is_some_and(|mark| mark.starred));
    let star = starred.then(|| view! { <span class="star" role="img" aria-label="starred">"★"</span> });
    let others = cells.columns.iter().map(|shown| cell(cells, *shown, i)).collect_view();
    view! {
        <div class="features-row" role="row" class:current=current class:dead=dead class:last=cells.last == Some(feature)
            aria-rowindex=(at + 2).to_string() data-feature=feature.to_string()>
            <div role="cell" class="number">{star}<a class="row-link" tabindex="-1" href=Route::Feature(feature).fragment()>{feature.to_string()}</a></div>
            {others}
        </div>
    }
}

fn cell(cells: &Cells<'_>, shown: TableColumn, i: usize) -> AnyView {
    let index = &cells.loaded.index;
    let dead = index.density[i] <= 0.0;
    let text = |text: String| if dead { "–".to_owned() } else { text };
    let value = match shown {
        TableColumn::Sorted(Column::Label) => return label(cells, shown, i),
        TableColumn::Top => return tokens(cells, shown, &index.active_tokens[i], Side::None),
        TableColumn::Logits => return tokens(cells, shown, &index.logit_tokens[i], Side::Positive),
        TableColumn::Sorted(Column::Stat(stat)) => match stat {
            Stat::Density if dead => "dead".to_owned(),
            Stat::Density => share(index.density[i].into()),
            Stat::Max => text(decimals::text(index.max[i].into(), index.max[i].into())),
            Stat::Skewness | Stat::Kurtosis => text(format!("{:.2}", stat.of(index, i))),
            _ => text(significant(stat.of(index, i))),
        },
    };
    view! { <div role="cell" class=format!("number {}", shown.class())>{value}</div> }.into_any()
}

fn tokens(cells: &Cells<'_>, shown: TableColumn, ids: &[u32], side: Side) -> AnyView {
    let chip = |&id: &u32| {
        let hit = cells.hits.has_token(id);
        view! { <span class="hit-frame" class:hit=hit>{token_chip(&cells.loaded.vocab, id, side, 0.35)}</span> }
    };
    // What was looked for comes first: it may be beyond those that there is room for.
    let (hits, others): (Vec<u32>, Vec<u32>) = ids.iter().partition(|id| cells.hits.has_token(**id));
    let chips = hits.iter().chain(&others).take(N_TOKENS).map(chip).collect_view();
    view! { <div role="cell" class=format!("tokens-cell {}", shown.class())>{chips}</div> }.into_any()
}

fn label(cells: &Cells<'_>, shown: TableColumn, i: usize) -> AnyView {
    let feature = cells.loaded.index.features[i];
    let own = cells.table.session.annotations.with(|marks| marks.of(feature).map(|mark| mark.label.clone()));
    let own = own.filter(|label| !label.is_empty());
    let is_own = own.is_some();
    let text = own.or_else(|| cells.loaded.labels.as_ref()?.of(feature)).unwrap_or_default();
    let content = match cells.hits.in_label(&text) {
        Some(part) => {
            let (before, hit, after) =
                (text[..part.start].to_owned(), text[part.clone()].to_owned(), text[part.end..].to_owned());
            view! { {before}<mark>{hit}</mark>{after} }.into_any()
        }
        None => text.into_any(),
    };
    view! {
        <div role="cell" class=format!("label-cell {}", shown.class())>
            <span class="label" class:own=is_own data-label=feature>{content}</span>
        </div>
    }
    .into_any()
}
