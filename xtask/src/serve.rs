//! A static file server for one folder on this machine, as simple hosts serve it.
//!
//! It answers `GET` and `HEAD`, single byte ranges (a bundle in one file is opened by range), gzips what such hosts gzip,
//! never leaves its folder, and tells browsers to cache nothing, so a rebuilt page is the page seen. It listens on
//! 127.0.0.1 only.

mod compressed;
mod range;
mod request;
mod target;

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
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use thiserror::Error;

/// How long a connection may stay silent; browsers open some that they never use.
const SILENCE: Duration = Duration::from_secs(30);

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
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves `folder` on `port`, or on the next free one; port 0 takes any.
    ///
    /// Every connection has a thread of its own and carries one request, so none can hold up another.
    pub fn start(folder: &Path, port: u16) -> Result<Self, ServeError> {
        let root = folder
            .canonicalize()
            .map_err(|source| ServeError::NoFolder { path: folder.to_path_buf(), source })?;
        let listener = listen(port)?;
        let address = listener.local_addr().map_err(|error| ServeError::Start(error.to_string()))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let folder = Arc::new(Folder { root, compressed: Compressed::default() });
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let folder = Arc::clone(&folder);
                // A reader that went away is no news.
                std::thread::spawn(move || folder.answer(&connection).unwrap_or_default());
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

impl Drop for Served {
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
    compressed: Compressed,
}

impl Folder {
    /// Answers the request of one connection; an error means that the connection broke.
    fn answer(&self, mut connection: &TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(SILENCE))?;
        let Some(request) = Request::read(connection)? else { return Ok(()) };
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return refuse(connection, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
        }
        let path = target::resolve(&self.root, &request.target);
        let Some((mut file, path)) = path.and_then(|path| Some((File::open(&path).ok()?, path))) else {
            return refuse(connection, "404 Not Found", "");
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
            io::copy(&mut file.take(end - start), &mut connection)?;
        }
        Ok(())
    }
}

/// Says why there is no file.
fn refuse(connection: &TcpStream, status: &str, extra: &str) -> io::Result<()> {
    send_head(connection, status, 0, extra)
}

/// Sends a status and headers; `extra` is whole header lines.
fn send_head(mut connection: &TcpStream, status: &str, n_bytes: u64, extra: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {n_bytes}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n{extra}\r\n"
    );
    connection.write_all(head.as_bytes())
}

#[cfg(test)]
mod tests;
