//! The table as it is shown, all its rows, for other programs.

use leptos::prelude::*;
use page_logic::{
    browse::Stat,
    json::{quoted, quoted_bytes},
};

use super::{Table, TableData};
use crate::{
    components::{hand::hand, handler::handler},
    state::Session,
};

const HEAD: [&str; 11] = [
    "feature",
    "density",
    "max",
    "mean",
    "std",
    "skewness",
    "kurtosis",
    "label",
    "own_label",
    "most_active_at",
    "raises_the_logits_of",
];

/// The menu that copies the table.
pub fn menu(table: Table) -> AnyView {
    let copy = move |format: Format| {
        let (name, title) = match format {
            Format::Tsv => ("tsv", "TSV table"),
            Format::Json => ("json", "JSON"),
        };
        let give =
            handler(move |_: web_sys::MouseEvent| hand(&text(table, format), &format!("features.{name}")));
        view! { <button type="button" data-copy-table=name on:click=give>{title}</button> }
    };
    view! {
        <button type="button" class="button" popovertarget="table-menu" data-copy-table-menu>"Copy"</button>
        <div id="table-menu" class="menu copy-menu" popover="auto" role="group" aria-label="Copy the table as">
            {copy(Format::Tsv)}{copy(Format::Json)}
        </div>
    }
    .into_any()
}

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A head, and a line a feature.
    Tsv,
    /// An array of objects.
    Json,
}

fn text(table: Table, format: Format) -> String {
    let order = table.order.get_untracked();
    let rows = table
        .loaded
        .with_value(|l| order.iter().map(|&i| cells(l, table.session, i as usize)).collect::<Vec<_>>());
    match format {
        Format::Tsv => {
            // A cell is JSON where it is text: a tab or a newline in a token does not break the table.
            let mut text = HEAD.join("\t");
            for row in rows {
                text.push('\n');
                text.push_str(&row.join("\t"));
            }
            text.push('\n');
            text
        }
        Format::Json => {
            let object = |row: [String; 11]| {
                let members: Vec<String> = HEAD
                    .iter()
                    .zip(row)
                    .map(|(name, value)| {
                        format!("\"{name}\":{}", if value.is_empty() { "null" } else { &value })
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            };
            format!("[{}]\n", rows.into_iter().map(object).collect::<Vec<_>>().join(",\n"))
        }
    }
}

/// A row's cells as JSON; empty = none.
fn cells(l: &TableData, session: Session, i: usize) -> [String; 11] {
    let feature = l.index.features[i];
    let stat = |stat: Stat| {
        let value = stat.of(&l.index, i);
        // The shortest digits that read back as the stored 32 bits.
        if value.is_finite() { (value as f32).to_string() } else { String::new() }
    };
    let label = l.labels.as_ref().and_then(|labels| {
        let at = labels.features.binary_search(&feature).ok()?;
        labels.texts.get(at).map(|text| quoted(text))
    });
    let own = session.annotations.with_untracked(|marks| marks.of(feature).map(|mark| mark.label.clone()));
    let own = own.filter(|label| !label.is_empty()).map(|label| quoted(&label));
    let tokens = |ids: &[u32]| {
        let texts: Vec<String> = ids.iter().map(|id| quoted_bytes(l.vocab.bytes_of(*id))).collect();
        format!("[{}]", texts.join(","))
    };
    [
        feature.to_string(),
        stat(Stat::Density),
        stat(Stat::Max),
        stat(Stat::Mean),
        stat(Stat::Std),
        stat(Stat::Skewness),
        stat(Stat::Kurtosis),
        label.unwrap_or_default(),
        own.unwrap_or_default(),
        tokens(&l.index.active_tokens[i]),
        tokens(&l.index.logit_tokens[i]),
    ]
}
