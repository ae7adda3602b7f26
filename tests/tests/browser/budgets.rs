//! Measures the page on a generated bundle of 65,536 features; `cargo xtask bench --viewer` runs it.

use std::{fs, time::Instant};

use tests::{
    browser::Browser,
    built,
    generate::generate,
    page::{copy_page, wait_for},
};

/// Times that each thing is done; the middle one counts.
const ROUNDS: u32 = 15;

/// Milliseconds from a statement to the moment that an expression holds and the page is laid out.
fn time(browser: &Browser, act: &str, done: &str) -> f64 {
    let script = format!(
        "(async () => {{
            const start = performance.now();
            {act};
            while (!({done})) await new Promise((r) => {{ const c = new MessageChannel(); c.port1.onmessage = r; c.port2.postMessage(0); }});
            document.body.getBoundingClientRect();
            return performance.now() - start;
        }})()"
    );
    browser.eval(&script).unwrap()
}

/// The middle of `ROUNDS` measurements of something that differs from round to round.
fn middle(mut measure: impl FnMut(u32) -> f64) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS).map(&mut measure).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Milliseconds from a change of the address to the moment that the new feature's page is there: its own part (head,
/// tables, plots, top examples) written and laid out, so that the next frame shows it.
fn go(browser: &Browser, feature: u32) -> f64 {
    let script = format!(
        "new Promise((done) => {{
            const start = performance.now();
            const watch = new MutationObserver(() => {{
                if (document.querySelector('h1')?.dataset.feature !== '{feature}') return;
                watch.disconnect();
                document.body.getBoundingClientRect();
                done(performance.now() - start);
            }});
            watch.observe(document.querySelector('main'), {{ subtree: true, childList: true, attributeFilter: ['data-feature'] }});
            location.hash = '#/feature/{feature}';
        }})"
    );
    let took = browser.eval(&script).unwrap();
    wait_for(browser, &format!("feature/{feature}")).unwrap();
    took
}

/// The same until the lists below are drawn too and all is painted, a frame or two later.
fn go_to_the_end(browser: &Browser, feature: u32) -> f64 {
    let act = format!("location.hash = '#/feature/{feature}'");
    time(browser, &act, &format!("document.querySelector('main').dataset.ready === 'feature/{feature}'"))
}

/// KB that the page asked the server for, as they were sent: before something was on screen, and the labels, which it
/// fetches after that.
fn transferred(browser: &Browser) -> (f64, f64) {
    let sum = |labels: bool| {
        let entries =
            format!("performance.getEntries().filter((e) => e.name.includes('/labels.') === {labels})");
        let sum = format!("{entries}.reduce((sum, e) => sum + (e.transferSize ?? 0), 0)");
        browser.eval::<f64>(&sum).unwrap() / 1e3
    };
    (sum(false), sum(true))
}

#[test]
#[ignore = "takes minutes and measures: run `cargo xtask bench --viewer`"]
fn a_bundle_of_65_536_features() {
    const N_FEATURES: u32 = 65_536;
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    generate(&site.path().join("bundle"), N_FEATURES, 7).unwrap();
    let served = built::serve(site.path()).unwrap();
    println!("\n| what | measured |\n|---|---:|");
    let say = |what: &str, figure: String| println!("| {what} | {figure} |");

    for (page, fragment, ready) in [
        ("a feature", "#/feature/40000", "feature/40000"),
        ("the table", "#/", "features"),
        ("a prompt", "#/prompt/0", "prompt/0/act_quantile/0"),
    ] {
        let browser = Browser::start().unwrap();
        let start = Instant::now();
        browser.open(&format!("{}{fragment}", served.url())).unwrap();
        if page == "a prompt" {
            browser
                .wait("the prompt", "document.querySelector('main')?.dataset.ready?.startsWith('prompt/')")
                .unwrap();
        } else {
            wait_for(&browser, ready).unwrap();
        }
        say(&format!("{page} on screen, nothing cached"), format!("{} ms", start.elapsed().as_millis()));
        let (before, labels) = transferred(&browser);
        say(&format!("{page}: transferred before that, without labels"), format!("{before:.0} KB"));
        if labels > 0.0 {
            say(&format!("{page}: labels, after that"), format!("{labels:.0} KB"));
        }
        browser.finish().unwrap();
    }

    let browser = Browser::start().unwrap();
    browser.open(&format!("{}#/feature/0", served.url())).unwrap();
    wait_for(&browser, "feature/0").unwrap();
    let loaded = middle(|i| go(&browser, 1 + i % 8));
    say("another feature of a loaded block, laid out", format!("{loaded:.1} ms"));
    let whole = middle(|i| go_to_the_end(&browser, 1 + i % 8));
    say("another feature of a loaded block, painted to the end", format!("{whole:.1} ms"));
    let fresh = middle(|i| go(&browser, 1000 + 3001 * i));
    say("a feature of a new block, laid out", format!("{fresh:.1} ms"));
    let tokens = "document.querySelectorAll('[data-line] .token.active')";
    let hover = middle(|i| {
        let over =
            format!("{tokens}[{i}].dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true }}))");
        let shown = format!(
            "document.querySelector('[data-tooltip]:popover-open') && document.querySelector('[data-tooltip] [data-figure=activation]').textContent.length > 0 && {i} >= 0"
        );
        time(&browser, &over, &shown)
    });
    say("a token's card", format!("{hover:.1} ms"));

    browser.open(&format!("{}#/", served.url())).unwrap();
    wait_for(&browser, "features").unwrap();
    let first = "document.querySelector('[data-rows] [data-feature]').dataset.feature";
    let sort = middle(|i| {
        let stat = ["max", "mean", "skewness"][i as usize % 3];
        let sorted = format!(
            "document.querySelector('[data-sort={stat}]').parentElement.hasAttribute('aria-sort') && {first}"
        );
        time(&browser, &format!("document.querySelector('[data-sort={stat}]').click()"), &sorted)
    });
    say("sort of 65,536 features", format!("{sort:.1} ms"));
    let found = "document.querySelector('[data-found]').textContent";
    let search = middle(|i| {
        let query = ["a", "th", "ing", "e"][i as usize % 4];
        let before: String = browser.eval(found).unwrap();
        let act = format!(
            "const box = document.querySelector('#search'); box.value = '{query}'; box.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        );
        time(&browser, &act, &format!("{found} !== {before:?}"))
    });
    say("search in 65,536 features", format!("{search:.1} ms"));
    let bytes: u64 = walk(&site.path().join("bundle"));
    say("the bundle", format!("{:.1} MB", bytes as f64 / 1e6));
    browser.finish().unwrap();
}

/// KB of the bundle that the page asked the server for since the last call.
fn bundle_kilobytes(browser: &Browser) -> f64 {
    let sum = "(() => {
        const sum = performance.getEntriesByType('resource').filter((e) => e.name.includes('/bundle/'))
            .reduce((sum, e) => sum + e.transferSize, 0);
        performance.clearResourceTimings();
        return sum / 1e3;
    })()";
    browser.eval(sum).unwrap()
}

#[test]
#[ignore = "takes minutes and measures: run `cargo xtask bench --viewer`"]
fn bytes_of_one_feature_and_pages_of_one_file() {
    println!("\n| what | measured |\n|---|---:|");
    let say = |what: &str, figure: String| println!("| {what} | {figure} |");
    let (_served, browser) = tests::page::open("#/feature/4").unwrap();
    wait_for(&browser, "feature/4").unwrap();
    say("the demo's bundle: fetched for the first feature", format!("{:.0} KB", bundle_kilobytes(&browser)));
    let mut blocks = Vec::new();
    for feature in [300, 700, 1100, 1500, 1900] {
        go(&browser, feature);
        blocks.push(bundle_kilobytes(&browser));
    }
    // The next feature's block is fetched too where it is another one.
    blocks.sort_by(f64::total_cmp);
    say("for a feature of another block", format!("{:.0} KB", blocks[blocks.len() / 2]));
    browser.finish().unwrap();

    let temp = tempfile::tempdir().unwrap();
    let bundle = temp.path().join("bundle");
    generate(&bundle, 16_384, 7).unwrap();
    let page = built::page().unwrap().display().to_string();
    for n_features in [2_000, 6_000, 15_500] {
        let out = temp.path().join(format!("{n_features}.html")).display().to_string();
        let features = format!("0..{n_features}");
        let bundle = bundle.display().to_string();
        let args = [&bundle, "--html", "--page", &page, "--features", &features, "--out", &out, "--quiet"];
        let done = tests::run::compute("export", &args.map(str::to_owned)).unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let megabytes = fs::metadata(&out).unwrap().len() as f64 / 1e6;
        let mut times: Vec<f64> = (0..3)
            .map(|_| {
                let browser = Browser::start().unwrap();
                let start = Instant::now();
                browser.open(&format!("file://{out}#/feature/8")).unwrap();
                wait_for(&browser, "feature/8").unwrap();
                let took = start.elapsed().as_secs_f64();
                browser.finish().unwrap();
                took
            })
            .collect();
        times.sort_by(f64::total_cmp);
        say(
            &format!("one HTML file of {megabytes:.0} MB, to its first feature"),
            format!("{:.1} s", times[1]),
        );
    }
}

fn walk(folder: &std::path::Path) -> u64 {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().unwrap().len() }
        })
        .sum()
}
