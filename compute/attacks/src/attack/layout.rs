//! Tries any text as a layout, and asks what data it needs.

use shared::layout::Layout;

use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let layout = judged(Layout::from_json(&String::from_utf8_lossy(bytes)));
    if let Some(layout) = &layout {
        let _prompt = judged(layout.validate_prompt());
        let _needs = layout.needs();
        let again = judged(Layout::from_json(&layout.to_json()));
        assert!(again.as_ref() == Some(layout), "a layout changes when it is written and read");
    }
    outcome(layout)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = [Layout::default_feature(), Layout::default_prompt()].map(|layout| layout.to_json().into_bytes());
    let full = [Layout::default_feature(), Layout::default_prompt()]
        .map(|layout| serde_json::to_vec(&layout).unwrap_or_default());
    whole.into_iter().chain(full).collect()
}
