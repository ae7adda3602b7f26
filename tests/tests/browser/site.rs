//! A site of several SAEs, computed in one run, published by `compute export --site` and served as hosts do.

use std::{fs, path::Path, sync::OnceLock};

use harness::{
    browser::keys::{ALT, DOWN},
    serve::Server,
};
use shared::{layers::NEIGHBOURS, neighbours::Neighbours};
use tempfile::TempDir;
use tests::{
    browser::{Browser, Scheme},
    built,
    page::{texts, wait_for},
    run::{compute, demo},
};

use crate::accessibility::findings;

/// The sub-path at which a project's pages lie.
const PROJECT: &str = "owner/project/";
const SAES: [&str; 4] = ["sae-mlp-a", "sae-mlp-a-again", "sae-mlp-b", "sae-resid"];

/// A folder with the site that `compute run` wrote, `site`, and a host's, `host`.
fn folders() -> &'static Path {
    static FOLDERS: OnceLock<TempDir> = OnceLock::new();
    let folders = FOLDERS.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name).display().to_string();
        // Another SAE at the hook point of the first: nearest to each feature is the feature itself.
        let again = temp.path().join("sae-mlp-a-again");
        fs::create_dir(&again).unwrap();
        for entry in fs::read_dir(demo("sae-mlp-a")).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), again.join(entry.file_name())).unwrap();
        }
        let mut args = vec!["--quiet".to_owned(), "--device".to_owned(), "cpu".to_owned()];
        for (name, value) in [
            ("--model", demo("model").display().to_string()),
            ("--sae", demo("sae-mlp-a").display().to_string()),
            ("--sae", again.display().to_string()),
            ("--sae", demo("sae-[!m]*").display().to_string()),
            ("--sae", demo("sae-mlp-b").display().to_string()),
            ("--data", demo("tokens.npy").display().to_string()),
            ("--sequences", "64".to_owned()),
            ("--features", "0..48".to_owned()),
            ("--prompt", "def __init__(self):".to_owned()),
            ("--out", at("site")),
        ] {
            args.extend([name.to_owned(), value]);
        }
        let done = compute("run", &args).unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let page = built::page().unwrap().display().to_string();
        let out = temp.path().join("host").join(PROJECT).display().to_string();
        let done = compute("export", &[at("site"), "--site".into(), out, "--page".into(), page]).unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::write(temp.path().join("host/404.html"), "<p>There isn't a GitHub Pages site here.").unwrap();
        temp
    });
    folders.path()
}

/// The site, served under a sub-path, and a browser.
fn opened() -> (Server, Browser, String) {
    let served = built::serve(&folders().join("host")).unwrap();
    let base = format!("{}{PROJECT}", served.url());
    (served, Browser::start().unwrap(), base)
}

fn viewer(base: &str, sae: &str, fragment: &str) -> String {
    format!("{base}view.html?bundle=bundles/{sae}{fragment}")
}

/// The neighbours that are stored of feature `feature` of `sae`, in `other`, by direction.
fn stored(sae: &str, feature: u32, other: &str) -> Vec<u32> {
    let bundle = ::compute::bundle::Bundle::open(&folders().join("site").join(sae)).unwrap();
    let block = bundle.manifest.block_of(feature).unwrap();
    let neighbours: Neighbours = bundle.file(&NEIGHBOURS.path_of(block)).unwrap();
    let (_, found) = neighbours.of(feature).find(|(path, _)| *path == other).unwrap();
    found.by_direction.iter().map(|neighbour| neighbour.feature).collect()
}

#[test]
fn the_start_page_lists_all_saes_and_searches_them() {
    let (_served, browser, base) = opened();
    browser.open(&base).unwrap();
    wait_for(&browser, "site").unwrap();
    assert_eq!(texts(&browser, ".site-saes tbody th").unwrap(), SAES);
    let rows = texts(&browser, ".site-saes tbody tr").unwrap();
    assert!(rows[3].contains("blocks.1.hook_resid_pre") && rows[3].contains("48"), "{rows:?}");
    browser.click("#site-search").unwrap();
    browser.type_keys("self").unwrap();
    wait_for(&browser, "site/self").unwrap();
    assert!(browser.eval::<bool>("location.search === '?q=self'").unwrap());
    let counts: Vec<String> = browser
        .eval("[...document.querySelectorAll('[data-found-in]')].map(e => `${e.dataset.foundIn} ${e.dataset.n}`)")
        .unwrap();
    assert_eq!(counts.len(), 4);
    // Each count is that of the table with the same search.
    let (sae, n) = counts[0].split_once(' ').unwrap();
    assert!(n.parse::<usize>().unwrap() > 0, "{counts:?}");
    let marked = texts(&browser, &format!("[data-found-in=\"{sae}\"] mark")).unwrap();
    assert!(
        !marked.is_empty() && marked.iter().all(|text| text.to_lowercase().contains("self")),
        "{marked:?}"
    );
    browser.click(&format!("[data-found-in=\"{sae}\"] .site-count a")).unwrap();
    browser.wait("the table", "document.querySelector('[data-found]')?.textContent").unwrap();
    let found = browser.text("[data-found]").unwrap();
    assert!(found.starts_with(&format!("{n} of ")), "{found}, expected {n}");
    browser.eval::<serde_json::Value>("history.back()").unwrap();
    wait_for(&browser, "site/self").unwrap();
    // What cannot be read is said, and nothing is shown for it.
    browser.open(&format!("{base}?q=density%3C%3C")).unwrap();
    wait_for(&browser, "site").unwrap();
    assert!(browser.text("[data-site-said]").unwrap().contains("expected a number"));
    assert_eq!(browser.eval::<usize>("document.querySelectorAll('[data-found-in]').length").unwrap(), 0);
    browser.finish().unwrap();
}

#[test]
fn the_switch_keeps_the_place_by_mouse_and_by_keys() {
    let (_served, browser, base) = opened();
    let at = |sae: &str, fragment: &str| {
        let here = format!(
            "location.search.includes('bundles/{sae}/') && location.hash === '{fragment}' && document.querySelector('[data-site-select]')"
        );
        browser.wait(&format!("{sae} at {fragment}"), &here).unwrap();
    };
    // A prompt stays the same prompt.
    let prompt = "#/prompt/0?metric=act_size&pos=1";
    browser.open(&viewer(&base, "sae-mlp-a", prompt)).unwrap();
    wait_for(&browser, "prompt/0/act_size/1").unwrap();
    browser.wait("the switch", "document.querySelector('[data-site-select]')").unwrap();
    assert_eq!(texts(&browser, "[data-site-select] option").unwrap().len(), 4);
    assert!(browser.eval::<bool>("document.querySelector('[data-site-step=\"-1\"]').disabled").unwrap());
    browser.click("[data-site-step=\"1\"]").unwrap();
    at("sae-mlp-a-again", prompt);
    wait_for(&browser, "prompt/0/act_size/1").unwrap();
    // A feature leads to the nearest: here itself.
    browser.open(&viewer(&base, "sae-mlp-a", "#/feature/4")).unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.wait("the neighbours", "document.querySelector('[data-neighbours=\"4\"]')").unwrap();
    browser.type_keys("]").unwrap();
    at("sae-mlp-a-again", "#/feature/4");
    browser
        .wait("what is said", "document.querySelector('.toast')?.textContent.includes('cosine 1.00')")
        .unwrap();
    browser.wait("the neighbours", "document.querySelector('[data-neighbours=\"4\"]')").unwrap();
    let nearest = stored("sae-mlp-a-again", 4, "sae-mlp-b")[0];
    browser.type_keys("]").unwrap();
    at("sae-mlp-b", &format!("#/feature/{nearest}"));
    // The table stays the same table; there every key but those with Alt is a search.
    browser.open(&viewer(&base, "sae-mlp-b", "#/?sort=max&order=down")).unwrap();
    wait_for(&browser, "features").unwrap();
    browser.wait("the switch", "document.querySelector('[data-site-select]')").unwrap();
    browser.type_keys(&format!("{ALT}{DOWN}")).unwrap();
    at("sae-resid", "#/?sort=max&order=down");
    browser.finish().unwrap();
}

#[test]
fn neighbours_are_those_that_are_stored_and_lead_to_their_features() {
    let (_served, browser, base) = opened();
    browser.open(&viewer(&base, "sae-mlp-b", "#/feature/8")).unwrap();
    wait_for(&browser, "feature/8").unwrap();
    browser.wait("the neighbours", "document.querySelector('[data-neighbours=\"8\"]')").unwrap();
    let around = texts(&browser, "[data-neighbours] caption").unwrap();
    assert_eq!(around.len(), 3, "two before and one after: {around:?}");
    let shown: Vec<u32> = browser
        .eval("[...document.querySelectorAll('[data-neighbours-in=sae-resid] tr td:nth-child(1) a')].map(a => +a.textContent)")
        .unwrap();
    assert_eq!(shown, stored("sae-mlp-b", 8, "sae-resid"));
    // The next feature has its own.
    browser.type_keys("j").unwrap();
    wait_for(&browser, "feature/9").unwrap();
    browser
        .wait("the next neighbours", "document.querySelectorAll('[data-neighbours=\"9\"]').length === 1")
        .unwrap();
    let nearest = stored("sae-mlp-b", 9, "sae-resid")[0];
    browser.click("[data-neighbours-in=sae-resid] tbody a").unwrap();
    wait_for(&browser, &format!("feature/{nearest}")).unwrap();
    assert!(browser.eval::<bool>("location.search.includes('bundles/sae-resid/')").unwrap());
    browser.finish().unwrap();
}

#[test]
fn a_site_is_found_by_its_folder_and_what_is_no_site_says_so() {
    let (_served, browser, base) = opened();
    browser.open(&format!("{base}view.html?bundle=bundles")).unwrap();
    wait_for(&browser, "site").unwrap();
    assert_eq!(texts(&browser, ".site-saes tbody th").unwrap(), SAES);
    browser.click(".site-saes tbody a").unwrap();
    wait_for(&browser, "features").unwrap();
    // A host's own page for what is not there is no bundle.
    browser.open(&viewer(&base, "third", "")).unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("404") && said.contains("bundles/third"), "{said}");
    browser.open(&format!("{base}site.html?site=nowhere")).unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("the host answered 404") && said.contains("nowhere/site.json"), "{said}");
}

#[test]
fn files_of_a_site_are_sent_as_hosts_send_them() {
    let (_served, browser, base) = opened();
    browser.open(&viewer(&base, "sae-resid", "#/feature/4")).unwrap();
    wait_for(&browser, "feature/4").unwrap();
    browser.wait("the neighbours", "document.querySelector('[data-neighbours=\"4\"]')").unwrap();
    // Chromium asks for gzip, which hosts give text; a bundle's files come as they are.
    let packed =
        "performance.getEntriesByType('resource').filter((e) => e.encodedBodySize < e.decodedBodySize)
        .map((e) => e.name.split('.').pop()).sort().join(' ')";
    let packed: String = browser.eval(packed).unwrap();
    assert!(packed.contains("css") && packed.contains("wasm") && !packed.contains("bin"), "{packed}");
    // The vocabulary is fetched from what all share; and a page without a site loads nothing of it.
    let fetched = "performance.getEntriesByType('resource').map((e) => e.name)";
    let names: Vec<String> = browser.eval(fetched).unwrap();
    assert!(
        names.iter().any(|name| name.contains("bundles/shared/") && name.ends_with("vocab.bin")),
        "{names:?}"
    );
    browser.finish().unwrap();
    let (_served, browser) = tests::page::open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let names: Vec<String> = browser.eval(fetched).unwrap();
    let of_sites = |name: &&String| name.contains("site") || name.contains("switch.js");
    assert_eq!(names.iter().find(of_sites), None);
    browser.finish().unwrap();
}

#[test]
fn pages_of_a_site_have_no_serious_finding() {
    let (_served, browser, base) = opened();
    let mut found = Vec::new();
    for (scheme, width) in [(Scheme::Light, 1440), (Scheme::Dark, 1440), (Scheme::Light, 390)] {
        browser.set_scheme(scheme).unwrap();
        browser.set_size(width, 900).unwrap();
        browser.open("about:blank").unwrap();
        browser.open(&format!("{base}?q=self")).unwrap();
        wait_for(&browser, "site/self").unwrap();
        found.extend(findings(&browser).into_iter().map(|f| format!("start, {scheme:?}, {width}: {f}")));
        browser.open(&viewer(&base, "sae-mlp-b", "#/feature/8")).unwrap();
        wait_for(&browser, "feature/8").unwrap();
        browser.wait("the neighbours", "document.querySelector('[data-neighbours=\"8\"]')").unwrap();
        found.extend(findings(&browser).into_iter().map(|f| format!("feature, {scheme:?}, {width}: {f}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    browser.finish().unwrap();
}
