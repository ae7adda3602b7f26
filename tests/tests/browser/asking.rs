//! `compute serve`, asked from the page.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use tests::{browser::Browser, built, page::wait_for, run::demo};

const ENTER: &str = "\u{e007}";

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn serve() -> (Server, String) {
    let mut command = Command::new(built::compute().unwrap());
    command.arg("serve").arg(built::bundle().unwrap()).arg("--page").arg(built::page().unwrap());
    command.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-mlp-a")).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let url = said.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    (Server(child), url)
}

#[test]
fn a_prompt_that_is_typed_into_the_page_is_answered_by_the_server() {
    let (_server, url) = serve();
    let browser = Browser::start().unwrap();
    browser.open(&format!("{url}#/feature/8")).unwrap();
    wait_for(&browser, "feature/8").unwrap();
    let n_prompts = "fetch('bundle/manifest.json').then(r => r.json()).then(m => m.n_prompts)";
    let n: u32 = browser.eval(n_prompts).unwrap();
    browser.click("[data-ask]").unwrap();
    browser.type_keys("import numpy as np").unwrap();
    browser.type_keys(ENTER).unwrap();
    let shown = format!("document.querySelector('main[data-ready^=\"prompt/{n}/\"]')");
    browser.wait("the prompt's page", &shown).unwrap();
    let text: String = browser.eval("document.querySelector('.prompt-text').textContent").unwrap();
    assert!(text.contains("numpy"), "{text}");
    assert_eq!(browser.eval::<u32>(n_prompts).unwrap(), n + 1);
    // By key, and again: a prompt that is there is shown at once.
    browser.type_keys("a").unwrap();
    browser.wait("the dialog", "document.getElementById('ask').open").unwrap();
    browser.set("#ask-text", "import numpy as np").unwrap();
    browser.click("[data-ask-send]").unwrap();
    browser.wait("the dialog to close", "!document.getElementById('ask').open").unwrap();
    assert_eq!(browser.eval::<u32>(n_prompts).unwrap(), n + 1);
    browser
        .wait("the prompt again", "document.querySelector('.prompt-text')?.textContent.includes('numpy')")
        .unwrap();
    browser.finish().unwrap();
}
