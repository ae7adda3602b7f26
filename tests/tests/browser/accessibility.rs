//! An audit of every page by axe-core, light and dark, wide and narrow.

use harness::project::Project;
use serde_json::Value;
use tests::{
    browser::{Browser, Scheme},
    page::{open, wait_for},
};

/// What axe-core finds wrong, as `rule (impact): where`; anything below serious is taste.
pub fn findings(browser: &Browser) -> Vec<String> {
    let axe = Project::here().axe();
    let source = std::fs::read_to_string(&axe).unwrap_or_else(|e| {
        panic!("run `cargo xtask test`, which fetches axe-core ({}): {e}", axe.display())
    });
    let run = format!(
        "(() => {{ {source}; return axe.run(document, {{ resultTypes: ['violations'] }}).then(r => r.violations); }})()"
    );
    let violations: Vec<Value> = browser.eval(&run).unwrap();
    violations
        .iter()
        .filter(|v| v["impact"] == "serious" || v["impact"] == "critical")
        .map(|v| {
            let nodes = v["nodes"].as_array().unwrap();
            let first: Vec<String> =
                nodes.iter().take(3).map(|n| format!("{} {}", n["target"], n["failureSummary"])).collect();
            format!("{} ({}), {} elements: {}", v["id"], v["impact"], nodes.len(), first.join(" | "))
        })
        .collect()
}

#[test]
fn no_page_has_a_serious_finding() {
    let (served, browser) = open("#/").unwrap();
    let mut found = Vec::new();
    let pages = [
        ("#/", "features"),
        ("#/feature/4", "feature/4"),
        ("#/prompt/0?metric=act_size&pos=1", "prompt/0/act_size/1"),
        ("#/about", "about"),
    ];
    for (scheme, width) in [(Scheme::Light, 1440), (Scheme::Dark, 1440), (Scheme::Light, 390)] {
        browser.set_scheme(scheme).unwrap();
        browser.set_size(width, 900).unwrap();
        for (fragment, ready) in pages {
            browser.open("about:blank").unwrap();
            browser.open(&format!("{}{fragment}", served.url())).unwrap();
            wait_for(&browser, ready).unwrap();
            found
                .extend(findings(&browser).into_iter().map(|f| format!("{ready}, {scheme:?}, {width}: {f}")));
        }
        // With the editor open.
        browser.open(&format!("{}#/feature/4", served.url())).unwrap();
        wait_for(&browser, "feature/4").unwrap();
        browser.click("[data-layout-button]").unwrap();
        browser.wait("the editor", "document.querySelector('[data-editor]')").unwrap();
        browser.eval::<Value>("document.querySelectorAll('details').forEach(d => d.open = true)").unwrap();
        found.extend(findings(&browser).into_iter().map(|f| format!("editor, {scheme:?}, {width}: {f}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    browser.finish().unwrap();
}

#[test]
fn the_tab_key_reaches_everything_and_shows_where_it_is() {
    const TAB: &str = "\u{e004}";
    let (_served, browser) = open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    let mut reached = Vec::new();
    for _ in 0..80 {
        browser.type_keys(TAB).unwrap();
        let name = "(e => e.closest('[data-line]') ? 'token' : e.closest('[data-table]') ? 'feature link'
            : e.getAttribute('aria-label') ?? e.textContent.trim() ?? '')(document.activeElement)";
        reached.push(browser.eval::<String>(name).unwrap());
        // After the last control the focus is with the browser, which the page cannot outline.
        let outlined = "document.activeElement === document.body
            || getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert!(browser.eval::<bool>(outlined).unwrap(), "{}", reached.last().unwrap());
    }
    for name in [
        "Features",
        "Prompts",
        "About",
        "Layout",
        "Help",
        "Random",
        "feature link",
        "Copy this panel",
        "token",
    ] {
        assert!(reached.iter().any(|r| r == name), "{name} is not reached: {reached:?}");
    }
    browser.finish().unwrap();
}
