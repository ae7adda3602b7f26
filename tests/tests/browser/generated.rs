//! The page on a generated bundle: tokens that look like markup, split characters, right-to-left text, dead features;
//! and on bundles that are broken.

use std::{fs, io::Write as _, path::Path};

use flate2::{Compression, Crc, write::GzEncoder};
use serde_json::Value;
use shared::{corpus::CorpusChunk, feature::FeatureBlock, paths, sequence::Example, vocab::Vocab};
use tempfile::TempDir;
use tests::{
    browser::Browser,
    built,
    generate::{generate, generate_with_rows},
    page::{copy_page, texts},
};

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
    let bundle = compute::bundle::Bundle::open(&site.path().join("bundle")).unwrap();
    let block: FeatureBlock = bundle.file(&paths::block(0)).unwrap();
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
            browser.eval::<Value>(&format!("location.hash = '#/feature/{feature}'")).unwrap();
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

/// The first feature of the bundle of which a top example is as asked, and that example.
fn find(bundle: &compute::bundle::Bundle, is_asked: impl Fn(&Example) -> bool) -> (u32, Example) {
    let blocks = (0..bundle.manifest.blocks.len()).map(paths::block);
    let features = blocks.flat_map(|path| bundle.file::<FeatureBlock>(&path).unwrap().features);
    let found = features.filter_map(|f| {
        let examples = f.sequences?.group_examples(0);
        Some((f.feature, examples.into_iter().find(&is_asked)?))
    });
    found.into_iter().next().unwrap()
}

/// Where an example stands on its feature's page.
fn line(example: &Example) -> String {
    format!("[data-group='0'] [data-line][data-row='{}'][data-position='{}']", example.row, example.position)
}

#[test]
fn a_row_of_4096_tokens_is_read_whole_and_opens_at_its_bold_token() {
    const SEQ_LEN: usize = 4096;
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    generate_with_rows(&site.path().join("bundle"), 32, 7, SEQ_LEN).unwrap();
    let bundle = compute::bundle::Bundle::open(&site.path().join("bundle")).unwrap();
    let (feature, example) = find(&bundle, |e| (2000..3000).contains(&e.position));
    let chunk = bundle.manifest.chunk_of(example.row).unwrap();
    let chunk: CorpusChunk = bundle.file(&paths::chunk(chunk)).unwrap();
    let expected = bundle.vocab.texts(chunk.row(example.row).unwrap()).concat();
    open(site.path(), &format!("#/feature/{feature}"), |browser| {
        ready(browser, feature);
        browser.hover(&line(&example)).unwrap();
        browser.click(&format!("{} [data-expand]", line(&example))).unwrap();
        let n_tokens = "document.querySelectorAll('[data-whole-row] [data-token-id]').length";
        browser.wait("the whole row", &format!("{n_tokens} === {SEQ_LEN}")).unwrap();
        assert_eq!(texts(browser, ".whole-row-text").unwrap(), [expected]);
        let in_sight = format!(
            "((box, token) => token.top >= box.top && token.bottom <= box.bottom)(
                document.querySelector('.whole-row-text').getBoundingClientRect(),
                document.querySelector('.whole-row-text [data-position=\"{}\"].bold').getBoundingClientRect())",
            example.position
        );
        browser.wait("the bold token in sight", &in_sight).unwrap();
    })
    .unwrap();
}

#[test]
fn text_from_right_to_left_split_characters_and_long_tokens_are_read_as_written() {
    let site = site(256);
    let bundle = compute::bundle::Bundle::open(&site.path().join("bundle")).unwrap();
    let ids = |e: &Example| e.tokens.iter().map(|t| t.token_id).collect::<Vec<_>>();
    let text = |e: &Example| bundle.vocab.texts(&ids(e)).concat();
    let is_hebrew = |t: &str| t.chars().any(|c| ('\u{5d0}'..='\u{5ea}').contains(&c));
    let n_hebrew = |e: &Example| {
        let after = e.tokens.iter().filter(|t| t.position >= e.position);
        after.filter(|t| is_hebrew(&bundle.vocab.text(t.token_id))).count()
    };
    for (what, (feature, example)) in [
        ("right to left", find(&bundle, |e| n_hebrew(e) > 4)),
        ("split", find(&bundle, |e| text(e).contains("日本"))),
        ("over letters", find(&bundle, |e| text(e).contains("e\u{301}te\u{301}"))),
        ("long", find(&bundle, |e| text(e).contains(&"=".repeat(88)))),
    ] {
        open(site.path(), &format!("#/feature/{feature}"), |browser| {
            ready(browser, feature);
            let tokens = format!("{} .window [data-token-id]", line(&example));
            assert_eq!(texts(browser, &tokens).unwrap(), bundle.vocab.texts(&ids(&example)), "{what}");
            let wide = "document.documentElement.scrollWidth > innerWidth";
            assert!(!browser.eval::<bool>(wide).unwrap(), "{what}: the page is wider than the window");
            let heights = "new Set([...document.querySelectorAll('.aligned')].map((l) => l.offsetHeight)).size";
            assert_eq!(browser.eval::<u32>(heights).unwrap(), 1, "{what}: lines are of one height");
            if what == "right to left" {
                // Each token after the bold one begins where the one before it ends, to its left.
                let places = format!(
                    "[...document.querySelectorAll(\"{} .after [data-token-id]\")]
                        .filter((t) => /[\\u05d0-\\u05ea]/.test(t.textContent)).map((t) => t.getBoundingClientRect().right)",
                    line(&example)
                );
                let places: Vec<f64> = browser.eval(&places).unwrap();
                assert!(places.len() > 4 && places.is_sorted_by(|a, b| a > b), "{places:?}");
            }
            if what == "split" {
                // The second token of a character has no text of its own, but a place, and its card says what it is.
                let rest = format!("{} .window .joined:empty", line(&example));
                browser.hover(&rest).unwrap();
                browser.wait("the card", "document.querySelector('[data-tooltip]:popover-open .card-joined')").unwrap();
                assert!(browser.text(".card-joined").unwrap().starts_with("with its neighbours: "));
                assert!(browser.text("[data-tooltip] .chip").unwrap().starts_with("\\x"));
            }
        })
        .unwrap();
    }
}

#[test]
fn labels_are_text_whatever_they_say() {
    const MARKUP: &str =
        "<script>alert('not markup')</script> &amp; <b>bold</b> <img src=x onerror=alert(1)>";
    let site = site(64);
    open(site.path(), "#/?q=onerror", |browser| {
        browser.wait("the table", "document.querySelector('main[data-ready=features]')").unwrap();
        assert!(browser.text("[data-rows] [data-label='6']").unwrap().ends_with(MARKUP));
        browser.eval::<Value>("location.hash = '#/feature/6'").unwrap();
        ready(browser, 6);
        browser.wait("the label", "document.querySelector('.feature-label').textContent").unwrap();
        assert!(browser.text(".feature-label").unwrap().ends_with(MARKUP));
        let inside =
            "document.querySelectorAll('main script, main img, main b:not([data-value]), [onerror]').length";
        assert_eq!(browser.eval::<u32>(inside).unwrap(), 0);
        // What cannot be seen is shown.
        browser.eval::<Value>("location.hash = '#/feature/11'").unwrap();
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
        browser.eval::<Value>("location.hash = '#/feature/4'").unwrap();
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
    let bundle = compute::bundle::Bundle::open(&site.path().join("bundle")).unwrap();
    let block: FeatureBlock = bundle.file(&paths::block(0)).unwrap();
    let dead = block.features.iter().find(|f| f.stats.is_dead()).unwrap().feature;
    open(site.path(), &format!("#/feature/{dead}"), |browser| {
        ready(browser, dead);
        assert_eq!(browser.text("[data-dead]").unwrap(), "dead");
        assert!(browser.text("[data-panel=sequences]").unwrap().contains("A dead feature"));
    })
    .unwrap();
}

/// The checksum of files.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What is done to a bundle's folder.
type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_broken_bundle_says_what_is_wrong_and_names_the_file() {
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let change = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    // Rewrites the manifest: what it says is then true of the file, and still hostile.
    let say = |bundle: &Path, edit: &dyn Fn(&mut Value)| {
        let path = bundle.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut manifest);
        fs::write(path, manifest.to_string()).unwrap();
    };
    let newer = |bundle: &Path| say(bundle, &|manifest| manifest["schema"]["major"] = 99.into());
    // A small file that unpacks to a gigabyte, where the manifest promises a kilobyte.
    let bomb = |bundle: &Path| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1 << 20];
        (0..1024).for_each(|_| gzip.write_all(&zeros).unwrap());
        let bytes = gzip.finish().unwrap();
        fs::write(bundle.join("vocab.bin"), &bytes).unwrap();
        say(bundle, &|manifest| {
            let files = manifest["files"].as_array_mut().unwrap();
            let file = files.iter_mut().find(|file| file["path"] == "vocab.bin").unwrap();
            file["bytes"] = bytes.len().into();
            file["crc32"] = crc32(&bytes).into();
            file["decoded_bytes"] = 1024.into();
        });
    };
    let cases: [(Damage<'_>, &str); 6] = [
        (&|bundle| cut(&bundle.join("manifest.json")), "(manifest.json)"),
        (&|bundle| cut(&bundle.join("features/0000.bin")), "bundle is truncated: expected"),
        (&|bundle| change(&bundle.join("features/0000.bin")), "bundle is damaged: checksum"),
        (&|bundle| fs::write(bundle.join("vocab.bin"), "\x1f\u{8b}").unwrap(), "(vocab.bin)"),
        (&newer, "bundle schema is version 99"),
        (&bomb, "bundle has a file that is too long: expected 1024 bytes, got 1025 (vocab.bin)"),
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
