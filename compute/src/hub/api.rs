//! The hub's interface: what a repository holds, and its files, in parts where a transfer was broken off.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions},
    io::{IsTerminal as _, Read, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;
use ureq::{Agent, Body, config::RedirectAuthHeaders, http::Response};

use super::{
    ArtifactKind,
    cache::{self, CacheFolder},
    is_quiet,
    name::Name,
    repository::RemoteFile,
};

const ENDPOINT: &str = "https://huggingface.co";
/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(20);
/// Until the answer begins.
const ANSWER: Duration = Duration::from_mins(1);
/// Times that a broken transfer is taken up again.
const TRIES: usize = 5;
/// Lists of repositories with tens of thousands of files take some MB.
const MAX_LIST_BYTES: u64 = 256 << 20;
/// Files from this size on have a bar, in bytes.
const SHOWN_BYTES: u64 = 20 << 20;

/// The hub's interface to one repository.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    name: Name,
    what: ArtifactKind,
    endpoint: String,
    token: Option<String>,
}

/// What the hub says of a repository.
#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Api {
    /// Nothing is asked yet. A build without the hub fails here.
    #[expect(clippy::unnecessary_wraps, reason = "a build without the hub fails here")]
    pub fn new(name: &Name, what: ArtifactKind) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("sae-vis/", env!("CARGO_PKG_VERSION")))
            .build();
        let endpoint = env::var("HF_ENDPOINT").ok().filter(|e| !e.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| ENDPOINT.to_owned()).trim_end_matches('/').to_owned();
        Ok(Self { agent: config.into(), name: name.clone(), what, endpoint, token: token() })
    }

    /// The commit that the revision stands for, and all files.
    pub fn list(&self) -> Result<(String, BTreeMap<String, RemoteFile>)> {
        let kind = if self.what == ArtifactKind::Data { "datasets" } else { "models" };
        let (repo, revision) = (&self.name.repo, encoded(&self.name.revision).replace('/', "%2F"));
        let url = format!("{}/api/{kind}/{repo}/revision/{revision}", self.endpoint);
        let mut answer = self.get(&format!("{url}?blobs=true"), 0)?;
        // Mirrors may not know how to tell sizes.
        if answer.status() == 404 || answer.status() == 400 {
            answer = self.get(&url, 0)?;
        }
        self.check(&answer)?;
        let body = answer.into_body().into_reader().take(MAX_LIST_BYTES);
        let info: Info = serde_json::from_reader(std::io::BufReader::new(body))
            .context("the hub's list of files is not understood")?;
        let listed = |sibling: Sibling| {
            let (sha256, size) = sibling.lfs.map_or((None, None), |lfs| (lfs.sha256, lfs.size));
            (sibling.rfilename, RemoteFile { bytes: size.or(sibling.size), blob: sha256.or(sibling.blob_id) })
        };
        Ok((info.sha, info.siblings.into_iter().map(listed).collect()))
    }

    /// The same; `None` where there is no such repository, or none that the token may read.
    pub fn list_if_there(&self) -> Result<Option<(String, BTreeMap<String, RemoteFile>)>> {
        let answer = self.get(&format!("{}/api/datasets/{}", self.endpoint, self.name.repo), 0)?;
        // A repository that may not be read is not told from one that is not there.
        if [401, 403, 404].contains(&answer.status().as_u16()) {
            return Ok(None);
        }
        self.check(&answer)?;
        self.list().map(Some)
    }

    /// Fails where nothing says who asks.
    pub fn check_token(&self) -> Result<()> {
        ensure!(
            self.token.is_some(),
            "publishing needs a token of the hub that may write: set HF_TOKEN, or log in"
        );
        Ok(())
    }

    /// The repository, `owner/name`.
    pub fn repo(&self) -> &str {
        &self.name.repo
    }

    /// What asks.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// A small file of the branch as text.
    pub fn text(&self, path: &str) -> Result<String> {
        let (repo, revision) = (&self.name.repo, encoded(&self.name.revision));
        let url = format!("{}/datasets/{repo}/resolve/{revision}/{}", self.endpoint, encoded(path));
        let answer = self.get(&url, 0)?;
        self.check(&answer)?;
        let mut text = String::new();
        answer.into_body().into_reader().take(MAX_LIST_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Creates a repository; one that is there already is fine.
    pub fn create(&self, body: &Value) -> Result<()> {
        let url = format!("{}/api/repos/create", self.endpoint);
        let answer = self.send_json(&url, "application/json", body.to_string().as_bytes())?;
        if answer.status() == 409 { Ok(()) } else { self.check_written(answer).map(drop) }
    }

    /// Posts to a path of the hub, and gives its answer.
    pub fn post_to(&self, path: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.post(&format!("{}{path}", self.endpoint), kind, body)
    }

    /// Posts to an address of the hub, and gives its answer.
    pub fn post(&self, url: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>> {
        let answer = self.send_json(url, kind, body)?;
        self.check_written(answer)
    }

    fn send_json(&self, url: &str, kind: &str, body: &[u8]) -> Result<Response<Body>> {
        let mut request = self.agent.post(url).header("Content-Type", kind).header("Accept", kind);
        // The token is the hub's alone, whatever address it names.
        if let Some(token) = self.token.as_ref().filter(|_| url.starts_with(&self.endpoint)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.send(body).map_err(|error| anyhow!("{}: {error}", self.endpoint))
    }

    /// The answer's bytes, where the hub did what was asked.
    fn check_written(&self, answer: Response<Body>) -> Result<Vec<u8>> {
        let status = answer.status();
        let mut body = Vec::new();
        answer.into_body().into_reader().take(MAX_LIST_BYTES).read_to_end(&mut body)?;
        let hint = match status.as_u16() {
            200..=299 => return Ok(body),
            401 | 403 => ": the token must be allowed to write there",
            412 | 409 => ": the repository was changed meanwhile: try again",
            429 => ": too many requests: wait, and try again",
            _ => "",
        };
        let said: Option<Value> = serde_json::from_slice(&body).ok();
        let said = said.as_ref().and_then(|said| said["error"].as_str()).unwrap_or_default();
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        bail!("{} answers {status} for {}{said}{hint}", self.endpoint, self.name.repo)
    }

    /// Puts a file into the cache. What an earlier try has fetched of it is kept.
    pub fn fetch(&self, file: &str, listed: &RemoteFile, commit: &str, cached: &CacheFolder) -> Result<()> {
        let mut broken = None;
        for _ in 0..TRIES {
            match self.try_to_fetch(file, listed, commit, cached) {
                Ok(()) => return Ok(()),
                // Only what the network does is worth another try.
                Err(error) if error.downcast_ref::<std::io::Error>().is_some() => broken = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(broken.unwrap_or_else(|| anyhow!("the transfer broke off")))
    }

    fn try_to_fetch(
        &self,
        file: &str,
        listed: &RemoteFile,
        commit: &str,
        cached: &CacheFolder,
    ) -> Result<()> {
        let kind = if self.what == ArtifactKind::Data { "datasets/" } else { "" };
        let (repo, revision) = (&self.name.repo, encoded(&self.name.revision));
        let url = format!("{}/{kind}{repo}/resolve/{revision}/{}", self.endpoint, encoded(file));
        // Where the hub does not say what the bytes are called, the commit and the path name them.
        let blob = listed.blob.clone().unwrap_or_else(|| format!("{commit}-{}", file.replace('/', "--")));
        ensure!(
            !blob.contains(['/', '\\']) && !blob.starts_with('.'),
            "the hub calls the file's bytes {blob:?}"
        );
        let (whole, partial) = (cached.blob(&blob), cached.blob(&format!("{blob}.incomplete")));
        whole.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut part = OpenOptions::new().create(true).append(true).open(&partial)?;
        // Another process may be fetching the same file.
        part.lock()?;
        if !whole.exists() {
            let begun = part.metadata()?.len();
            let answer = self.get(&url, begun)?;
            if answer.status() == 416 && listed.bytes != Some(begun) {
                part.set_len(0)?;
                bail!("what was fetched before does not fit: try again");
            }
            if answer.status() != 416 {
                self.check(&answer)?;
                self.check_commit(&answer, commit)?;
                receive(answer, &mut part, begun, listed.bytes)?;
            }
            check_bytes(&partial, &blob, begun > 0)?;
            fs::rename(&partial, &whole)?;
        } else if part.metadata()?.len() == 0 {
            fs::remove_file(&partial).unwrap_or_default();
        }
        Ok(cached.link(commit, file, &blob)?)
    }

    /// - `begun`: bytes that are here already
    fn get(&self, url: &str, begun: u64) -> Result<Response<Body>> {
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if begun > 0 {
            request = request.header("Range", format!("bytes={begun}-"));
        }
        request.call().map_err(|error| anyhow!("{}: {error}", self.endpoint))
    }

    fn check(&self, answer: &Response<Body>) -> Result<()> {
        let hint = match answer.status().as_u16() {
            200..=299 => return Ok(()),
            401 | 403 => ": accept the terms on the repository's page, and set HF_TOKEN",
            404 => ": no such repository or revision, or a private one without HF_TOKEN",
            429 => ": too many requests: wait, or set HF_TOKEN",
            _ => "",
        };
        bail!("{} answers {} for {}{hint}", self.endpoint, answer.status(), self.name.repo)
    }

    /// A branch may move between the list and the file.
    fn check_commit(&self, answer: &Response<Body>, commit: &str) -> Result<()> {
        let told = answer.headers().get("x-repo-commit").and_then(|value| value.to_str().ok());
        let same = told.is_none_or(|told| told == commit);
        ensure!(same, "{} was changed meanwhile: try again", self.name.repo);
        Ok(())
    }
}

/// Appends an answer's bytes to what was fetched before.
fn receive(answer: Response<Body>, part: &mut File, begun: u64, size: Option<u64>) -> Result<()> {
    let begun = if answer.status() == 206 { begun } else { 0 };
    part.set_len(begun)?;
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let of_range = header("content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok());
    let of_length = header("content-length").and_then(|n| n.parse::<u64>().ok()).map(|n| begun + n);
    let size: Option<u64> = size.or(of_range).or(of_length);
    let bar = bar(size.unwrap_or_default());
    bar.set_position(begun);
    let mut body = answer.into_body().into_reader();
    let mut piece = vec![0; 1 << 16];
    let mut n = begun;
    loop {
        let read = body.read(&mut piece)?;
        if read == 0 {
            break;
        }
        part.write_all(&piece[..read])?;
        n += read as u64;
        bar.set_position(n);
    }
    bar.finish_and_clear();
    part.sync_all()?;
    if let Some(size) = size
        && n != size
    {
        let reason = format!("the transfer broke off: {n} of {size} bytes came");
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, reason).into());
    }
    Ok(())
}

/// A resumed file is checked, where its name is the hash of its bytes: parts of two versions must not be joined.
fn check_bytes(path: &Path, blob: &str, resumed: bool) -> Result<()> {
    use sha2::{Digest as _, Sha256};
    const SHA256_DIGITS: usize = 64;
    if !resumed || blob.len() != SHA256_DIGITS {
        return Ok(());
    }
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hash)?;
    if format!("{:x}", hash.finalize()) != blob {
        fs::remove_file(path)?;
        bail!("its bytes are not those that the hub lists: try again");
    }
    Ok(())
}

/// The token of the environment, or the one that a login has kept.
fn token() -> Option<String> {
    let of_file = || {
        let named = env::var_os("HF_TOKEN_PATH").filter(|path| !path.is_empty()).map(Into::into);
        fs::read_to_string(named.or_else(|| Some(cache::home()?.join("token")))?).ok()
    };
    let token = env::var("HF_TOKEN").ok().filter(|token| !token.trim().is_empty()).or_else(of_file)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// A path as it stands in an address.
fn encoded(path: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    /// What no path may hold as it is, and the sign that encodes it.
    const NOT_IN_PATHS: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    utf8_percent_encode(path, NOT_IN_PATHS).to_string()
}

/// A bar on a terminal for a large file.
fn bar(size: u64) -> ProgressBar {
    if is_quiet() || size < SHOWN_BYTES || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
