//! Layouts: their JSON, and what fits into what.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use shared::layout::{Component, Layout, SequencesOptions};

fn sequences(change: impl FnOnce(&mut SequencesOptions)) -> Layout {
    let mut options = SequencesOptions::default();
    change(&mut options);
    let mut layout = Layout::default_feature();
    layout.columns[2].components = vec![Component::Sequences(options)];
    layout
}

#[test]
fn a_layout_is_what_its_json_says() {
    let layout = Layout::default_feature();
    assert_eq!(Layout::from_json(&layout.to_json().unwrap()).unwrap(), layout);
    let short = r#"{"columns": [{"components": [{"type": "sequences", "stack_mode": "stack-all", "buffer": null}]}]}"#;
    let parsed = Layout::from_json(short).unwrap();
    let Component::Sequences(options) = parsed.columns[0].components[0] else { panic!("not sequences") };
    assert_eq!((options.buffer, options.n_quantiles), (None, 10));
}

#[test]
fn misspelt_options_and_components_are_refused() {
    for (json, expected) in [
        (r#"{"columns": [{"components": [{"type": "logits_table", "rows": 3}]}]}"#, "unknown field `rows`"),
        (r#"{"columns": [{"components": [{"type": "logit_table"}]}]}"#, "unknown variant `logit_table`"),
        (r#"{"columns": [], "widht": 3}"#, "unknown field `widht`"),
        (r#"{"columns": []}"#, "the layout has no component"),
        (
            r#"{"columns": [{"components": [{"type": "logits_table", "n_rows": 0}]}]}"#,
            "column 1: logits_table.n_rows is 0, expected 1 to 1000",
        ),
    ] {
        let said = Layout::from_json(json).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_layout_that_asks_for_more_is_refused_at_the_option_that_asks() {
    let stored = Layout::default_feature().needs();
    let refused = |layout: &Layout| {
        let refusals = stored.covers(&layout.needs());
        refusals.iter().map(|r| format!("{}.{}: {}", r.component, r.option, r.reason)).collect::<Vec<_>>()
    };
    assert!(refused(&Layout::default_feature()).is_empty());
    assert!(refused(&Layout::default_prompt()).is_empty());
    assert!(refused(&sequences(|o| o.buffer = Some((2, 5)))).is_empty());
    assert!(refused(&sequences(|o| o.n_quantiles = 0)).is_empty());
    for (layout, expected) in [
        (
            sequences(|o| o.buffer = Some((10, 5))),
            "sequences.buffer: (10, 5) asked for, the bundle stores (5, 5)",
        ),
        (sequences(|o| o.buffer = None), "sequences.buffer: whole rows asked for, the bundle stores (5, 5)"),
        (
            sequences(|o| o.top_acts_group_size = 30),
            "sequences.top_acts_group_size: 30 examples asked for, the bundle stores 20",
        ),
        (
            sequences(|o| o.n_quantiles = 5),
            "sequences.n_quantiles: 5 intervals asked for, the bundle stores 10",
        ),
    ] {
        assert_eq!(refused(&layout), [expected]);
    }
    let mut bins = Layout::default_feature();
    let Component::ActsHistogram(options) = &mut bins.columns[1].components[0] else {
        panic!("not a histogram")
    };
    options.n_bins = 40;
    assert_eq!(refused(&bins), ["acts_histogram.n_bins: 40 bins asked for, the bundle stores 50"]);
}

#[test]
fn what_is_gathered_for_two_layouts_serves_both() {
    let wide = sequences(|o| o.buffer = Some((10, 5)));
    let many = sequences(|o| o.top_acts_group_size = 30);
    let both = wide.needs().and(&many.needs());
    assert!(both.covers(&wide.needs()).is_empty() && both.covers(&many.needs()).is_empty());
}

#[test]
fn a_prompt_layout_has_one_column() {
    let said = Layout::default_feature().validate_prompt().unwrap_err().to_string();
    assert_eq!(said, "the prompt layout has 3 columns, expected 1");
}
