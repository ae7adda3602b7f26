//! The page on a generated bundle: tokens that look like markup, split characters, right-to-left text, dead features;
//! and on bundles that are broken.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use shared::{feature::FeatureBlock, vocab::Vocab};
use tempfile::TempDir;
use tests::{browser::Browser, built, generate::generate, page::copy_page};

/// The built page beside a generated bundle of `n_features`.
fn site(n_features: u32) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    copy_page(temp.path()).unwrap();
    generate(&temp.path().join("bundle"), n_features, 7).unwrap();
    temp
}

fn open(site: &Path, fragment: &str, steps: impl FnOnce(&Browser)) -> anyhow::Result<()> {
    let served = built::serve(site)?;
    let browser = Browser::start()?;
    browser.open(&format!("{}{fragment}", served.url()))?;
    steps(&browser);
    browser.finish()
}

fn ready(browser: &Browser, feature: u32) {
    let shown =
        format!("document.querySelector('main[data-ready=\"feature/{feature}\"]:has([aria-busy=false])')");
    browser.wait(&format!("feature {feature}"), &shown).unwrap();
}

#[test]
fn tokens_are_text_whatever_they_look_like() {
    let site = site(64);
    let bundle = compute::inspect::Bundle::open(&site.path().join("bundle")).unwrap();
    let block: FeatureBlock = bundle.file(&bundle.manifest.encoding.block_path(0)).unwrap();
    let is_markup = |vocab: &Vocab, id: u32| vocab.text(id).contains('<') && vocab.text(id).contains('>');
    let with_markup: Vec<u32> = block
        .features
        .iter()
        .filter(|f| f.sequences.iter().flat_map(|s| &s.token_ids).any(|t| is_markup(&bundle.vocab, *t)))
        .map(|f| f.feature)
        .take(3)
        .collect();
    assert!(!with_markup.is_empty(), "the generator makes tokens that look like markup");
    open(site.path(), &format!("#/feature/{}", with_markup[0]), |browser| {
        for &feature in &with_markup {
            browser.eval::<serde_json::Value>(&format!("location.hash = '#/feature/{feature}'")).unwrap();
            ready(browser, feature);
            let inside =
                "document.querySelectorAll('main script, main img, main iframe, main b, [onerror]').length";
            assert_eq!(browser.eval::<u32>(inside).unwrap(), 0);
            let shown =
                "[...document.querySelectorAll('[data-token-id]')].some(t => /<.*>/.test(t.textContent))";
            assert!(browser.eval::<bool>(shown).unwrap());
        }
    })
    .unwrap();
}

#[test]
fn labels_are_text_whatever_they_say() {
    const MARKUP: &str =
        "<script>alert('not markup')</script> &amp; <b>bold</b> <img src=x onerror=alert(1)>";
    let site = site(64);
    open(site.path(), "#/?q=onerror", |browser| {
        browser.wait("the table", "document.querySelector('main[data-ready=features]')").unwrap();
        assert!(browser.text("[data-rows] [data-label='6']").unwrap().ends_with(MARKUP));
        browser.eval::<serde_json::Value>("location.hash = '#/feature/6'").unwrap();
        ready(browser, 6);
        browser.wait("the label", "document.querySelector('.feature-label').textContent").unwrap();
        assert!(browser.text(".feature-label").unwrap().ends_with(MARKUP));
        let inside =
            "document.querySelectorAll('main script, main img, main b:not([data-value]), [onerror]').length";
        assert_eq!(browser.eval::<u32>(inside).unwrap(), 0);
        // What cannot be seen is shown.
        browser.eval::<serde_json::Value>("location.hash = '#/feature/11'").unwrap();
        ready(browser, 11);
        assert!(browser.text(".feature-label").unwrap().ends_with(r"zero\u{200b}width"));
    })
    .unwrap();
}

#[test]
fn a_bundle_without_labels_has_no_places_for_them_and_fetches_none() {
    let temp = tempfile::tempdir().unwrap();
    copy_page(temp.path()).unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/2.0/postcard");
    for file in ["manifest.json", "vocab.bin", "corpus/0000.bin", "features/0000.bin", "features/index.bin"] {
        let to = temp.path().join("bundle").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(bundle.join(file), to).unwrap();
    }
    open(temp.path(), "#/", |browser| {
        browser.wait("the table", "document.querySelector('main[data-ready=features]')").unwrap();
        let search = "document.querySelector('#search').placeholder";
        assert_eq!(browser.eval::<String>(search).unwrap(), "Search tokens or an index");
        browser.eval::<serde_json::Value>("location.hash = '#/feature/4'").unwrap();
        ready(browser, 4);
        let named = "[...document.querySelectorAll('[data-label], [data-sort=label], .feature-label')].length
            + performance.getEntries().filter((entry) => entry.name.includes('labels')).length";
        assert_eq!(browser.eval::<u32>(named).unwrap(), 0);
    })
    .unwrap();
}

#[test]
fn a_dead_feature_says_so() {
    let site = site(64);
    let bundle = compute::inspect::Bundle::open(&site.path().join("bundle")).unwrap();
    let block: FeatureBlock = bundle.file(&bundle.manifest.encoding.block_path(0)).unwrap();
    let dead = block.features.iter().find(|f| f.stats.n_active == 0).unwrap().feature;
    open(site.path(), &format!("#/feature/{dead}"), |browser| {
        ready(browser, dead);
        assert_eq!(browser.text("[data-dead]").unwrap(), "dead");
        assert!(browser.text("[data-panel=sequences]").unwrap().contains("A dead feature"));
    })
    .unwrap();
}

/// What is done to a bundle's folder.
type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_broken_bundle_says_what_is_wrong_and_names_the_file() {
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let cases: [(Damage<'_>, &str); 3] = [
        (&|bundle| cut(&bundle.join("manifest.json")), "(manifest.json)"),
        (&|bundle| cut(&bundle.join("features/0000.bin")), "bundle is truncated: expected"),
        (&|bundle| fs::write(bundle.join("vocab.bin"), "\x1f\u{8b}").unwrap(), "(vocab.bin)"),
    ];
    for (damage, expected) in cases {
        let site = site(8);
        damage(&site.path().join("bundle"));
        open(site.path(), "#/feature/0", |browser| {
            browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
            let said = browser.text("[data-error]").unwrap();
            assert!(said.contains(expected), "{said}");
        })
        .unwrap();
    }
}
