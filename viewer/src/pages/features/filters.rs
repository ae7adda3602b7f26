//! The search box, the chosen ranges, and how many features are left.

use leptos::prelude::*;
use page_logic::{
    browse::Stat,
    format::{count, significant},
    query::Query,
};

use super::{Table, columns, export};
use crate::{components::handler::handler, panels::term};

/// What is searched for, and what is found.
pub fn filters(table: Table) -> AnyView {
    let browse = table.browse.get();
    let (n, n_all) = (table.order.with(|o| o.len() as u64), table.index().len() as u64);
    let of_all = if n == n_all { String::new() } else { format!(" of {}", count(n_all)) };
    let noun = if n_all == 1 { "feature" } else { "features" };
    let range = |(stat, low, high): &(Stat, f64, f64)| {
        let stat = *stat;
        let text = format!("{} {} – {}", stat.name(), bound(stat, *low), bound(stat, *high));
        view! {
            <button type="button" class="choice" data-range=stat.name() title="Remove" on:click=handler(move |_| table.change(|b| b.set_range(stat, None)))>
                {text}<span aria-hidden="true">" ×"</span>
            </button>
        }
    };
    let searched =
        if table.has_labels() { "Search tokens, labels or an index" } else { "Search tokens or an index" };
    let wrong = Query::parse(&browse.query).err();
    let invalid = wrong.is_some().then_some("true");
    view! {
        <search class="filters">
            <input id="search" class="search" type="search" autocomplete="off" spellcheck="false"
                placeholder=searched aria-label=searched title="Search (/)" aria-invalid=invalid aria-describedby="query-wrong"
                prop:value=browse.query on:input=handler(move |e| table.change(|b| b.query = event_target_value(&e))) />
            {term("conditions", "or conditions")}
            {browse.ranges.iter().map(range).collect_view()}
            <output class="found" data-found aria-live="polite">{format!("{}{of_all} {noun}", count(n))}</output>
            {columns::menu(table)}
            {export::menu(table)}
            <p id="query-wrong" class="refusal" role="status" data-query-wrong>{wrong}</p>
        </search>
    }
    .into_any()
}

/// A value of `stat` as the page prints it.
pub fn value_text(stat: Stat, value: f64) -> String {
    match stat {
        Stat::Density => format!("{}%", significant(value * 100.0)),
        _ => significant(value),
    }
}

fn bound(stat: Stat, value: f64) -> String {
    if value.is_infinite() { "any".to_owned() } else { value_text(stat, value) }
}
