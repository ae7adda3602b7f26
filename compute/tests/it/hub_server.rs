//! One repository of the hub, served on this machine.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The commit that its branch stands for.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves one repository; remembers what was asked for.
pub struct Hub {
    pub address: String,
    pub asked: Arc<Mutex<Vec<String>>>,
}

/// What is served, and how.
pub struct HubContents {
    /// `owner/name`, after `datasets/` for a data set.
    pub repo: &'static str,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether sizes and hashes are told in the list.
    pub tells_sizes: bool,
    /// Bytes of a file after which the connection breaks, the first time.
    pub breaks_after: Mutex<Option<usize>>,
}

impl Hub {
    pub fn serve(repo: &'static str, files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::with(HubContents { repo, files, tells_sizes: true, breaks_after: Mutex::new(None) })
    }

    pub fn with(served: HubContents) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, served) = (Arc::clone(&asked), Arc::new(served));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, log) = (Arc::clone(&served), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &served, &log));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Files that were asked for, by their paths in the repository.
    pub fn fetched(&self) -> Vec<String> {
        let file = |asked: &String| {
            let (_, file) = asked.split_once("/resolve/")?.1.split_once('/')?;
            Some(file.split(' ').next().unwrap().to_owned())
        };
        let mut files: Vec<String> = self.asked().iter().filter_map(file).collect();
        files.sort();
        files
    }
}

impl HubContents {
    fn list(&self) -> Vec<u8> {
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            if self.tells_sizes {
                let sha256 = format!("{:x}", Sha256::digest(bytes));
                json!({ "rfilename": name, "size": bytes.len(), "blobId": "0", "lfs": { "sha256": sha256, "size": bytes.len() } })
            } else {
                json!({ "rfilename": name })
            }
        };
        let siblings: Vec<Value> = self.files.iter().map(sibling).collect();
        json!({ "siblings": siblings, "sha": COMMIT }).to_string().into_bytes()
    }
}

/// The head of a request: its path and its headers.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    Some((lines[0].split(' ').nth(1)?.to_owned(), lines))
}

fn answer(mut stream: TcpStream, served: &HubContents, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((path, lines)) = request(&mut reader) {
        let header = |name: &str| {
            let value = lines
                .iter()
                .find_map(|l| l.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
            value.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let range = header("range");
        log.lock().unwrap().push(format!("{path} {range} {}", header("authorization")).trim().to_owned());
        let kind = if served.repo.starts_with("datasets/") { "" } else { "models/" };
        let of_revision = |before: String| {
            let rest = path.strip_prefix(&before)?;
            ["main", COMMIT].into_iter().find_map(|revision| rest.strip_prefix(revision))
        };
        let listed = of_revision(format!("/api/{kind}{}/revision/", served.repo));
        let (status, extra, body) = if listed == Some("")
            || listed == Some("?blobs=true") && served.tells_sizes
        {
            ("200 OK", String::new(), served.list())
        } else if let Some(bytes) = of_revision(format!("/{}/resolve/", served.repo))
            .and_then(|file| served.files.get(file.strip_prefix('/')?))
        {
            let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
            let n = bytes.len();
            let extra = format!(
                "X-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {start}-{}/{n}\r\n",
                n.saturating_sub(1)
            );
            let status = if range.is_empty() { "200 OK" } else { "206 Partial Content" };
            (status, extra, bytes[start..].to_vec())
        } else {
            ("404 Not Found", String::new(), b"Entry not found".to_vec())
        };
        let head = format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
        let broken =
            served.breaks_after.lock().unwrap().take_if(|n| *n < body.len() && path.contains("/resolve/"));
        let body = &body[..broken.unwrap_or(body.len())];
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err()
            || broken.is_some()
        {
            stream.shutdown(std::net::Shutdown::Both).unwrap_or_default();
            return;
        }
    }
}
