//! The ways to open a bundle: an archive by address, one that is picked, and a page with the bundle inside.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    sync::mpsc,
};

use tempfile::TempDir;
use tests::{
    browser::Browser,
    built,
    generate::generate,
    page::{copy_page, wait_for},
    run::compute,
};

fn export(bundle: &Path, out: &Path, html: bool) {
    let text = |path: &Path| path.display().to_string();
    let mut args = vec![text(bundle), "--out".to_owned(), text(out), "--quiet".to_owned()];
    if html {
        args.extend(["--html".to_owned(), "--page".to_owned(), text(&built::page().unwrap())]);
    }
    let output = compute("export", &args).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A generated bundle, whose features are not the demo's, and what it is exported to.
fn exported(name: &str) -> (TempDir, std::path::PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    generate(&temp.path().join("bundle"), 96, 7).unwrap();
    let out = temp.path().join(name);
    export(&temp.path().join("bundle"), &out, name.ends_with("html"));
    (temp, out)
}

/// The bundle that the page has open is the generated one.
fn is_generated(browser: &Browser) {
    wait_for(browser, "feature/3").unwrap();
    assert!(browser.text(".chooser-count").unwrap().contains("of 96 features"));
    assert!(browser.text(".bundle-name").unwrap().contains("synthetic"));
}

#[test]
fn an_archive_is_opened_by_its_address_a_part_at_a_time() {
    let (_temp, archive) = exported("other.saevis");
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    fs::copy(&archive, site.path().join("other.saevis")).unwrap();
    let served = built::serve(site.path()).unwrap();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}?bundle=other.saevis#/feature/3", served.url())).unwrap();
    is_generated(&browser);
    browser.finish().unwrap();
}

#[test]
fn a_picked_archive_replaces_what_is_open_and_a_broken_one_leaves_it_open() {
    let (temp, archive) = exported("other.saevis");
    let (_served, browser) = tests::page::open("#/feature/3").unwrap();
    wait_for(&browser, "feature/3").unwrap();
    assert!(browser.text(".chooser-count").unwrap().contains("2,048"));
    let opened = "document.querySelector('[data-found]')?.textContent === '96 features'";
    browser.pick("[data-open]", &archive).unwrap();
    browser.wait("the other bundle's table", opened).unwrap();
    browser.click("[data-rows] [data-feature='3'] a").unwrap();
    is_generated(&browser);

    let broken = temp.path().join("broken.saevis");
    let bytes = fs::read(&archive).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    browser.pick("[data-open]", &broken).unwrap();
    browser.wait("the error", "document.querySelector('[data-error]')").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("no .saevis file: the end of a ZIP is missing (broken.saevis)"), "{said}");
    // What was open stays so.
    is_generated(&browser);
    assert_eq!(browser.text("[data-opened-file]").unwrap().lines().next().unwrap(), "other.saevis");
    browser.click("[data-notice-close]").unwrap();
    browser.wait("the message to go", "!document.querySelector('[data-error]')").unwrap();
    browser.pick("[data-open]", &archive).unwrap();
    browser.wait("the bundle again", opened).unwrap();
    // Closed, the page's own bundle is there again.
    browser.click("[data-close-file]").unwrap();
    browser
        .wait("the demo", "document.querySelector('[data-found]')?.textContent === '2,048 features'")
        .unwrap();
    browser.finish().unwrap();
}

#[test]
fn an_archive_that_is_dropped_on_the_page_is_opened() {
    let (_temp, archive) = exported("other.saevis");
    let (_served, browser) = tests::page::open("#/feature/3").unwrap();
    wait_for(&browser, "feature/3").unwrap();
    browser.drop_file(&archive).unwrap();
    browser
        .wait(
            "the other bundle's table",
            "document.querySelector('[data-found]')?.textContent === '96 features'",
        )
        .unwrap();
    browser.finish().unwrap();
}

/// A host that takes requests and answers none until it is let go.
struct StallingHost {
    url: String,
    let_go: mpsc::Sender<()>,
}

impl StallingHost {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/slow", listener.local_addr().unwrap());
        let (let_go, held) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let head = BufReader::new(&connection).lines().next().unwrap().unwrap();
            assert!(head.starts_with("GET /slow/manifest.json"), "{head}");
            // The test has ended where nobody lets go any more.
            if held.recv().is_ok() {
                let body = "{}";
                let head = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length:";
                write!(connection, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        Self { url, let_go }
    }
}

#[test]
fn opening_from_a_slow_host_can_be_cancelled_and_another_bundle_opened() {
    let (_temp, archive) = exported("other.saevis");
    let slow = StallingHost::start();
    let site = tempfile::tempdir().unwrap();
    copy_page(site.path()).unwrap();
    let served = built::serve(site.path()).unwrap();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{}?bundle={}#/feature/3", served.url(), slow.url)).unwrap();
    // It shows only once a reader would wonder.
    let seen = "document.querySelector('main [data-cancel]')?.checkVisibility({ visibilityProperty: true })";
    browser.wait("what is being opened", seen).unwrap();
    let said = browser.text("main [role=status]").unwrap();
    assert!(said.contains(&slow.url), "{said}");
    browser.click("main [data-cancel]").unwrap();
    let said = browser.text("[data-error]").unwrap();
    assert!(said.contains("opening was cancelled") && said.contains(&slow.url), "{said}");

    browser.pick("[data-open]", &archive).unwrap();
    let opened = "document.querySelector('[data-found]')?.textContent === '96 features'";
    browser.wait("the other bundle's table", opened).unwrap();
    // The slow host's answer comes at last, and changes nothing.
    slow.let_go.send(()).unwrap();
    browser
        .wait(
            "the slow answer",
            "performance.getEntriesByType('resource').some((e) => e.name.endsWith('/slow/manifest.json'))",
        )
        .unwrap();
    assert!(browser.eval::<bool>(opened).unwrap());
    browser.finish().unwrap();
}

#[test]
fn an_exported_page_opens_from_the_disk_without_a_server() {
    let (_temp, page) = exported("other.html");
    let browser = Browser::start().unwrap();
    browser.open(&format!("file://{}#/feature/3", page.display())).unwrap();
    is_generated(&browser);
    browser.type_keys("?").unwrap();
    browser.wait("the help", "document.querySelector('#help:popover-open')").unwrap();
    browser.finish().unwrap();
}

#[test]
fn an_exported_page_holds_what_is_chosen_and_opens_where_it_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.display().to_string();
    let page = temp.path().join("part.html");
    let args = |start: &[&str]| {
        let built = (text(&built::bundle().unwrap()), text(&built::page().unwrap()));
        let args = [
            built.0.as_str(),
            "--html",
            "--page",
            &built.1,
            "--quiet",
            "--out",
            &text(&page),
            "--features",
            "4..40",
        ];
        args.iter().chain(start).map(ToString::to_string).collect::<Vec<_>>()
    };
    for (start, ready) in [
        (&["--feature", "8"][..], "feature/8"),
        (&["--prompt", "0", "--metric", "act_size", "--pos", "5"], "prompt/0/act_size/5"),
    ] {
        let output = compute("export", &args(start)).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let browser = Browser::start().unwrap();
        browser.open(&format!("file://{}", page.display())).unwrap();
        wait_for(&browser, ready).unwrap();
        browser.eval::<serde_json::Value>("location.hash = '#/feature/9'").unwrap();
        wait_for(&browser, "feature/9").unwrap();
        assert!(browser.text(".chooser-count").unwrap().contains("of 36 features"));
        browser.finish().unwrap();
    }
    let absent = compute("export", &args(&["--feature", "40"])).unwrap();
    assert!(String::from_utf8_lossy(&absent.stderr).contains("feature 40"), "{absent:?}");
}
