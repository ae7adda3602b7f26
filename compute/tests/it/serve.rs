//! `compute serve`: who gets an answer, and what it is.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use compute::bundle::Bundle;
use shared::{manifest::Manifest, paths, prompt::Prompt};
use tempfile::TempDir;

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

/// A server with a bundle of its own, ended when the value is dropped.
struct Served {
    child: Child,
    folder: TempDir,
    host: String,
    token: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Served {
    fn start(weights: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let (bundle, page) = (folder.path().join("bundle"), folder.path().join("page"));
        fs::create_dir(&page).unwrap();
        fs::write(page.join("index.html"), "<!doctype html>\n<html lang=\"en\">\n</html>\n").unwrap();
        run(&bundle, &["a few words"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
        command.arg("serve").arg(&bundle).arg("--page").arg(&page);
        if weights {
            command.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-resid"));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let address =
            said.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap().to_owned();
        let (host, token) = address.trim_end_matches('/').split_once('/').unwrap();
        Self { child, folder, host: host.to_owned(), token: token.to_owned() }
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    /// Sends a request with these lines after its first, and gives back status and body.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let given_host = headers.iter().any(|(name, _)| *name == "Host");
        let host = (!given_host).then_some(("Host", self.host.as_str()));
        let headers: String = headers
            .iter()
            .copied()
            .chain(host)
            .map(|(name, value)| name.to_owned() + ": " + value + "\r\n")
            .collect();
        let n = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {n}\r\n{headers}");
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses a body need not read it to its end.
        stream.write_all(body).unwrap_or_default();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_default();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.ask("GET", &format!("/{}/{path}", self.token), &[], &[])
    }

    fn prompt(&self, text: &[u8]) -> (u16, String) {
        let (status, body) = self.ask("POST", &format!("/{}/prompts", self.token), &[], text);
        (status, String::from_utf8(body).unwrap())
    }
}

/// A small bundle with these prompts.
fn run(out: &Path, prompts: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args(["run", "--sequences", "8", "--features", "0..8", "-q", "--model"]).arg(demo("model"));
    command.arg("--sae").arg(demo("sae-resid")).arg("--data").arg(demo("tokens.npy")).arg("--out").arg(out);
    for prompt in prompts {
        command.args(["--prompt", prompt]);
    }
    assert!(command.status().unwrap().success());
}

#[test]
fn a_prompt_is_answered_as_compute_prompt_answers_it_and_nothing_is_written() {
    let served = Served::start(true);
    let before = crate::tiny::files(&served.bundle());
    assert_eq!(served.prompt(b"a few words"), (200, "0".to_owned()), "it is there already");
    assert_eq!(served.prompt("def f(x):\n    return".as_bytes()), (200, "1".to_owned()));
    assert_eq!(served.prompt("def f(x):\n    return".as_bytes()), (200, "1".to_owned()), "asked again");
    let manifest = Manifest::from_json(&served.get("bundle/manifest.json").1).unwrap();
    assert_eq!(manifest.n_prompts, 2);
    let bytes = served.get("bundle/prompts/0001.bin").1;
    let prompt: Prompt = shared::bundle::decode(&manifest, &paths::prompt(1), &bytes).unwrap();
    assert_eq!(before, crate::tiny::files(&served.bundle()));
    // The same by the command that keeps it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command
        .arg("prompt")
        .arg(served.bundle())
        .arg("--model")
        .arg(demo("model"))
        .arg("--sae")
        .arg(demo("sae-resid"));
    assert!(command.args(["-q", "--prompt", "def f(x):\n    return"]).status().unwrap().success());
    let kept: Prompt = Bundle::open(&served.bundle()).unwrap().file(&paths::prompt(1)).unwrap();
    assert_eq!(kept, prompt);
    assert!(String::from_utf8(served.get("").1).unwrap().contains("<html lang=\"en\" data-live>"));
}

#[test]
fn only_the_page_that_was_opened_is_answered() {
    let served = Served::start(true);
    let prompts = format!("/{}/prompts", served.token);
    let status = |headers: &[(&str, &str)]| served.ask("POST", &prompts, headers, b"a few words").0;
    assert_eq!(status(&[]), 200);
    assert_eq!(status(&[("Origin", &format!("http://{}", served.host))]), 200);
    for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"] {
        assert_eq!(status(&[("Origin", origin)]), 403, "{origin}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
        assert_eq!(status(&[("Host", host)]), 403, "{host}");
    }
    // A tunnel has a port of its own.
    assert_eq!(status(&[("Host", "localhost:9999"), ("Origin", "http://localhost:9999")]), 200);
    for path in
        ["/", "/prompts", "/index.html", "/00000000000000000000000000000000/", "/bundle/manifest.json"]
    {
        assert_eq!(served.ask("GET", path, &[], &[]).0, 404, "{path}");
    }
    for path in [
        "../../etc/passwd",
        "bundle/../../../etc/passwd",
        "bundle/%2e%2e/%2e%2e/secret",
        "bundle//etc/passwd",
    ] {
        assert_eq!(served.get(path).0, 404, "{path}");
    }
    assert_eq!(served.prompt(&vec![b'a'; 1 << 20]).0, 413);
    assert_eq!(served.prompt(&[0xff, 0xfe]).0, 400);
    let (status, said) = served.prompt("word ".repeat(5000).as_bytes());
    assert!(status == 422 && said.contains("tokens, the model's context is"), "{status} {said}");
    assert_eq!(served.prompt(b"").0, 422);
    assert_eq!(served.get("bundle/manifest.json").0, 200, "after all that it still answers");
}

#[test]
fn many_at_once_are_answered_or_told_to_wait() {
    let served = Served::start(true);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let served = &served;
        let asked: Vec<_> = (0..200)
            .map(|i| scope.spawn(move || served.prompt(format!("prompt {i} of many").as_bytes()).0))
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    assert!(answers.contains(&200), "{answers:?}");
    assert_eq!(served.prompt(b"and one more").0, 200);
}

#[test]
fn without_weights_the_bundle_is_served_alone() {
    let served = Served::start(false);
    let (status, said) = served.prompt(b"a few words");
    assert!(status == 404 && said.contains("start it with --model and --sae"), "{status} {said}");
    assert!(!String::from_utf8(served.get("").1).unwrap().contains("data-live"));
    // Weights that the bundle was not computed from.
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.arg("serve").arg(served.bundle()).arg("--page").arg(served.folder.path().join("page"));
    let wrong =
        command.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-mlp-a")).output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && said.contains("not the SAE that the bundle was computed from"),
        "{said}"
    );
}
