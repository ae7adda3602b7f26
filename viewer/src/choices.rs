//! What the reader chose once for every bundle, kept in the browser.

use leptos::prelude::*;
use page_logic::reading::{Reach, Reading};

const REACH: &str = "sae-vis.context";
const LOG_COUNTS: &str = "sae-vis.log-counts";

/// What the browser keeps under `name`; nothing in a browser that keeps nothing.
pub fn kept(name: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(name).ok().flatten()
}

/// Keeps `value` under `name`, or forgets what is kept there.
pub fn keep(name: &str, value: Option<&str>) {
    let storage = window().local_storage().ok().flatten();
    let done = storage.map(|s| match value {
        Some(value) => s.set_item(name, value),
        None => s.remove_item(name),
    });
    if !matches!(done, Some(Ok(()))) {
        leptos::logging::warn!("the browser does not keep {name}");
    }
}

/// How examples and plots are shown.
#[derive(Clone, Copy)]
pub struct Choices {
    reading: RwSignal<Reading>,
}

impl Choices {
    /// Those that the browser kept.
    pub fn new() -> Self {
        let reach = kept(REACH).and_then(|name| Reach::from_name(&name)).unwrap_or_default();
        let reading = Reading { reach, log_counts: kept(LOG_COUNTS).is_some() };
        Self { reading: RwSignal::new(reading) }
    }

    /// What is chosen.
    pub fn reading(self) -> Reading {
        self.reading.get()
    }

    /// Shows as much of each row.
    pub fn set_reach(self, reach: Reach) {
        keep(REACH, (reach != Reach::Layout).then(|| reach.name()).as_deref());
        self.reading.update(|r| r.reach = reach);
    }

    /// Turns the axes of counts from linear to logarithmic and back.
    pub fn toggle_log_counts(self) {
        self.reading.update(|r| r.log_counts = !r.log_counts);
        keep(LOG_COUNTS, self.reading.get_untracked().log_counts.then_some("1"));
    }
}

impl Default for Choices {
    fn default() -> Self {
        Self::new()
    }
}
