//! Layouts: their JSON, and what fits into what.

use shared::layout::{Component, Layout, Preset, SequencesOptions, Setting, Use};

fn sequences(change: impl FnOnce(&mut SequencesOptions)) -> Layout {
    let mut options = SequencesOptions::default();
    change(&mut options);
    let mut layout = Layout::default_feature();
    layout.columns[2].components = vec![Component::Sequences(options)];
    layout
}

#[test]
fn a_layout_is_what_its_json_says() {
    for preset in Preset::all() {
        assert_eq!(Layout::from_json(&preset.layout.to_json()).unwrap(), preset.layout, "{}", preset.name);
        let checked = match preset.r#use {
            Use::Feature => preset.layout.validate(),
            Use::Prompt => preset.layout.validate_prompt(),
        };
        checked.unwrap();
    }
    let terse = r#"{"columns":[{"components":[{"type":"logits_table","n_rows":5}],"width":300}]}"#;
    assert_eq!(Layout::from_json(terse).unwrap().to_json(), terse);
    let short = r#"{"columns": [{"components": [{"type": "sequences", "stack_mode": "stack-all", "buffer": null}]}]}"#;
    let parsed = Layout::from_json(short).unwrap();
    let Component::Sequences(options) = &parsed.columns[0].components[0] else { panic!("not sequences") };
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
        (
            r#"{"columns": [{"components": [{"type": "sequences", "buffer": [5, 10001]}]}]}"#,
            "column 1: sequences.buffer[1] is 10001, expected 0 to 10000",
        ),
        (
            r#"{"columns": [{"components": [{"type": "sequences"}], "width": 7}]}"#,
            "column 1: width is 7 px, expected 100 to 10000",
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

#[test]
fn every_option_can_be_read_and_set_by_name() {
    for default in Component::all() {
        for (option, setting) in default.settings() {
            let other = match setting {
                Setting::Number(n) => Setting::Number(n + 1),
                Setting::Flag(on) => Setting::Flag(!on),
                Setting::Buffer(_) => Setting::Buffer(Some((1, 2))),
                Setting::Choice(now) => {
                    let other = option.choices.iter().find(|word| **word != now);
                    Setting::Choice(other.unwrap())
                }
            };
            let mut changed = default.clone();
            assert!(changed.set(option.name, other));
            let differs: Vec<_> = changed.changed().into_iter().map(|(o, s)| (o.name, s)).collect();
            assert_eq!(differs, [(option.name, other)]);
            let misfit =
                if matches!(setting, Setting::Flag(_)) { Setting::Number(1) } else { Setting::Flag(true) };
            assert!(!changed.set(option.name, misfit) && !changed.set("no_such_option", other));
        }
    }
}

#[test]
fn the_published_schema_is_that_of_the_options() {
    let published = include_str!("../../../www/layout.schema.json");
    let published: serde_json::Value = serde_json::from_str(published).unwrap();
    assert_eq!(published, Layout::json_schema(), "write `compute layout schema` into www/layout.schema.json");
}

#[test]
fn help_names_every_option_and_marks_what_is_changed() {
    let help = sequences(|o| o.top_acts_group_size = 30).help();
    let marked: Vec<_> = help.lines().filter(|l| l.contains("│ *")).collect();
    assert_eq!(marked.len(), 1, "{help}");
    assert!(marked[0].contains("top_acts_group_size") && marked[0].contains("(default 20)"), "{help}");
    for component in Component::all() {
        for (option, _) in component.settings() {
            assert!(Layout::default_feature().help().contains(option.name));
        }
    }
}
