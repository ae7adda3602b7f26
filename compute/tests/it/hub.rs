//! The hub, played by a server on this machine: what is fetched, what is kept, and what is said when it is not there.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// Serves one repository; remembers what was asked for.
struct Hub {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn serve(repo: &'static str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (files.clone(), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, repo, &files, &log));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, repo: &str, files: &BTreeMap<String, Vec<u8>>, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let header = |name: &str| {
            lines.iter().find_map(|l| {
                let (key, value) = l.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        log.lock()
            .unwrap()
            .push(format!("{path} {}", header("authorization").unwrap_or_default()).trim().to_owned());
        let (status, extra, body) = if path.starts_with(&format!("/api/models/{repo}")) {
            let siblings: Vec<_> = files.keys().map(|f| serde_json::json!({ "rfilename": f })).collect();
            let info = serde_json::json!({ "siblings": siblings, "sha": COMMIT });
            ("200 OK", String::new(), info.to_string().into_bytes())
        } else if let Some(bytes) =
            path.strip_prefix(&format!("/{repo}/resolve/main/")).and_then(|f| files.get(f))
        {
            let range = header("range").unwrap_or_default();
            let (start, end) = range.trim_start_matches("bytes=").split_once('-').unwrap_or(("0", ""));
            let start: usize = start.parse().unwrap_or(0);
            let end = end.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
            let last = end.saturating_sub(1);
            let extra = format!(
                "ETag: \"{:x}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {start}-{last}/{}\r\n",
                bytes.len(),
                bytes.len()
            );
            ("206 Partial Content", extra, bytes[start..end].to_vec())
        } else {
            ("404 Not Found", String::new(), b"Entry not found".to_vec())
        };
        let head = format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// An SAE in a folder of a repository, with files that nobody needs.
fn repository() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::from([("README.md".to_owned(), b"hello".to_vec())]);
    for entry in fs::read_dir(fixture("saes/standard")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "expected.safetensors" {
            files.insert(format!("layer_0/width_64/{name}"), fs::read(&path).unwrap());
        }
    }
    files
}

fn dump(sae: &str, home: &Path, endpoint: &str, offline: bool) -> (Output, PathBuf) {
    let out = home.join("out.safetensors");
    let acts = format!("{}:x", fixture("saes/standard/expected.safetensors").display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command
        .args(["dump", "features", "--sae", sae, "--acts", &acts, "--out"])
        .arg(&out)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", "hf_secret")
        .env_remove("HF_HUB_OFFLINE");
    if offline {
        command.env("HF_HUB_OFFLINE", "1");
    }
    (command.output().unwrap(), out)
}

#[test]
fn an_sae_is_fetched_once_and_then_found_in_the_cache() {
    let home = TempDir::new().unwrap();
    let hub = Hub::serve("owner/saes", repository());
    let id = "owner/saes:layer_0/width_64";
    let (done, out) = dump(id, home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = fs::read(&out).unwrap();
    let asked = hub.asked();
    assert!(asked.iter().all(|a| a.ends_with("Bearer hf_secret")), "{asked:?}");
    assert!(
        asked.iter().any(|a| a.contains("/owner/saes/resolve/main/layer_0/width_64/cfg.json")),
        "{asked:?}"
    );
    assert!(!asked.iter().any(|a| a.contains("README")), "{asked:?}");
    // With the hub asked only for its list, without the hub, and told to stay offline: the same numbers.
    for (endpoint, offline) in
        [(hub.address.as_str(), false), ("http://127.0.0.1:9", false), ("http://127.0.0.1:9", true)]
    {
        fs::remove_file(&out).unwrap();
        let (done, out) = dump(id, home.path(), endpoint, offline);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(fs::read(out).unwrap(), expected);
    }
    assert_eq!(hub.asked().len(), asked.len() + 1, "fetched again");
}

#[test]
fn a_weight_file_that_is_named_brings_its_config() {
    // Without cfg.json it would be taken for a plain ReLU SAE, whose activations are others.
    let mut files = BTreeMap::new();
    for name in ["cfg.json", "sae_weights.safetensors"] {
        files.insert(format!("topk/{name}"), fs::read(fixture("saes/topk").join(name)).unwrap());
    }
    let hub = Hub::serve("owner/saes", files);
    let home = TempDir::new().unwrap();
    let (done, out) = dump("owner/saes:topk", home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let folder = fs::read(&out).unwrap();
    let home = TempDir::new().unwrap();
    let (done, out) = dump("owner/saes:topk/sae_weights.safetensors", home.path(), &hub.address, false);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read(&out).unwrap(), folder);
}

#[test]
fn what_cannot_be_had_is_named_in_one_line() {
    let hub = Hub::serve("owner/saes", repository());
    let home = TempDir::new().unwrap();
    for (sae, endpoint, offline, said) in [
        ("owner/saes:layer_9", hub.address.as_str(), false, "owner/saes has no layer_9 or layer_9/"),
        ("owner/other", hub.address.as_str(), false, "404"),
        ("owner/saes", "http://127.0.0.1:9", false, "wanted cfg.json and weights"),
        ("owner/saes", "http://127.0.0.1:9", true, "HF_HUB_OFFLINE is set; wanted cfg.json and weights"),
        ("./nowhere", "http://127.0.0.1:9", false, "no such file or folder (./nowhere)"),
    ] {
        let (done, out) = dump(sae, home.path(), endpoint, offline);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && !out.exists());
        assert!(stderr.contains(said) && stderr.trim_end().lines().count() == 1, "{sae}: {stderr}");
        assert!(stderr.contains(sae) && !stderr.contains("hf_secret"), "{stderr}");
    }
}
