//! What a reader does with the page: browsing features, layouts, opening and copying, with and without a mouse.

use std::fs;

use serde_json::Value;
use shared::index::FeatureIndex;
use tests::{
    browser::Browser,
    built,
    page::{open, texts, wait_for},
    run::compute,
};

const ENTER: &str = "\u{e007}";
const DOWN: &str = "\u{e015}";
const RIGHT: &str = "\u{e014}";
const ESCAPE: &str = "\u{e00c}";

/// The demo's bundle and its index.
fn index() -> (compute::bundle::Bundle, FeatureIndex) {
    let bundle = compute::bundle::Bundle::open(&built::bundle().unwrap()).unwrap();
    let index = bundle.file(shared::paths::INDEX).unwrap();
    (bundle, index)
}

/// The features in the rows on screen, from above.
fn rows(browser: &Browser) -> Vec<u32> {
    let all =
        "[...document.querySelectorAll('[data-rows] [data-feature]')].map(r => Number(r.dataset.feature))";
    browser.eval(all).unwrap()
}

fn address(browser: &Browser) -> String {
    browser.eval("location.hash").unwrap()
}

#[test]
fn the_table_is_searched_sorted_and_narrowed_and_a_link_carries_it() {
    let (bundle, index) = index();
    let (served, browser) = open("#/").unwrap();
    wait_for(&browser, "features").unwrap();
    let n_features = index.features.len();
    assert_eq!(browser.text("[data-found]").unwrap(), "2,048 features");
    assert_eq!(n_features, 2048);

    // By maximum, largest first.
    browser.click("[data-sort=max]").unwrap();
    let largest = (0..n_features).max_by(|&a, &b| index.max[a].total_cmp(&index.max[b])).unwrap();
    browser
        .wait(
            "the order",
            &format!("document.querySelector('[data-rows] [data-feature]').dataset.feature === '{largest}'"),
        )
        .unwrap();
    let shown: Vec<f32> = rows(&browser).iter().map(|&f| index.max[f as usize]).collect();
    assert!(shown.len() > 10 && shown.is_sorted_by(|a, b| a >= b), "{shown:?}");

    // Typing anywhere searches the tokens.
    browser.type_keys("init").unwrap();
    let has = |f: usize| {
        let tokens = index.active_tokens[f].iter().chain(&index.logit_tokens[f]);
        tokens.into_iter().any(|&t| bundle.vocab.text(t).contains("init"))
    };
    let n_found = (0..n_features).filter(|&f| has(f)).count();
    assert!(n_found > 3 && n_found < 500, "{n_found}");
    let said = format!("{n_found} of 2,048 features");
    browser
        .wait("what is found", &format!("document.querySelector('[data-found]').textContent === '{said}'"))
        .unwrap();
    assert!(rows(&browser).iter().all(|&f| has(f as usize)));

    // The upper half of the histogram.
    browser.drag("[data-brush]", 0.5, 0.999).unwrap();
    browser.wait("the range", "document.querySelector('[data-range=density]')").unwrap();
    let narrowed = browser.text("[data-found]").unwrap();
    assert_ne!(narrowed, said);
    let first = rows(&browser);
    assert!(!first.is_empty());

    // The link says it all.
    let link = format!("{}{}", served.url(), address(&browser));
    browser.open("about:blank").unwrap();
    browser.open(&link).unwrap();
    wait_for(&browser, "features").unwrap();
    assert_eq!(browser.text("[data-found]").unwrap(), narrowed);
    assert_eq!(rows(&browser), first);
    assert_eq!(browser.eval::<String>("document.querySelector('#search').value").unwrap(), "init");

    // By keyboard into a feature, and back to the same table.
    browser.click("#search").unwrap();
    browser.type_keys(&format!("{DOWN}{ENTER}")).unwrap();
    wait_for(&browser, &format!("feature/{}", first[1])).unwrap();
    browser.eval::<Value>("history.back()").unwrap();
    wait_for(&browser, "features").unwrap();
    assert_eq!(rows(&browser), first);
    browser.click("[data-range=density]").unwrap();
    browser
        .wait("the range to go", &format!("document.querySelector('[data-found]').textContent === '{said}'"))
        .unwrap();
    browser.finish().unwrap();
}

#[test]
fn what_the_table_found_is_walked_through_in_its_order_until_the_reader_leaves_it() {
    let (_served, browser) = open("#/").unwrap();
    wait_for(&browser, "features").unwrap();
    browser.type_keys("init").unwrap();
    browser
        .wait("what is found", "document.querySelector('[data-found]').textContent.includes(' of ')")
        .unwrap();
    browser.click("[data-sort=max]").unwrap();
    let sorted = "document.querySelector('[data-sort=max]').parentElement.hasAttribute('aria-sort')";
    browser.wait("the order", sorted).unwrap();
    let found = rows(&browser);
    let n_found = browser.text("[data-found]").unwrap();
    let n_found = n_found.split(' ').next().unwrap();
    let shown = |place: usize| {
        wait_for(&browser, &format!("feature/{}", found[place])).unwrap();
        assert_eq!(browser.text("[data-walk]").unwrap(), format!("{} of {n_found} in the table", place + 1));
    };
    let go_to_first = || browser.click(&format!("[data-rows] [data-feature='{}'] a", found[0])).unwrap();
    go_to_first();
    shown(0);
    browser.type_keys("j").unwrap();
    shown(1);
    browser.click("[data-next]").unwrap();
    shown(2);
    browser.type_keys("k").unwrap();
    shown(1);
    browser.click("[data-random]").unwrap();
    browser.wait("another feature", "document.querySelector('[data-walk]')").unwrap();
    // The table is as it was left.
    browser.click("[data-walk]").unwrap();
    wait_for(&browser, "features").unwrap();
    assert_eq!(rows(&browser), found);
    go_to_first();
    shown(0);
    browser.click("[data-leave]").unwrap();
    browser.wait("all features", "!document.querySelector('[data-walk]')").unwrap();
    assert_eq!(browser.text(".chooser-count").unwrap(), "of 2,048 features");
    browser.type_keys("j").unwrap();
    wait_for(&browser, &format!("feature/{}", (found[0] + 1) % 2048)).unwrap();
    browser.finish().unwrap();
}

#[test]
fn labels_are_searched_sorted_by_and_shown_where_features_are_named() {
    let (bundle, _) = index();
    let labels = bundle.labels().unwrap();
    let (served, browser) = open("#/").unwrap();
    wait_for(&browser, "features").unwrap();
    assert_eq!(
        browser.eval::<String>("document.querySelector('#search').placeholder").unwrap(),
        "Search tokens, labels or an index"
    );
    browser.type_keys("SPECIAL METHOD").unwrap();
    let with_text = |text: &str| {
        let found = labels.features.iter().zip(&labels.texts).filter(|(_, label)| label.contains(text));
        found.map(|(feature, _)| *feature).collect::<Vec<u32>>()
    };
    let expected = with_text("special method");
    assert!(expected.contains(&4));
    let said = format!("{} of 2,048 features", expected.len());
    browser
        .wait("what is found", &format!("document.querySelector('[data-found]').textContent === '{said}'"))
        .unwrap();
    assert_eq!(rows(&browser), expected);

    browser.set("#search", "").unwrap();
    browser.click("[data-sort=label]").unwrap();
    let first = (0..labels.features.len()).min_by_key(|&i| labels.texts[i].to_ascii_lowercase()).unwrap();
    let label =
        format!("[data-rows] .features-row:not(.features-head) [data-label='{}']", labels.features[first]);
    browser
        .wait(
            "the order",
            &format!(
                "document.querySelector('[data-rows] [data-label]') === document.querySelector({label:?})"
            ),
        )
        .unwrap();
    assert_eq!(browser.text(&label).unwrap(), labels.texts[first]);

    // A feature with a label and one without: the place is kept, so that nothing moves.
    browser.open("about:blank").unwrap();
    browser.open(&format!("{}#/feature/4", served.url())).unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let of = |feature: u32| labels.of(feature).unwrap();
    for (place, feature) in [(".feature-label", 4), ("[data-table=correlated-features] a", 986)] {
        let shown = format!("document.querySelector(\"{place} [data-label='{feature}']\")?.textContent");
        browser.wait("the label", &format!("{shown} === {:?}", of(feature))).unwrap();
    }
    let top = "document.querySelector('.columns').getBoundingClientRect().top";
    let with_label: f64 = browser.eval(top).unwrap();
    browser.type_keys("j").unwrap();
    wait_for(&browser, "feature/5").unwrap();
    assert_eq!(browser.text("[data-label='5']").unwrap(), "");
    assert!((browser.eval::<f64>(top).unwrap() - with_label).abs() < 0.5);

    // The best feature at the prompt's " __".
    browser.eval::<Value>("location.hash = '#/prompt/0?metric=act_size&pos=1'").unwrap();
    wait_for(&browser, "prompt/0/act_size/1").unwrap();
    assert_eq!(browser.text("[data-score='4'] h2 a [data-label='4']").unwrap(), of(4));
    browser.finish().unwrap();
}

#[test]
fn nothing_found_says_so_and_two_statistics_are_plotted() {
    let (_served, browser) = open("#/?q=no+such+token+anywhere").unwrap();
    wait_for(&browser, "features").unwrap();
    assert_eq!(browser.text("[data-found]").unwrap(), "0 of 2,048 features");
    browser.set("#search", "").unwrap();
    browser
        .wait("all features", "document.querySelector('[data-found]').textContent === '2,048 features'")
        .unwrap();
    let drawn = "[...document.querySelector('[data-scatter] canvas, canvas[data-scatter]').getContext('2d')
        .getImageData(0, 0, 300, 100).data].some(v => v > 0)";
    browser.wait("dots", drawn).unwrap();
    browser.finish().unwrap();
}

#[test]
fn a_component_is_dragged_to_another_column() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let column_of = |component: &str| {
        let found =
            format!("document.querySelector('[data-component={component}]').closest('[data-column]')");
        browser.eval::<String>(&format!("{found}.dataset.column")).unwrap()
    };
    browser.type_keys("l").unwrap();
    browser.wait("the editor", "document.querySelector('[data-editor]')").unwrap();
    assert_eq!((column_of("acts_histogram"), column_of("feature_tables")), ("1".into(), "0".into()));
    browser.drag_onto("[data-component=acts_histogram]", "[data-component=feature_tables]").unwrap();
    let moved = "document.querySelector('.column [data-panel=feature-tables]').closest('.column').querySelector('[data-panel=acts-histogram]')";
    browser.wait("the histogram in the first column", moved).unwrap();
    assert_eq!(column_of("acts_histogram"), "0");
    let first = "document.querySelector('.column [data-panel]').dataset.panel";
    assert_eq!(
        browser.eval::<String>(first).unwrap(),
        "acts-histogram",
        "it stands before what it was dropped on"
    );
    browser.finish().unwrap();
}

#[test]
fn a_layout_is_edited_linked_exported_and_read_again() {
    let (served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let panels = |browser: &Browser| {
        texts(browser, ".columns [data-panel] h2, .columns [data-panel] caption").unwrap()
    };
    let before = panels(&browser);
    browser.type_keys("l").unwrap();
    browser.wait("the editor", "document.querySelector('[data-editor]')").unwrap();

    // More than the bundle holds is refused at the control, with the limit, and the page stays as it is.
    let option = "[data-component=logits_table] [data-option=n_rows]";
    browser.eval::<Value>("document.querySelectorAll('details').forEach(d => d.open = true)").unwrap();
    browser.set(option, "15").unwrap();
    browser
        .wait(
            "the refusal",
            "document.querySelector('[data-component=logits_table] [data-refusal=n_rows]').textContent",
        )
        .unwrap();
    let refusal = browser.text("[data-component=logits_table] [data-refusal=n_rows]").unwrap();
    assert!(refusal.contains("15") && refusal.contains("10"), "{refusal}");
    assert_eq!(panels(&browser), before);

    // Fewer rows, one panel less.
    browser.set(option, "3").unwrap();
    browser
        .wait(
            "three rows",
            "document.querySelectorAll('[data-logits=positive] [data-token-logit]').length === 3",
        )
        .unwrap();
    browser.click("[data-component=acts_histogram] [data-do=remove]").unwrap();
    browser.wait("the histogram to go", "!document.querySelector('[data-panel=acts-histogram]')").unwrap();
    let edited = panels(&browser);
    let json: String = browser.eval("document.querySelector('[data-json]').value").unwrap();

    // The command line takes the file, and refuses the one before.
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("layout.json");
    fs::write(&file, &json).unwrap();
    let args = vec!["check".to_owned(), file.display().to_string()];
    let checked = compute("layout", &args).unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    // A new browser that is given the link shows the same; the choice is not another reader's.
    let link = format!("{}{}", served.url(), address(&browser));
    let other = Browser::start().unwrap();
    other.open(&link).unwrap();
    wait_for(&other, "feature/4").unwrap();
    assert_eq!(panels(&other), edited);
    other.finish().unwrap();

    // The bundle's own again, then the file.
    browser.eval::<Value>("document.querySelector('[data-preset]').click()").unwrap();
    browser.wait("the histogram", "document.querySelector('[data-panel=acts-histogram]')").unwrap();
    assert_eq!(panels(&browser), before);
    browser.pick("[data-do=open]", &file).unwrap();
    browser.wait("the file's layout", "!document.querySelector('[data-panel=acts-histogram]')").unwrap();
    assert_eq!(panels(&browser), edited);

    // Kept for the next visit, and closed by a key.
    browser.type_keys(ESCAPE).unwrap();
    browser.wait("the editor to close", "!document.querySelector('[data-editor]')").unwrap();
    browser.open("about:blank").unwrap();
    browser.open(&format!("{}#/feature/5", served.url())).unwrap();
    wait_for(&browser, "feature/5").unwrap();
    assert!(!browser.eval::<bool>("!!document.querySelector('[data-panel=acts-histogram]')").unwrap());
    browser.finish().unwrap();
}

#[test]
fn presets_are_cut_to_what_the_bundle_holds_and_say_what_was_cut() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.click("[data-layout-button]").unwrap();
    browser.wait("the presets", "document.querySelector('[data-preset=reading]')").unwrap();
    for (name, cut) in
        [("default", ""), ("sequences-first", "30 examples asked for, the bundle stores 20"), ("reading", "")]
    {
        browser.click(&format!("[data-preset={name}]")).unwrap();
        browser
            .wait(name, &format!("document.querySelector('[data-preset={name}][aria-pressed=true]')"))
            .unwrap();
        assert_eq!(texts(&browser, "[data-refusal], [data-said]").unwrap().concat(), "", "{name}");
        let said = texts(&browser, "[data-cut]").unwrap().concat();
        assert!(if cut.is_empty() { said.is_empty() } else { said.contains(cut) }, "{name}: {said}");
    }
    browser.finish().unwrap();
}

#[test]
fn a_prompt_is_read_by_keyboard_alone() {
    let (_served, browser) = open("#/prompt/0?metric=act_quantile&pos=1").unwrap();
    wait_for(&browser, "prompt/0/act_quantile/1").unwrap();
    browser.type_keys(RIGHT).unwrap();
    wait_for(&browser, "prompt/0/act_quantile/2").unwrap();
    browser.type_keys("m").unwrap();
    wait_for(&browser, "prompt/0/loss_effect/2").unwrap();
    browser.type_keys("j").unwrap();
    browser
        .wait(
            "the next prompt",
            "document.querySelector('main').dataset.ready.startsWith('prompt/1/loss_effect/')",
        )
        .unwrap();
    browser.type_keys("k").unwrap();
    browser
        .wait("the first prompt", "document.querySelector('main').dataset.ready.startsWith('prompt/0/')")
        .unwrap();
    browser.finish().unwrap();
}

#[test]
fn panels_are_copied_as_pictures_and_tables() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.allow_clipboard().unwrap();
    let copy = |panel: &str, format: &str| {
        let frame = format!(".panel-frame:has([data-panel={panel}])");
        browser.hover(&frame).unwrap();
        browser.click(&format!("{frame} [data-copy]")).unwrap();
        browser.wait("the menu", "document.querySelector('#copy-menu:popover-open')").unwrap();
        browser.eval::<Value>("document.querySelector('.toast').textContent = ''").unwrap();
        browser.click(&format!("[data-copy-as={format}]")).unwrap();
        browser.wait("the copy", "document.querySelector('.toast').textContent === 'Copied'").unwrap();
        browser.type_keys(ESCAPE).unwrap();
    };
    copy("feature-tables", "tsv");
    let table: String = browser.eval("navigator.clipboard.readText()").unwrap();
    let printed =
        texts(&browser, "[data-table=neuron-alignment] tbody tr:first-child td").unwrap().join("\t");
    assert!(table.starts_with("NEURON ALIGNMENT\nIndex\tValue\t% of L₁\n"), "{table}");
    assert!(table.lines().any(|line| line == printed), "{table}");

    for panel in ["acts-histogram", "sequences"] {
        copy(panel, "svg");
        // Only what any program draws: no HTML, no style sheet.
        let svg: String = browser.eval("navigator.clipboard.readText()").unwrap();
        assert!(svg.starts_with("<svg ") && !svg.contains("foreignObject") && !svg.contains("var("), "{svg}");
        let parsed = "(async () => new DOMParser().parseFromString(await navigator.clipboard.readText(), 'image/svg+xml')
            .querySelectorAll('parsererror, script').length)()";
        assert_eq!(browser.eval::<u32>(parsed).unwrap(), 0);
    }
    let svg: String = browser.eval("navigator.clipboard.readText()").unwrap();
    assert!(
        svg.contains("TOP ACTIVATIONS") && svg.contains(">init</text>"),
        "the tokens' text is in the picture"
    );

    copy("acts-histogram", "png");
    let drawn = "(async () => {
        const [item] = await navigator.clipboard.read();
        const image = await createImageBitmap(await item.getType('image/png'));
        const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        const data = context.getImageData(0, 0, image.width, image.height).data;
        let orange = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] > 200 && data[i + 1] < 170 && data[i + 2] < 60) orange++;
        return [image.width, orange];
    })()";
    let (width, n_orange) = browser.eval::<(u32, u32)>(drawn).unwrap();
    assert!(width > 600 && n_orange > 1000, "{width} pixels wide, {n_orange} orange ones");
    browser.finish().unwrap();
}

#[test]
fn an_example_says_which_document_it_is_from() {
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.hover("[data-group='0'] [data-line]").unwrap();
    browser.click("[data-group='0'] [data-line] [data-expand]").unwrap();
    browser.wait("the document", "document.querySelector('[data-document]').textContent").unwrap();
    let place = browser.text("[data-whole-row] .whole-row-head").unwrap();
    let row: u32 =
        browser.eval("Number(document.querySelector('[data-whole-row]').dataset.wholeRow)").unwrap();
    let (bundle, _) = index();
    let path = shared::paths::chunk(bundle.manifest.chunk_of(row).unwrap());
    let chunk: shared::corpus::CorpusChunk = bundle.file(&path).unwrap();
    let document = chunk.document(row).unwrap() + 1;
    assert_eq!(place, format!("Row {row}, begins in document {document} of corpus.jsonl.gz"));
    browser.finish().unwrap();
}

#[test]
fn tokens_are_set_as_the_reader_chooses_and_stay_so() {
    let (served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let face =
        "getComputedStyle(document.querySelector('[data-line] .token')).fontFamily.includes('monospace')";
    assert!(!browser.eval::<bool>(face).unwrap());
    browser.type_keys("?").unwrap();
    browser.click("[data-reading=monospace]").unwrap();
    browser.click("[data-reading=wrapped]").unwrap();
    browser.type_keys(ESCAPE).unwrap();
    browser.wait("the face", face).unwrap();
    browser.open("about:blank").unwrap();
    browser.open(&format!("{}#/feature/5", served.url())).unwrap();
    wait_for(&browser, "feature/5").unwrap();
    assert!(browser.eval::<bool>(face).unwrap());
    browser.finish().unwrap();
}

#[test]
fn features_and_prompts_fit_on_paper_in_dark_ink_without_controls() {
    let (served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.click("[data-theme-toggle]").unwrap();
    assert_eq!(browser.eval::<String>("document.documentElement.dataset.theme").unwrap(), "dark");
    browser.set_paper().unwrap();
    let seen = "[...document.querySelectorAll('.panel, .group, .prompt-column, .bar, .chooser, .choices')]
        .filter((e) => e.getClientRects().length)";
    for (page, least) in [("feature/4", 10), ("prompt/0", 20)] {
        browser.open(&format!("{}#/{page}", served.url())).unwrap();
        browser.wait("what is printed", &format!("{seen}.length >= {least}")).unwrap();
        let beyond = format!("{seen}.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length");
        assert_eq!(browser.eval::<u32>(&beyond).unwrap(), 0, "{page}");
        let controls = format!("{seen}.filter((e) => e.matches('.bar, .chooser, .choices')).length");
        assert_eq!(browser.eval::<u32>(&controls).unwrap(), 0, "{page}");
        let ink =
            "getComputedStyle(document.querySelector('h2')).color.match(/[0-9.]+/g).slice(0, 3).map(Number)";
        let ink: Vec<f64> = browser.eval(ink).unwrap();
        assert!(ink.iter().all(|channel| *channel < 100.0), "{page}: {ink:?}");
    }
    browser.finish().unwrap();
}
