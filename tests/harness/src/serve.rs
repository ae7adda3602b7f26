//! A static file server for one folder on this machine, as simple hosts serve it.
//!
//! It answers `GET` and `HEAD`, single byte ranges (a bundle in one file is opened by range), gzips what such hosts gzip,
//! never leaves its folder, and tells browsers to cache nothing, so a rebuilt page is the page seen. It listens on
//! 127.0.0.1 only, answers only requests that name this machine, and bounds the number of connections and their time.

mod compressed;
mod range;
mod request;
mod target;
mod timed;

use compressed::{Compressed, is_compressible};
use range::{Span, parse_range};
use request::Request;
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use thiserror::Error;
use timed::Timed;

/// Bounds on what clients may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections at once. A browser has up to six to one host.
    n_connections: usize,
    /// Time for a request's head; browsers open connections that they never use.
    head_time: Duration,
    /// Time for an answer: a gigabyte over a slow tunnel.
    answer_time: Duration,
}

const LIMITS: Limits =
    Limits { n_connections: 64, head_time: Duration::from_secs(30), answer_time: Duration::from_mins(10) };

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
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `folder` on `port`, or on the next free one; port 0 takes any.
    ///
    /// Every connection has a thread of its own and carries one request, so none can hold up another.
    pub fn start(folder: &Path, port: u16) -> Result<Self, ServeError> {
        Self::start_with(folder, port, LIMITS)
    }

    fn start_with(folder: &Path, port: u16, limits: Limits) -> Result<Self, ServeError> {
        let root = folder
            .canonicalize()
            .map_err(|source| ServeError::NoFolder { path: folder.to_path_buf(), source })?;
        let listener = listen(port)?;
        let address = listener.local_addr().map_err(|error| ServeError::Start(error.to_string()))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let folder = Arc::new(Folder { root, limits, compressed: Compressed::default() });
        let n_open = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                if n_open.fetch_add(1, Ordering::AcqRel) >= limits.n_connections {
                    // Closed without an answer, which a slow client could hold up.
                    n_open.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let (folder, n_open) = (Arc::clone(&folder), Arc::clone(&n_open));
                std::thread::spawn(move || {
                    // A client that went away is no news.
                    folder.answer(&connection).unwrap_or_default();
                    drop(connection);
                    n_open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Ok(Self { address, stopping, thread: Some(thread) })
    }

    /// The page's address, with a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves until the process is ended.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Wakes the listener, which then sees that it is over.
            if TcpStream::connect(self.address).is_ok() {
                thread.join().unwrap_or_default();
            }
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

/// What is served.
struct Folder {
    root: PathBuf,
    limits: Limits,
    compressed: Compressed,
}

impl Folder {
    /// Answers the request of one connection; an error means that the connection broke.
    fn answer(&self, connection: &TcpStream) -> io::Result<()> {
        let Some(request) = Request::read(Timed::new(connection, self.limits.head_time))? else {
            return Ok(());
        };
        let connection = &mut Timed::new(connection, self.limits.answer_time);
        if !request.is_for_this_machine() {
            return refuse(connection, "421 Misdirected Request", "");
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return refuse(connection, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
        }
        let path = target::resolve(&self.root, &request.target);
        let Some((mut file, path)) = path.and_then(|path| Some((File::open(&path).ok()?, path))) else {
            return self.not_found(connection, &request);
        };
        let mime_type = target::mime_type(&path);
        let mut head = format!("Content-Type: {mime_type}\r\nAccept-Ranges: bytes\r\n");
        if is_compressible(mime_type) {
            head.push_str("Vary: Accept-Encoding\r\n");
            // A range counts the bytes of the file as it is.
            if request.takes_gzip && request.range.is_none() {
                let bytes = self.compressed.of(&path, &mut file)?;
                head.push_str("Content-Encoding: gzip\r\n");
                send_head(connection, "200 OK", bytes.len() as u64, &head)?;
                return if request.method == "GET" { connection.write_all(&bytes) } else { Ok(()) };
            }
        }
        let n_bytes = file.metadata()?.len();
        let (status, start, end) = match parse_range(request.range.as_deref(), n_bytes) {
            Span::Whole => ("200 OK", 0, n_bytes),
            Span::Part { start, end } => ("206 Partial Content", start, end),
            Span::Outside => {
                let content_range = format!("Content-Range: bytes */{n_bytes}\r\n");
                return refuse(connection, "416 Range Not Satisfiable", &content_range);
            }
        };
        if status.starts_with("206") {
            head.extend(["Content-Range: bytes ", &format!("{start}-{}/{n_bytes}", end - 1), "\r\n"]);
        }
        send_head(connection, status, end - start, &head)?;
        if request.method == "GET" {
            file.seek(SeekFrom::Start(start))?;
            io::copy(&mut file.take(end - start), connection)?;
        }
        Ok(())
    }
}

impl Folder {
    /// Says that there is no file, with the folder's own `404.html` where it has one.
    fn not_found(&self, connection: &mut Timed<'_>, request: &Request) -> io::Result<()> {
        let page = std::fs::read(self.root.join("404.html")).unwrap_or_default();
        let kind = if page.is_empty() { "" } else { "Content-Type: text/html; charset=utf-8\r\n" };
        send_head(connection, "404 Not Found", page.len() as u64, kind)?;
        if request.method == "GET" { connection.write_all(&page) } else { Ok(()) }
    }
}

/// Says why there is no file.
fn refuse(connection: &mut Timed<'_>, status: &str, extra: &str) -> io::Result<()> {
    send_head(connection, status, 0, extra)
}

/// Sends a status and headers; `extra` is whole header lines.
fn send_head(connection: &mut Timed<'_>, status: &str, n_bytes: u64, extra: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {n_bytes}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n{extra}\r\n"
    );
    connection.write_all(head.as_bytes())
}

#[cfg(test)]
mod tests;
