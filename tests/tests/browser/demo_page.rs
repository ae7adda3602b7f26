//! The demo's page in a real browser, against what `compute inspect` says of the same bundle.

use serde_json::Value;
use tests::{
    browser::Browser,
    built,
    page::{open, texts, wait_for},
    run::compute,
};

/// What `compute inspect --json` prints.
fn inspect(more: &[&str]) -> Value {
    let bundle = built::bundle().unwrap().display().to_string();
    let args: Vec<String> =
        [&[bundle.as_str(), "--json"], more].concat().into_iter().map(str::to_owned).collect();
    let output = compute("inspect", &args).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A printed number, whose last digit is rounded.
fn same(printed: &str, expected: f64) {
    let percent = printed.ends_with('%');
    let digits: String = printed.chars().filter(|c| c.is_ascii_digit() || "+-.−".contains(*c)).collect();
    let digits = digits.replace('−', "-");
    let value: f64 = digits.parse().unwrap_or_else(|e| panic!("{printed}: {e}"));
    let decimals = digits.split_once('.').map_or(0, |(_, d)| d.len() as i32);
    let expected = if percent { expected * 100.0 } else { expected };
    let half = 0.5 * 10f64.powi(-decimals) + 1e-9;
    assert!((value - expected).abs() <= half, "the page prints {printed}, inspect says {expected}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Compares everything on a feature's page with `inspect`.
fn check_feature(browser: &Browser, feature: u32) {
    wait_for(browser, &format!("feature/{feature}")).unwrap();
    let json = inspect(&["--feature", &feature.to_string()]);
    assert_eq!(browser.text("h1").unwrap(), format!("Feature {feature}"));
    same(&browser.text("[data-stat=density]").unwrap(), number(&json["stats"]["density"]));
    same(&browser.text("[data-value=density]").unwrap(), number(&json["stats"]["density"]));
    same(&browser.text("[data-stat=max]").unwrap(), number(&json["stats"]["max"]));
    for (table, rows, columns) in [
        ("neuron-alignment", &json["tables"]["neuron_alignment"], ["neuron", "value", "l1_share"]),
        ("correlated-neurons", &json["tables"]["correlated_neurons"], ["index", "pearson", "cosine"]),
        ("correlated-features", &json["tables"]["correlated_features"], ["index", "pearson", "cosine"]),
        ("correlated-b-features", &json["tables"]["correlated_b_features"], ["index", "pearson", "cosine"]),
    ] {
        let cells = texts(browser, &format!("[data-table={table}] tbody td")).unwrap();
        let expected: Vec<f64> =
            rows.as_array().unwrap().iter().flat_map(|r| columns.map(|c| number(&r[c]))).collect();
        assert_eq!(cells.len(), expected.len(), "{table}");
        cells.iter().zip(expected).for_each(|(cell, value)| same(cell, value));
    }
    for (side, key) in [("positive", "positive_logits"), ("negative", "negative_logits")] {
        let chips = texts(browser, &format!("[data-logits={side}] .chip")).unwrap();
        let printed = texts(browser, &format!("[data-logits={side}] .number")).unwrap();
        let expected = json[key].as_array().unwrap();
        assert_eq!(chips.len(), expected.len());
        for ((chip, printed), expected) in chips.iter().zip(printed).zip(expected) {
            assert_eq!(chip.replace('␣', " "), expected["token"].as_str().unwrap());
            same(&printed, number(&expected["logit"]));
        }
    }
    let groups = json["groups"].as_array().unwrap();
    let vocab = compute::bundle::Bundle::open(&built::bundle().unwrap()).unwrap().vocab;
    for (g, group) in groups.iter().enumerate() {
        let script = format!(
            "[...document.querySelectorAll('[data-group=\"{g}\"] [data-line]')].map(l => \
             [...l.querySelectorAll('.window [data-token-id]')].map(t => [+t.dataset.tokenId, t.textContent]))"
        );
        let lines: Vec<Vec<(u32, String)>> = browser.eval(&script).unwrap();
        let examples = group["examples"].as_array().unwrap();
        assert_eq!(lines.len(), examples.len(), "group {g}");
        for (line, example) in lines.iter().zip(examples) {
            let tokens = example["tokens"].as_array().unwrap().iter();
            let ids: Vec<u32> = tokens.map(|t| t["token_id"].as_u64().unwrap() as u32).collect();
            let expected: Vec<(u32, String)> = ids.iter().copied().zip(vocab.texts(&ids)).collect();
            assert_eq!(line, &expected);
        }
    }
}

/// Hovers the token after the bold one of the first top example that has an effect there, and compares its card.
fn check_hover(browser: &Browser, feature: u32) {
    let json = inspect(&["--feature", &feature.to_string()]);
    let examples = json["groups"][0]["examples"].as_array().unwrap();
    let example = &examples[0];
    let after = number(&example["position"]) as u64 + 1;
    let token = example["tokens"].as_array().unwrap().iter().find(|t| t["position"] == after).unwrap();
    let row = &example["row"];
    browser.hover(&format!("[data-group='0'] [data-row='{row}'] .window [data-position='{after}']")).unwrap();
    browser.wait("the card", "document.querySelector('[data-tooltip]:popover-open [data-figure]')").unwrap();
    let figure = |name: &str| browser.text(&format!("[data-figure={name}]")).unwrap();
    same(&figure("activation"), number(&token["act"]));
    same(&figure("loss-effect"), number(&token["loss_effect"]));
    same(&figure("prob-change"), number(&token["prob_change"]));
    same(&figure("logit"), number(&token["logit"]));
    for list in ["boosted", "suppressed"] {
        let chips = texts(browser, &format!("[data-list={list}] .chip")).unwrap();
        let printed = texts(browser, &format!("[data-list={list}] .number")).unwrap();
        let expected = token[list].as_array().unwrap();
        assert_eq!((chips.len(), printed.len()), (5, 5));
        for ((chip, printed), expected) in chips.iter().zip(printed).zip(expected) {
            assert_eq!(chip.replace('␣', " "), expected["token"].as_str().unwrap());
            same(&printed, number(&expected["change"]));
        }
    }
    let card = browser.text("[data-tooltip]").unwrap();
    assert!(
        card.contains(&format!("token {}", token["token_id"])) && card.contains(&format!("row {row}")),
        "{card}"
    );
    // A line with its value stands in both histograms.
    let marks =
        texts(browser, "[data-panel=acts-histogram] .mark, [data-panel=logits-histogram] .mark").unwrap();
    assert_eq!(marks.len(), 2);
    same(&marks[0], number(&token["act"]));
    same(&marks[1], number(&token["logit"]));
    let inside = "(r => r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight)\
                  (document.querySelector('[data-tooltip]').getBoundingClientRect())";
    browser.wait("the card to be inside the window", inside).unwrap();
}

#[test]
fn three_features_and_a_hovered_token_are_what_inspect_says() {
    let (_served, browser) = open("#/feature/4").unwrap();
    check_feature(&browser, 4);
    check_hover(&browser, 4);
    browser.click("[data-next]").unwrap();
    check_feature(&browser, 5);
    // A feature that is active rarely, reached through the input.
    browser.click("#feature-index").unwrap();
    browser.type_keys("1000\u{e007}").unwrap();
    check_feature(&browser, 1000);
    assert_eq!(browser.eval::<String>("location.hash").unwrap(), "#/feature/1000");
    browser.eval::<Value>("history.back()").unwrap();
    check_feature(&browser, 5);
    browser.finish().unwrap();
}

#[test]
fn keys_lead_from_feature_to_feature_and_links_to_correlated_ones() {
    let (_served, browser) = open("#/feature/7").unwrap();
    wait_for(&browser, "feature/7").unwrap();
    browser.type_keys("j").unwrap();
    wait_for(&browser, "feature/8").unwrap();
    browser.type_keys("kk").unwrap();
    wait_for(&browser, "feature/6").unwrap();
    browser.type_keys("?").unwrap();
    browser.wait("the help", "document.querySelector('#help:popover-open')").unwrap();
    browser.type_keys("\u{e00c}").unwrap();
    browser.wait("the help to close", "!document.querySelector('#help:popover-open')").unwrap();
    browser.type_keys("g").unwrap();
    browser.wait("the input to have the focus", "document.activeElement.id === 'feature-index'").unwrap();
    let linked: String = browser.text("[data-table=correlated-features] tbody a").unwrap();
    browser.click("[data-table=correlated-features] tbody a").unwrap();
    wait_for(&browser, &format!("feature/{linked}")).unwrap();
    browser.finish().unwrap();
}

#[test]
fn the_head_the_panels_and_the_top_examples_stay_where_they_are_from_feature_to_feature() {
    let (_served, browser) = open("#/feature/0").unwrap();
    let places =
        "[...document.querySelectorAll('h1, [data-panel], [data-group]:first-child h2')].map((e) => {
        const { left, top } = e.getBoundingClientRect();
        return [left + scrollX, top + scrollY];
    })";
    let mut seen: Vec<Vec<(f64, f64)>> = Vec::new();
    // Active often, rarely (in most intervals never), and with labels on correlated features.
    for feature in [0, 7, 9, 26, 1000, 4] {
        browser.eval::<Value>(&format!("location.hash = '#/feature/{feature}'")).unwrap();
        wait_for(&browser, &format!("feature/{feature}")).unwrap();
        seen.push(browser.eval(places).unwrap());
    }
    // A heading, five panels and the top examples; intervals have the height that they need.
    assert_eq!(seen[0].len(), 7);
    for places in &seen[1..] {
        // A group that was never near the window has a height that is estimated, to the pixel; a line has 30.
        let near = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).hypot(a.1 - b.1) < 8.0;
        let all = places.len() == 7 && places.iter().zip(&seen[0]).all(near);
        assert!(all, "{places:?}, at first {:?}", seen[0]);
    }
    browser.finish().unwrap();
}

#[test]
fn an_example_expands_to_its_whole_row() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.hover("[data-group='0'] [data-line]").unwrap();
    browser.click("[data-group='0'] [data-line] [data-expand]").unwrap();
    let tokens = "document.querySelectorAll('[data-whole-row] [data-token-id]').length === 128";
    browser.wait("the whole row", tokens).unwrap();
    assert!(browser.eval::<bool>("!!document.querySelector('[data-whole-row] .bold.active')").unwrap());
    browser.finish().unwrap();
}

#[test]
fn a_feature_that_the_bundle_lacks_is_named_and_the_page_goes_on() {
    let (_served, browser) = open("#/feature/9999").unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("bundle has no feature 9999: it holds 2048 between 0 and 2047"), "{said}");
    browser.click("#feature-index").unwrap();
    browser.type_keys("3\u{e007}").unwrap();
    check_feature(&browser, 3);
    browser.finish().unwrap();
}

#[test]
fn a_prompts_best_features_stand_side_by_side_with_their_scores() {
    let json = inspect(&["--prompt", "0"]);
    let expected = |metric: &str, position: u64| {
        let scores = json["scores"].as_array().unwrap().iter();
        scores.clone().find(|s| s["metric"] == metric && s["position"] == position).unwrap().clone()
    };
    let (_served, browser) = open("#/prompt/0?metric=act_size&pos=1").unwrap();
    for (metric, position) in [("act_size", 1), ("act_quantile", 2), ("loss_effect", 2)] {
        let link = format!("location.hash = '#/prompt/0?metric={metric}&pos={position}'");
        browser.eval::<Value>(&link).unwrap();
        wait_for(&browser, &format!("prompt/0/{metric}/{position}")).unwrap();
        let expected = expected(metric, position);
        let strings = |v: &Value| v.as_array().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        let columns = "[...document.querySelectorAll('[data-score]')].map(c => c.dataset.score)";
        assert_eq!(browser.eval::<Vec<String>>(columns).unwrap(), strings(&expected["features"]));
        let printed: Vec<String> = texts(&browser, "[data-score] [data-value=score]").unwrap();
        assert_eq!(
            printed,
            expected["scores"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>()
        );
        assert_eq!(
            texts(&browser, "[data-prompt-token]").unwrap().concat(),
            texts(&browser, ".prompt-column:first-child .prompt-line").unwrap().concat()
        );
        // The activation there is marked for good in each column's histogram.
        assert_eq!(texts(&browser, "[data-panel=acts-histogram] .mark").unwrap().len(), printed.len());
    }
    // By click, and to a position at which nothing has an effect.
    browser.click("[data-prompt-token='0']").unwrap();
    browser.wait("the empty state", "document.querySelector('[data-empty] a')").unwrap();
    assert!(browser.text("[data-empty]").unwrap().contains("the first token has none before it"));
    browser.click("[data-empty] a").unwrap();
    wait_for(&browser, "prompt/0/loss_effect/1").unwrap();
    browser.finish().unwrap();
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let (_served, browser) = open("#/feature/4").unwrap();
    browser.set_size(390, 844).unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let fits = |what: &str| {
        let width: u32 = browser.eval("document.documentElement.scrollWidth").unwrap();
        assert!(width <= 390, "{what} is {width} px wide");
    };
    fits("a feature");
    browser.eval::<Value>("location.hash = '#/?q=init'").unwrap();
    wait_for(&browser, "features").unwrap();
    fits("the table");
    browser.click("[data-rows] [data-feature] a").unwrap();
    browser.wait("a feature of those found", "document.querySelector('[data-walk]')").unwrap();
    fits("a feature of those found");
    browser.eval::<Value>("location.hash = '#/prompt/0'").unwrap();
    browser.wait("a prompt", "document.querySelector('main').dataset.ready.startsWith('prompt/')").unwrap();
    fits("a prompt");
    browser.finish().unwrap();
}

#[test]
fn the_theme_is_kept() {
    let (served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light: String = browser.eval(ground).unwrap();
    // One click turns to the other theme, whatever the system's is.
    browser.click("[data-theme-toggle]").unwrap();
    browser.wait("the dark theme", "document.documentElement.dataset.theme === 'dark'").unwrap();
    assert_ne!(browser.eval::<String>(ground).unwrap(), light);
    browser.open("about:blank").unwrap();
    browser.open(&format!("{}#/about", served.url())).unwrap();
    wait_for(&browser, "about").unwrap();
    browser.wait("the dark theme again", "document.documentElement.dataset.theme === 'dark'").unwrap();
    assert!(browser.text("main").unwrap().contains("Explained variance"));
    browser.finish().unwrap();
}
