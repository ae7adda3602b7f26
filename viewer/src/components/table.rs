//! A small table of numbers with one leading column of names.

use leptos::prelude::*;

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Where it leads.
    pub href: Option<String>,
}

impl Cell {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), href: None }
    }
}

/// A titled table; numbers are aligned right.
#[component]
pub fn NumberTable(
    /// Title.
    title: &'static str,
    /// Name for tests and scripts.
    name: &'static str,
    /// Heads of the columns.
    heads: [&'static str; 3],
    /// Rows of cells.
    rows: Vec<[Cell; 3]>,
) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|cells| {
            let cells = cells.map(|cell| match cell.href {
                Some(href) => view! { <td><a href=href>{cell.text}</a></td> }.into_any(),
                None => view! { <td>{cell.text}</td> }.into_any(),
            });
            view! { <tr>{cells.into_iter().collect_view()}</tr> }
        })
        .collect_view();
    view! {
        <table class="number-table" data-table=name>
            <caption>{title}</caption>
            <thead>
                <tr>{heads.into_iter().map(|h| view! { <th scope="col">{h}</th> }).collect_view()}</tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
}
