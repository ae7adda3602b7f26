//! Which columns the table has: the reader's choice, kept in the browser.

use leptos::prelude::*;
use page_logic::browse::{Column, Stat};

use super::Table;
use crate::{
    choices::{keep, kept},
    components::handler::handler,
};

const KEY: &str = "sae-vis.columns";

/// A column besides the index, which is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableColumn {
    /// One that the table can be sorted by.
    Sorted(Column),
    /// Tokens at which the feature is most active.
    Top,
    /// Tokens whose logits it raises.
    Logits,
}

impl TableColumn {
    const ALL: [Self; 9] = [
        Self::Sorted(Column::Label),
        Self::Sorted(Column::Stat(Stat::Density)),
        Self::Sorted(Column::Stat(Stat::Max)),
        Self::Sorted(Column::Stat(Stat::Mean)),
        Self::Sorted(Column::Stat(Stat::Std)),
        Self::Sorted(Column::Stat(Stat::Skewness)),
        Self::Sorted(Column::Stat(Stat::Kurtosis)),
        Self::Top,
        Self::Logits,
    ];

    /// Name as kept.
    fn name(self) -> &'static str {
        match self {
            Self::Sorted(column) => column.name(),
            Self::Top => "top",
            Self::Logits => "logits",
        }
    }

    /// Title in the head.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sorted(column) => column.name(),
            Self::Top => "most active at",
            Self::Logits => "raises the logits of",
        }
    }

    /// Class of its cells.
    pub fn class(self) -> String {
        format!("c-{}", self.name())
    }

    /// Least width in pixels, and whether it takes what is left.
    fn width(self) -> (u32, bool) {
        match self {
            Self::Sorted(Column::Label) => (180, true),
            Self::Sorted(Column::Stat(Stat::Kurtosis)) => (84, false),
            Self::Sorted(_) => (76, false),
            Self::Top | Self::Logits => (150, true),
        }
    }
}

/// The chosen columns.
#[derive(Clone, Copy)]
pub struct Columns {
    shown: RwSignal<Vec<TableColumn>>,
    has_labels: bool,
}

impl Columns {
    /// Those that the browser kept; all of them at first.
    pub fn kept(has_labels: bool) -> Self {
        let names = kept(KEY);
        let is_kept = |shown: &TableColumn| {
            names.as_ref().is_none_or(|names| names.split(',').any(|name| name == shown.name()))
        };
        Self { shown: RwSignal::new(TableColumn::ALL.into_iter().filter(is_kept).collect()), has_labels }
    }

    /// The columns in order.
    pub fn get(self) -> Vec<TableColumn> {
        self.shown.get().into_iter().filter(|shown| self.is_possible(*shown)).collect()
    }

    /// Whether the reader chose them: the page then leaves none out on a narrow screen.
    pub fn are_chosen(self) -> bool {
        self.shown.with(|shown| shown.len() < TableColumn::ALL.len())
    }

    fn is_possible(self, shown: TableColumn) -> bool {
        shown != TableColumn::Sorted(Column::Label) || self.has_labels
    }

    fn toggle(self, column: TableColumn) {
        self.shown.update(|shown| {
            let had = shown.contains(&column);
            *shown = TableColumn::ALL
                .into_iter()
                .filter(|c| if *c == column { !had } else { shown.contains(c) })
                .collect();
        });
        let names: Vec<&str> = self.shown.with_untracked(|shown| shown.iter().map(|s| s.name()).collect());
        keep(KEY, (names.len() < TableColumn::ALL.len()).then(|| names.join(",")).as_deref());
    }

    /// Widths for CSS, and the least that all need together.
    pub fn style(self) -> String {
        let widths: Vec<(u32, bool)> = self.get().into_iter().map(TableColumn::width).collect();
        let width = |&(px, grows): &(u32, bool)| {
            if grows { format!("minmax({px}px, 1fr)") } else { format!("{px}px") }
        };
        let template: Vec<String> = widths.iter().map(width).collect();
        let least: u32 = widths.iter().map(|(px, _)| px + 14).sum();
        format!("--columns:64px {};--least:{}px", template.join(" "), least + 72)
    }
}

/// The menu that chooses them.
pub fn menu(table: Table) -> AnyView {
    let columns = table.columns;
    let choice = move |column: TableColumn| {
        let toggle = handler(move |_: web_sys::Event| columns.toggle(column));
        let checked = columns.shown.with_untracked(|shown| shown.contains(&column));
        view! {
            <label class="choice-box">
                <input type="checkbox" data-column-choice=column.name() prop:checked=checked on:change=toggle />{column.title()}
            </label>
        }
    };
    let choices = TableColumn::ALL.into_iter().filter(|c| columns.is_possible(*c)).map(choice).collect_view();
    view! {
        <button type="button" class="button" popovertarget="columns-menu" data-columns>"Columns"</button>
        <div id="columns-menu" class="menu" popover="auto" role="group" aria-label="Columns">{choices}</div>
    }
    .into_any()
}
