//! Bundles of other programs' files in the page: what a file lacks is shown as absent.

use std::{fs, path::Path};

use harness::serve::Server;
use tempfile::TempDir;
use tests::{
    browser::Browser,
    built,
    page::{copy_page, texts, wait_for},
    run::{compute, demo},
};

/// A page with the bundle of a fixture.
fn imported(file: &str, format: &str) -> (TempDir, Server) {
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compute/tests/fixtures").join(file);
    let (bundle, tokenizer) = (site.path().join("bundle"), demo("model"));
    let args = ["--quiet", "--from", format, "--out"].map(str::to_owned);
    let paths = [bundle.display(), fixture.display()].map(|path| path.to_string());
    let args = [&args[..], &paths, &["--tokenizer".to_owned(), tokenizer.display().to_string()]].concat();
    let done = compute("import", &args).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(fs::metadata(bundle.join("manifest.json")).is_ok());
    let served = built::serve(site.path()).unwrap();
    (site, served)
}

#[test]
fn each_import_is_a_feature_page_that_says_what_its_file_lacks() {
    for (file, format, has_sae_b, has_ids) in [
        ("neuronpedia-batch-0.json.gz", "neuronpedia", false, false),
        ("sae_dashboard-0.8.html.gz", "sae-dashboard", false, true),
        ("sae_vis-0.2.json.gz", "sae_vis", true, true),
        ("sae_vis-0.2-features.html.gz", "sae_vis", true, true),
        ("sae_vis-0.3-features.html.gz", "sae_vis", true, true),
    ] {
        let (_site, served) = imported(file, format);
        let browser = Browser::start().unwrap();
        browser.open(&format!("{}#/feature/4", served.url())).unwrap();
        wait_for(&browser, "feature/4").unwrap();
        let text = |css: &str| browser.text(css).unwrap();
        assert_eq!(text("[data-stat=active]"), "1,621 positions", "{file}");
        assert_eq!(text("[data-stat=max]"), "4.070", "{file}");
        assert_eq!(text("[data-stat=absent]"), "not in this file", "{file}");
        let chips = texts(&browser, "[data-panel=logits-table] .chip").unwrap();
        assert!(chips.iter().any(|chip| chip == "init"), "{file}: {chips:?}");
        let tables = text("[data-panel=feature-tables]").to_lowercase();
        assert!(tables.contains("correlated features"), "{file}: {tables}");
        assert_eq!(tables.contains("correlated b features"), has_sae_b, "{file}: {tables}");
        // Rows of these examples are numbers that the import gave.
        browser.hover("[data-panel=sequences] [data-token-id]").unwrap();
        let card = "document.querySelector('.card-origin')?.textContent";
        browser.wait("the card", &format!("{card}?.startsWith('position ')")).unwrap();
        let n_ids = browser.eval::<usize>("document.querySelectorAll('.card-id').length").unwrap();
        assert_eq!(n_ids, usize::from(has_ids), "{file}");
        browser.open(&format!("{}#/about", served.url())).unwrap();
        wait_for(&browser, "about").unwrap();
        let about = text("[data-panel=about-bundle]");
        assert!(about.contains("Imported from"), "{file}: {about}");
        for absent in ["the hook point", "the text itself", "health", "how it was computed"] {
            assert!(about.contains(absent), "{file}: {about}");
        }
        assert_eq!(about.contains("token ids"), !has_ids, "{file}: {about}");
        browser.finish().unwrap();
    }
}

#[test]
fn every_explanation_of_an_export_is_shown_with_its_author_and_scores() {
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    let export = site.path().join("export");
    let line = |folder: &str, lines: &str| {
        fs::create_dir_all(export.join(folder)).unwrap();
        fs::write(export.join(folder).join("batch-0.jsonl"), lines).unwrap();
    };
    line("features", r#"{"index":"2","pos_str":["<b>"],"pos_values":[1.5]}"#);
    let first = r#"{"index":"2","description":"<b>commas</b>","explanationModelName":"gpt-4o","typeName":"oai",
        "scores":[{"value":0.756,"explanationScoreTypeName":"fuzz","explanationScoreModelName":"m"}]}"#;
    let second = r#"{"index":"2","description":"full stops"}"#;
    line("explanations", &format!("{}\n{second}\n", first.replace('\n', "")));
    let bundle = site.path().join("bundle").display().to_string();
    let args = ["--quiet", "--from", "neuronpedia", "--out", &bundle, &export.display().to_string()];
    let done = compute("import", &args.map(str::to_owned)).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let served = built::serve(site.path()).unwrap();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}#/feature/2", served.url())).unwrap();
    browser.wait("the list", "document.querySelectorAll('[data-explanations] li').length === 2").unwrap();
    let items = texts(&browser, "[data-explanations=\"2\"] li").unwrap();
    assert_eq!(items, ["<b>commas</b>gpt-4o · oai · fuzz 0.76 by m", "full stops"]);
    browser.finish().unwrap();
}

#[test]
fn a_prompt_page_of_sae_vis_is_a_prompt_here() {
    let (_site, served) = imported("sae_vis-0.2-prompt.html.gz", "sae_vis");
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}#/prompt/0?metric=act_size&pos=1", served.url())).unwrap();
    browser.wait("the scores", "document.querySelector('main [data-score=\"4\"]')").unwrap();
    assert_eq!(browser.text("[data-score=\"4\"] [data-value=score]").unwrap(), "3.004");
    browser.finish().unwrap();
}
