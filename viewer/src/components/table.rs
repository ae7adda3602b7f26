//! A small table of numbers with one leading column of names.

use leptos::prelude::*;

/// A cell.
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Where it leads, and what stands under it in the link.
    pub link: Option<(String, Option<AnyView>)>,
}

impl Cell {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), link: None }
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
            let cells = cells.map(|cell| match cell.link {
                Some((href, under)) => view! { <td><a href=href>{cell.text}{under}</a></td> }.into_any(),
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
