//! A hub that is written to, on this machine: repositories, large objects, commits.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The token that may write.
pub const TOKEN: &str = "hf_writer";

/// What the hub holds and how it behaves.
#[derive(Default)]
pub struct State {
    /// Files of the one repository; `None` before it is created.
    pub files: Option<BTreeMap<String, Vec<u8>>>,
    /// Large objects by their SHA-256.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Parts of objects on their way.
    parts: BTreeMap<(String, u64), Vec<u8>>,
    /// Files from this many bytes on are large.
    pub large_from: usize,
    /// Objects are taken in parts of this many bytes.
    pub chunk: Option<usize>,
    /// Bytes of a transfer after which the connection breaks, once or until it is taken back.
    pub breaks: Option<usize>,
    /// Addresses whose answer is another: the beginning of a path, a status, a body.
    pub odd: Vec<(&'static str, u16, &'static str)>,
    pub commits: Vec<Vec<Value>>,
    pub requests: Vec<String>,
    pub private: bool,
}

/// The hub; its repository is `me/features`.
pub struct Hub {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    token: Option<String>,
    body: Vec<u8>,
    /// Whether the whole body came.
    is_whole: bool,
}

impl Hub {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { large_from: 2000, ..State::default() }));
        let (shared, own) = (Arc::clone(&state), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, address) = (Arc::clone(&shared), own.clone());
                std::thread::spawn(move || serve(&stream, &state, &address));
            }
        });
        Self { address, state }
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    /// The repository's files.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|state| state.files.clone().unwrap_or_default())
    }

    /// Requests since the last call that begin so.
    pub fn take_requests(&self, beginning: &str) -> Vec<String> {
        let all = self.with(|state| std::mem::take(&mut state.requests));
        all.into_iter().filter(|request| request.starts_with(beginning)).collect()
    }
}

fn read(reader: &mut BufReader<TcpStream>, breaks: &mut Option<usize>) -> Option<Request> {
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
    let header = |name: &str| {
        let of = |line: &String| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        };
        lines.iter().find_map(of)
    };
    let mut first = lines[0].split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let token = header("authorization").and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()));
    // Stores of large files take no body without its length.
    assert!(header("transfer-encoding").is_none(), "{lines:?}");
    let n: usize = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let is_transfer = method == "PUT";
    let broken = if is_transfer { breaks.take_if(|at| *at < n) } else { None };
    let mut body = vec![0; broken.unwrap_or(n)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, token, body, is_whole: broken.is_none() })
}

fn serve(stream: &TcpStream, state: &Mutex<State>, address: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut breaks = state.lock().unwrap().breaks;
        let before = breaks;
        let Some(request) = read(&mut reader, &mut breaks) else { return };
        if before.is_some() && breaks.is_none() {
            state.lock().unwrap().breaks = None;
        }
        if !request.is_whole {
            stream.shutdown(std::net::Shutdown::Both).unwrap_or_default();
            return;
        }
        let (status, body, tag) = {
            let mut state = state.lock().unwrap();
            state.requests.push(format!("{} {}", request.method, request.path));
            answer(&mut state, &request, address)
        };
        let reason = if status < 300 { "OK" } else { "Refused" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nETag: \"{tag}\"\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn git_blob(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    format!("{:x}", hash.finalize())
}

fn said(status: u16, text: &str) -> (u16, Vec<u8>, String) {
    (status, json!({ "error": text }).to_string().into_bytes(), String::new())
}

fn found(value: &Value) -> (u16, Vec<u8>, String) {
    (200, value.to_string().into_bytes(), String::new())
}

fn answer(state: &mut State, request: &Request, address: &str) -> (u16, Vec<u8>, String) {
    let Request { method, path, body, .. } = request;
    if let Some((_, status, text)) = state.odd.iter().find(|(beginning, ..)| path.starts_with(beginning)) {
        return (*status, text.as_bytes().to_vec(), String::new());
    }
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(rest) = path.strip_prefix("/store/") {
        // Addresses of transfers are good by themselves: the hub's token must not go there.
        assert_eq!(request.token, None, "{path}");
        let (oid, part) = rest.split_once('/').unwrap();
        match part.parse::<u64>() {
            Ok(part) => {
                state.parts.insert((oid.to_owned(), part), body.clone());
            }
            Err(_) => {
                state.objects.insert(oid.to_owned(), body.clone());
            }
        }
        return (200, Vec::new(), sha256(body)[..8].to_owned());
    }
    if request.token.as_deref() != Some(TOKEN) {
        return said(401, "Invalid credentials");
    }
    let exists = state.files.is_some();
    let commit_id = format!("{:040}", state.commits.len());
    match (method.as_str(), path.as_str()) {
        ("POST", "/api/repos/create") => {
            assert_eq!((json["type"].as_str(), json["name"].as_str()), (Some("dataset"), Some("features")));
            assert_eq!(json["organization"], "me");
            if exists {
                return said(409, "You already created this repo");
            }
            state.private = json["private"] == true;
            state.files = Some([(".gitattributes".to_owned(), b"*.bin filter=lfs\n".to_vec())].into());
            found(&json!({ "url": format!("{address}/datasets/me/features") }))
        }
        ("GET", "/api/datasets/me/features") if exists => found(&json!({ "id": "me/features" })),
        ("GET", "/api/datasets/me/features/revision/main?blobs=true") if exists => {
            let files = state.files.as_ref().unwrap();
            let sibling = |(name, bytes): (&String, &Vec<u8>)| {
                let large = state.objects.contains_key(&sha256(bytes));
                let lfs = large.then(|| json!({ "sha256": sha256(bytes), "size": bytes.len() }));
                json!({ "rfilename": name, "size": bytes.len(), "blobId": git_blob(bytes), "lfs": lfs })
            };
            found(&json!({ "sha": commit_id, "siblings": files.iter().map(sibling).collect::<Vec<_>>() }))
        }
        ("POST", "/api/datasets/me/features/preupload/main") if exists => {
            let mode = |file: &Value| {
                let sample = STANDARD.decode(file["sample"].as_str().unwrap()).unwrap();
                let size = file["size"].as_u64().unwrap() as usize;
                assert_eq!(sample.len(), size.min(512));
                let mode = if size >= state.large_from { "lfs" } else { "regular" };
                json!({ "path": file["path"], "uploadMode": mode, "shouldIgnore": false })
            };
            let files = json["files"].as_array().unwrap();
            assert!(files.len() <= 256);
            found(&json!({ "files": files.iter().map(mode).collect::<Vec<_>>() }))
        }
        ("POST", "/datasets/me/features.git/info/lfs/objects/batch") if exists => {
            batch(state, &json, address)
        }
        ("POST", "/complete") => {
            let oid = json["oid"].as_str().unwrap().to_owned();
            let mut whole = Vec::new();
            for part in json["parts"].as_array().unwrap() {
                let bytes = &state.parts[&(oid.clone(), part["partNumber"].as_u64().unwrap())];
                assert_eq!(part["etag"].as_str().unwrap(), format!("\"{}\"", &sha256(bytes)[..8]));
                whole.extend_from_slice(bytes);
            }
            state.objects.insert(oid, whole);
            found(&json!({}))
        }
        ("POST", "/verify") => {
            let object = state.objects.get(json["oid"].as_str().unwrap());
            let right = object.is_some_and(|bytes| {
                bytes.len() as u64 == json["size"].as_u64().unwrap()
                    && sha256(bytes) == json["oid"].as_str().unwrap()
            });
            if right { found(&json!({})) } else { said(404, "no such object") }
        }
        ("POST", "/api/datasets/me/features/commit/main") if exists => commit(state, body, &commit_id),
        ("GET", path) if exists && path.starts_with("/datasets/me/features/resolve/main/") => {
            let file = path.trim_start_matches("/datasets/me/features/resolve/main/");
            match state.files.as_ref().unwrap().get(file) {
                Some(bytes) => (200, bytes.clone(), String::new()),
                None => said(404, "Entry not found"),
            }
        }
        _ => said(404, "Repository not found"),
    }
}

/// Where objects are to be sent.
fn batch(state: &State, json: &Value, address: &str) -> (u16, Vec<u8>, String) {
    assert_eq!((json["operation"].as_str(), json["hash_algo"].as_str()), (Some("upload"), Some("sha256")));
    let object = &json["objects"][0];
    let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap() as usize);
    let mut found_object = object.clone();
    if !state.objects.contains_key(oid) {
        let mut header = serde_json::Map::new();
        let mut href = format!("{address}/store/{oid}/whole");
        if let Some(chunk) = state.chunk.filter(|chunk| *chunk < size) {
            header.insert("chunk_size".to_owned(), chunk.to_string().into());
            for part in 1..=size.div_ceil(chunk) {
                header.insert(part.to_string(), format!("{address}/store/{oid}/{part}").into());
            }
            href = format!("{address}/complete");
        }
        let verify = json!({ "href": format!("{address}/verify") });
        found_object["actions"] = json!({ "upload": { "href": href, "header": header }, "verify": verify });
    }
    found(&json!({ "transfer": "basic", "objects": [found_object] }))
}

fn commit(state: &mut State, body: &[u8], parent: &str) -> (u16, Vec<u8>, String) {
    let lines: Vec<Value> =
        String::from_utf8_lossy(body).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["key"], "header");
    let own = &lines[0]["value"]["parentCommit"];
    if !own.is_null() && own != parent {
        return said(412, "A commit has happened since");
    }
    let files = state.files.as_mut().unwrap();
    for line in &lines[1..] {
        let value = &line["value"];
        let path = value["path"].as_str().unwrap().to_owned();
        match line["key"].as_str().unwrap() {
            "file" => {
                assert_eq!(value["encoding"], "base64");
                files.insert(path, STANDARD.decode(value["content"].as_str().unwrap()).unwrap());
            }
            "lfsFile" => {
                let Some(object) = state.objects.get(value["oid"].as_str().unwrap()) else {
                    return said(400, "an LFS object is missing");
                };
                files.insert(path, object.clone());
            }
            "deletedFile" => assert!(files.remove(&path).is_some(), "{path}"),
            key => panic!("{key}"),
        }
    }
    state.commits.push(lines);
    found(&json!({ "success": true, "commitOid": parent }))
}
