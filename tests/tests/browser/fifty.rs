//! Reading many features in a row: what stays in sight, what is found again, what a reader adds of their own.

use serde_json::Value;
use tests::{
    browser::Browser,
    page::{open, texts, wait_for},
};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";
const RIGHT: &str = "\u{e014}";
const TAB: &str = "\u{e004}";

fn address(browser: &Browser) -> String {
    browser.eval("location.hash").unwrap()
}

fn clipboard(browser: &Browser) -> String {
    browser.eval("navigator.clipboard.readText()").unwrap()
}

#[test]
fn the_table_is_found_as_it_was_left_with_the_feature_that_was_read() {
    let (_served, browser) = open("#/").unwrap();
    wait_for(&browser, "features").unwrap();
    browser.eval::<Value>("document.querySelector('.virtual-list').scrollTop = 9000").unwrap();
    let row = "[data-rows] [data-feature='305']";
    browser.click(&format!("{row} a")).unwrap();
    wait_for(&browser, "feature/305").unwrap();
    browser.type_keys("j").unwrap();
    wait_for(&browser, "feature/306").unwrap();
    browser.eval::<Value>("history.go(-2)").unwrap();
    wait_for(&browser, "features").unwrap();
    let left = "Math.abs(document.querySelector('.virtual-list').scrollTop - 9000) < 300";
    browser.wait("the table where it was left", left).unwrap();
    let marked = "document.querySelector('.features-row.last')?.dataset.feature";
    browser.wait("the feature that was read last", &format!("{marked} === '306'")).unwrap();
    browser.finish().unwrap();
}

#[test]
fn examples_show_their_activation_and_as_much_of_their_row_as_the_reader_asks_for() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let acts = texts(&browser, "[data-group='0'] .line-act").unwrap();
    let max = browser.text("[data-stat=max]").unwrap();
    assert!(acts.len() >= 10 && acts[0].starts_with(&max), "{max}, {acts:?}");
    let n_tokens = "document.querySelectorAll('[data-group=\"0\"] [data-line]:first-child .window [data-token-id]').length";
    assert!(browser.eval::<u32>(n_tokens).unwrap() <= 11);
    // By mouse, and by key.
    browser.eval::<Value>("document.querySelector('[data-context=\"20\"]').click()").unwrap();
    browser.wait("wider windows", &format!("{n_tokens} > 22")).unwrap();
    browser
        .wait("where the row fires", "document.querySelector('[data-line] .strip path[d]:not([d=\"\"])')")
        .unwrap();
    browser.type_keys("c").unwrap();
    browser.wait("the whole row", &format!("{n_tokens} === 128")).unwrap();
    // Kept from feature to feature.
    browser.type_keys("j").unwrap();
    wait_for(&browser, "feature/5").unwrap();
    browser.wait("its rows", &format!("{n_tokens} === 128")).unwrap();
    browser.finish().unwrap();
}

#[test]
fn the_bar_stays_in_sight_and_says_whose_examples_these_are() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.wait("the label", "document.querySelector('.chooser [data-label=\"4\"]').textContent").unwrap();
    browser.eval::<Value>("scrollTo(0, 900)").unwrap();
    let seen =
        "(r => r.top >= 0 && r.bottom < 120)(document.querySelector('.chooser').getBoundingClientRect())";
    browser.wait("the bar", seen).unwrap();
    browser.click("[data-next]").unwrap();
    wait_for(&browser, "feature/5").unwrap();
    assert_eq!(browser.eval::<String>("document.querySelector('#feature-index').value").unwrap(), "5");
    browser.finish().unwrap();
}

#[test]
fn a_narrow_window_shows_logits_and_examples_first() {
    let (_served, browser) = open("#/feature/4").unwrap();
    for (width, height) in [(1024, 768), (390, 844)] {
        browser.set_size(width, height).unwrap();
        wait_for(&browser, "feature/4").unwrap();
        let tops: Vec<f64> = browser
            .eval("['logits-table', 'sequences', 'feature-tables'].map(n => document.querySelector(`[data-panel=${n}]`).getBoundingClientRect().top)")
            .unwrap();
        assert!(tops[0] < f64::from(height) && tops[1] < f64::from(height), "{width}: {tops:?}");
        assert!(tops[2] > tops[1], "{width}: {tops:?}");
    }
    browser.finish().unwrap();
}

#[test]
fn bars_say_what_they_count_and_counts_may_be_logarithmic() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let bars = "document.querySelector('[data-panel=acts-histogram] .bars').getAttribute('d')";
    let linear: String = browser.eval(bars).unwrap();
    browser.eval::<Value>("document.querySelector('[data-panel=acts-histogram] svg').focus()").unwrap();
    browser.type_keys(&format!("{RIGHT}{RIGHT}")).unwrap();
    let said = browser.text("[data-panel=acts-histogram] [data-bin-said]").unwrap();
    let counts: String =
        browser.eval("document.querySelector('[data-panel=acts-histogram] svg').dataset.counts").unwrap();
    let second: u64 = counts.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(said.replace(',', "").contains(&format!(": {second} position")), "{said}");
    assert_eq!(address(&browser), "#/feature/4", "the arrow keys stay in the plot");
    browser.click("[data-panel=acts-histogram] [data-log-counts]").unwrap();
    browser.wait("other bars", &format!("{bars} !== {linear:?}")).unwrap();
    browser.finish().unwrap();
}

#[test]
fn conditions_find_features_and_what_cannot_be_read_says_why() {
    let (_served, browser) = open("#/").unwrap();
    wait_for(&browser, "features").unwrap();
    browser.set("#search", "density<1% & logits~init").unwrap();
    browser
        .wait("fewer", "document.querySelector('[data-found]').textContent.includes(' of 2,048')")
        .unwrap();
    browser.wait("what was found is marked", "document.querySelector('.c-logits .hit .chip')").unwrap();
    browser.set("#search", "densty<1%").unwrap();
    browser
        .wait("why", "document.querySelector('[data-query-wrong]').textContent.includes('densty')")
        .unwrap();
    browser.set("#search", "").unwrap();
    // The line that said why is gone, and all below it has moved up.
    browser
        .wait(
            "all features",
            "document.querySelector('[data-found]').textContent.trim() === '2,048 features'
             && !document.querySelector('[data-query-wrong]').textContent",
        )
        .unwrap();
    // Columns by choice, kept for the next visit.
    browser.click("[data-columns]").unwrap();
    browser.wait("the menu", "document.querySelector('#columns-menu:popover-open')").unwrap();
    // It is placed once it is open: a click that comes before would miss.
    browser
        .wait(
            "the menu in its place",
            "(() => {
                const { top } = document.querySelector('[data-column-choice=kurtosis]').getBoundingClientRect();
                const stands = window.menuTop === top;
                window.menuTop = top;
                return stands;
             })()",
        )
        .unwrap();
    browser.click("[data-column-choice=kurtosis]").unwrap();
    browser.wait("one column less", "!document.querySelector('[data-sort=kurtosis]')").unwrap();
    browser.eval::<Value>("location.reload()").unwrap();
    wait_for(&browser, "features").unwrap();
    assert!(browser.eval::<bool>("!document.querySelector('[data-sort=kurtosis]')").unwrap());
    browser.finish().unwrap();
}

#[test]
fn a_token_leads_to_the_features_that_it_belongs_to_by_mouse_and_by_keyboard() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.click("[data-logits=positive] [data-chip]").unwrap();
    browser.click("[data-token-search=top]").unwrap();
    wait_for(&browser, "features").unwrap();
    let query: String = browser.eval("document.querySelector('#search').value").unwrap();
    assert_eq!(query, "top=\"init\"");
    browser.eval::<Value>("history.back()").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.eval::<Value>("document.querySelector('[data-token-logit][tabindex=\"0\"]').focus()").unwrap();
    browser.type_keys(&format!("{DOWN}{ENTER}{TAB}{ENTER}")).unwrap();
    wait_for(&browser, "features").unwrap();
    let query: String = browser.eval("document.querySelector('#search').value").unwrap();
    assert!(query.starts_with("logits="), "{query}");
    browser.finish().unwrap();
}

#[test]
fn copies_hold_token_ids_all_digits_and_the_text_as_it_was() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.allow_clipboard().unwrap();
    let copy = |panel: &str| {
        let frame = format!(".panel-frame:has([data-panel={panel}])");
        browser.hover(&format!("{frame} h2")).unwrap();
        browser.click(&format!("{frame} > [data-copy]")).unwrap();
        browser.wait("the menu", "document.querySelector('#copy-menu:popover-open')").unwrap();
        browser.eval::<Value>("document.querySelector('.toast').textContent = ''").unwrap();
        browser.click("[data-copy-as=tsv]").unwrap();
        browser.wait("the copy", "document.querySelector('.toast').textContent === 'Copied'").unwrap();
        clipboard(&browser)
    };
    let logits = copy("logits-table");
    let expected: Vec<String> = browser
        .eval("(row => [row.querySelector('[data-chip]').dataset.chip, row.dataset.tokenLogit])(document.querySelector('[data-token-logit]'))")
        .unwrap();
    let row: Vec<&str> = logits.lines().nth(1).unwrap().split('\t').collect();
    assert!(logits.starts_with("token id\ttoken\tlogit\n"), "{logits}");
    assert_eq!((row[0], row[2]), (expected[0].as_str(), expected[1].as_str()));
    let examples = copy("sequences");
    assert!(
        examples
            .starts_with("group\trow\tposition\tactivation\tcount\tbefore\ttoken\tafter\nTOP ACTIVATIONS\t")
    );
    assert!(
        examples.contains("\n    ") && !examples.contains("\\n"),
        "line breaks are line breaks: {examples}"
    );
    browser.eval::<Value>("document.querySelector('.toast').textContent = ''").unwrap();
    browser.click("[data-feature-json]").unwrap();
    browser.wait("the feature", "document.querySelector('.toast').textContent === 'Copied'").unwrap();
    let json: Value = serde_json::from_str(&clipboard(&browser)).unwrap();
    assert_eq!((json["feature"].as_u64(), json["groups"][0]["kind"].as_str()), (Some(4), Some("top")));
    browser.finish().unwrap();
}

#[test]
fn stars_labels_and_ratings_are_kept_filtered_by_and_exported() {
    let (served, browser) = open("#/feature/7").unwrap();
    wait_for(&browser, "feature/7").unwrap();
    browser.type_keys("s").unwrap();
    browser.wait("the star", "document.querySelector('[data-star][aria-pressed=true]')").unwrap();
    browser.type_keys("n").unwrap();
    browser.wait("the notes", "document.querySelector('.notes')").unwrap();
    browser.set("[data-note=label]", "a label of mine").unwrap();
    browser.set("[data-note=rating]", "4").unwrap();
    browser.set("[data-note=lists]", "to read, odd").unwrap();
    browser
        .wait(
            "the label",
            "document.querySelector('.chooser [data-label=\"7\"]').textContent === 'a label of mine'",
        )
        .unwrap();
    browser.type_keys(ESCAPE).unwrap();
    // Answered once all changes before are kept.
    browser.eval::<Value>("saeVisStore.get('annotations', saeVisAnnotations.sae)").unwrap();
    // There again after a reload, and found.
    browser.open("about:blank").unwrap();
    browser.open(&format!("{}#/?q=starred%20%26%20rating%3E%3D4%20%26%20list%3Dodd", served.url())).unwrap();
    wait_for(&browser, "features").unwrap();
    browser
        .wait("one feature", "document.querySelector('[data-found]').textContent === '1 of 2,048 features'")
        .unwrap();
    assert_eq!(browser.text("[data-rows] [data-label='7']").unwrap(), "a label of mine");
    browser.finish().unwrap();
}

#[test]
fn a_star_given_before_the_kept_ones_are_read_loses_none() {
    let (_served, browser) = open("#/feature/7").unwrap();
    wait_for(&browser, "feature/7").unwrap();
    let kept = "(async () => {
        const { change, sae } = saeVisAnnotations;
        await change(7, { starred: true });
        const get = saeVisStore.get;
        let read;
        saeVisStore.get = async (...where) => {
            await new Promise((done) => { read = done; });
            return get(...where);
        };
        dispatchEvent(new CustomEvent('saevis-bundle', { detail: sae }));
        const changed = change(30, { starred: true });
        read();
        await changed;
        return [...(await get('annotations', sae)).keys()];
    })()";
    assert_eq!(browser.eval::<Vec<u32>>(kept).unwrap(), [7, 30]);
    browser.finish().unwrap();
}

#[test]
fn features_stand_side_by_side_each_component_in_one_line() {
    let (_served, browser) = open("#/compare/4,986").unwrap();
    wait_for(&browser, "compare/4,986").unwrap();
    let tops = "[...document.querySelectorAll('.compare [data-panel=logits-table]')].map(p => p.getBoundingClientRect().top)";
    let tops: Vec<f64> = browser.eval(tops).unwrap();
    assert!(tops.len() == 2 && (tops[0] - tops[1]).abs() < 1.0, "{tops:?}");
    browser.click("#compare-add").unwrap();
    browser.type_keys(&format!("30{ENTER}")).unwrap();
    wait_for(&browser, "compare/4,986,30").unwrap();
    browser.click("[data-compare-remove='986']").unwrap();
    wait_for(&browser, "compare/4,30").unwrap();
    assert_eq!(address(&browser), "#/compare/4,30");
    browser.finish().unwrap();
}

#[test]
fn the_blind_test_hides_its_answers_until_all_are_given_and_keeps_the_score() {
    let (_served, browser) = open("#/feature/4/blind").unwrap();
    wait_for(&browser, "blind/4").unwrap();
    let n: u32 = browser.eval("document.querySelectorAll('.blind-window').length").unwrap();
    assert!(n >= 4 && n.is_multiple_of(2), "{n}");
    assert!(browser.eval::<bool>("!document.querySelector('.blind .active, .blind .bold')").unwrap());
    for i in 0..n {
        let guess = format!("document.querySelector('input[name=\"window-{i}\"][data-guess=true]').click()");
        browser.eval::<Value>(&guess).unwrap();
    }
    let said = browser.text("[data-blind-score]").unwrap();
    assert!(said.starts_with(&format!("{} of {n} right", n / 2)), "{said}");
    browser.wait("the answers", "document.querySelector('.blind .active')").unwrap();
    browser.click("[data-blind-leave]").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.type_keys("n").unwrap();
    browser
        .wait("the score", "document.querySelector('.note-others')?.textContent.includes('Blind test')")
        .unwrap();
    browser.finish().unwrap();
}

#[test]
fn prompts_go_by_their_words_the_best_features_are_listed_and_another_prompt_is_offered() {
    let (_served, browser) = open("#/prompt/0?metric=act_size&pos=1").unwrap();
    wait_for(&browser, "prompt/0/act_size/1").unwrap();
    let first = browser.text("[data-choices=prompt] a").unwrap();
    assert!(first.starts_with("1 ") && first.len() > 8, "{first}");
    let n_listed: u32 = browser.eval("document.querySelectorAll('[data-best] [data-jump]').length").unwrap();
    let n_columns: u32 = browser.eval("document.querySelectorAll('.prompt-column').length").unwrap();
    assert_eq!(n_listed, n_columns);
    browser.click("[data-best] li:last-child [data-jump]").unwrap();
    browser.wait("the last column", "document.activeElement.closest('.prompt-column:last-child')").unwrap();
    browser.eval::<Value>("location.hash = '#/prompt/99'").unwrap();
    browser.wait("what there is", "document.querySelector('[data-error] [data-choices=prompt] a')").unwrap();
    assert!(browser.text("[data-error]").unwrap().contains("99 is not one of them"));
    browser.click("[data-error] a").unwrap();
    browser.wait("a prompt", "document.querySelector('main').dataset.ready.startsWith('prompt/0/')").unwrap();
    browser.finish().unwrap();
}

#[test]
fn a_links_layout_is_cut_to_what_the_bundle_holds_and_garbage_is_named() {
    let layout = r#"{"columns":[{"components":[{"type":"logits_table","n_rows":40}]}]}"#;
    let fragment: String =
        layout.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).map(char::from).collect();
    let (_served, browser) = open(&format!("#/feature/4?layout={fragment}")).unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let said = browser.text("[data-notice]").unwrap();
    assert!(said.contains("40 rows asked for, the bundle stores 10"), "{said}");
    assert_eq!(texts(&browser, ".columns [data-panel] h2").unwrap(), ["NEGATIVE LOGITS", "POSITIVE LOGITS"]);
    browser.eval::<Value>("location.hash = '#/feature/5?layout=garbage'").unwrap();
    browser
        .wait("why", "document.querySelector('[data-notice]').textContent.includes('cannot be shown')")
        .unwrap();
    browser.finish().unwrap();
}
