//! A static file server for one folder on this machine, as simple hosts serve it.
//!
//! It answers `GET` and `HEAD`, single byte ranges (a bundle in one file is opened by range), never leaves its
//! folder, and tells browsers to cache nothing, so a rebuilt page is the page seen. It listens on
//! 127.0.0.1 only.

mod range;
mod target;

use range::{Span, parse_range};
use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};
use thiserror::Error;
use tiny_http::{Header, Method, Request, Response, Server};

/// Requests answered at the same time; browsers open six connections to a host.
const N_THREADS: usize = 8;

/// Ports tried after the wanted one.
const N_PORTS: u16 = 20;

/// Why a folder could not be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The folder is not there.
    #[error("nothing to serve ({path})", path = path.display())]
    NoFolder {
        /// The folder asked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No free port in the tried range.
    #[error("ports {first} to {last} of 127.0.0.1 are taken: choose another with --port")]
    NoPort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// The server or one of its threads did not start.
    #[error("could not start the server: {0}")]
    Start(String),
}

/// A folder being served; it stops when dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    server: Stopper,
    threads: Vec<JoinHandle<()>>,
}

/// `tiny_http::Server` has no `Debug`.
struct Stopper(Arc<Server>);

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Served {
    /// Serves `folder` on `port`, or on the next free one; port 0 takes any.
    pub fn start(folder: &Path, port: u16) -> Result<Self, ServeError> {
        let root = folder
            .canonicalize()
            .map_err(|source| ServeError::NoFolder { path: folder.to_path_buf(), source })?;
        let listener = listen(port)?;
        let address = listener.local_addr().map_err(|error| ServeError::Start(error.to_string()))?;
        let server =
            Server::from_listener(listener, None).map_err(|error| ServeError::Start(error.to_string()))?;
        let server = Arc::new(server);
        let mut served = Self { address, server: Stopper(Arc::clone(&server)), threads: Vec::new() };
        for _ in 0..N_THREADS {
            let (server, root) = (Arc::clone(&server), root.clone());
            let thread = std::thread::Builder::new()
                .name("serve".into())
                .spawn(move || {
                    while let Ok(request) = server.recv() {
                        // A reader that went away is no news.
                        answer(request, &root).unwrap_or_default();
                    }
                })
                .map_err(|error| ServeError::Start(error.to_string()))?;
            served.threads.push(thread);
        }
        Ok(served)
    }

    /// The page's address, with a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves until the process is ended.
    pub fn wait(mut self) {
        for thread in std::mem::take(&mut self.threads) {
            thread.join().unwrap_or_default();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        for _ in &self.threads {
            self.server.0.unblock();
        }
        for thread in std::mem::take(&mut self.threads) {
            thread.join().unwrap_or_default();
        }
    }
}

/// The wanted port or one of the next ones.
fn listen(port: u16) -> Result<TcpListener, ServeError> {
    let last = if port == 0 { 0 } else { port.saturating_add(N_PORTS) };
    (port..=last)
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .ok_or(ServeError::NoPort { first: port, last })
}

/// Answers one request; an error means the connection broke.
fn answer(request: Request, root: &Path) -> io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return refuse(request, 405, "only GET and HEAD", header("Allow", "GET, HEAD"));
    }
    let opened = target::resolve(root, request.url()).and_then(|path| Some((File::open(&path).ok()?, path)));
    let Some((mut file, path)) = opened else {
        return refuse(request, 404, "not found", None);
    };
    let n_bytes = file.metadata()?.len();
    let wanted = request.headers().iter().find(|h| h.field.equiv("Range")).map(|h| h.value.as_str());
    match parse_range(wanted, n_bytes) {
        Span::Whole => respond(request, &path, 200, file, n_bytes, None),
        Span::Part { start, end } => {
            file.seek(SeekFrom::Start(start))?;
            let content_range = header("Content-Range", &format!("bytes {start}-{}/{n_bytes}", end - 1));
            respond(request, &path, 206, file, end - start, content_range)
        }
        Span::Outside => {
            let content_range = header("Content-Range", &format!("bytes */{n_bytes}"));
            refuse(request, 416, "range outside the file", content_range)
        }
    }
}

/// Sends `n_bytes` of `file` from where it stands.
fn respond(
    request: Request,
    path: &Path,
    status: u16,
    file: File,
    n_bytes: u64,
    content_range: Option<Header>,
) -> io::Result<()> {
    let headers = [
        header("Content-Type", target::mime_type(path)),
        header("Accept-Ranges", "bytes"),
        header("Cache-Control", "no-cache"),
        header("X-Content-Type-Options", "nosniff"),
        content_range,
    ];
    let headers = headers.into_iter().flatten().collect();
    let response = Response::new(status.into(), headers, file.take(n_bytes), Some(n_bytes as usize), None)
        // Always with its length, never in chunks: the viewer shows how much is still to come.
        .with_chunked_threshold(usize::MAX);
    request.respond(response)
}

/// Says why there is no file.
fn refuse(request: Request, status: u16, reason: &str, extra: Option<Header>) -> io::Result<()> {
    let mut response = Response::from_string(format!("{reason}\n")).with_status_code(status);
    if let Some(extra) = extra {
        response.add_header(extra);
    }
    request.respond(response)
}

/// A header; `None` for text that is not ASCII, which none of ours is.
fn header(name: &str, value: &str) -> Option<Header> {
    Header::from_bytes(name, value).ok()
}

#[cfg(test)]
mod tests;
