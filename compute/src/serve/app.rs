//! What is answered to each request.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Result, bail};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    http::uri::Authority,
};

use site::Page;

use super::{Live, Overlay, content::content_type, live::Refusal, site_files::SiteFiles};

/// Length of a prompt in bytes, at most.
const MAX_PROMPT: usize = 64 << 10;

type Answer = Response<Full<Bytes>>;

/// What is shown.
#[derive(Debug)]
pub enum Shown {
    /// A bundle, and what answers prompts.
    Bundle(Box<Overlay>, Option<Live>),
    /// The bundles of a site.
    Site(SiteFiles),
}

/// A page, and what it shows.
#[derive(Debug)]
pub struct App {
    token: String,
    page: Page,
    shown: Mutex<Shown>,
}

impl App {
    /// Everything lies below `/TOKEN/`.
    pub fn new(token: String, page: Page, shown: Shown) -> Self {
        Self { token, page, shown: Mutex::new(shown) }
    }

    /// Where everything lies.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Answers a request. What another page or another host name sends is refused.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let mut answer = if is_ours(request.headers()) {
            self.route(request).await
        } else {
            said(
                StatusCode::FORBIDDEN,
                "this server answers its own page alone, by the address that it printed",
            )
        };
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address holds the token.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }

    async fn route(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let inside =
            path.strip_prefix('/').and_then(|path| path.strip_prefix(&self.token)?.strip_prefix('/'));
        match (request.method(), inside) {
            (&Method::GET, Some(path)) => match path.split_once('/') {
                Some(("bundle" | "bundles", path)) => self.file_shown(path.to_owned()).await,
                _ => self.file_of_page(path),
            },
            (&Method::POST, Some("prompts")) => self.prompt(request.into_body()).await,
            (_, None) => {
                said(StatusCode::NOT_FOUND, "no such page: open the address that the server printed")
            }
            _ => said(
                StatusCode::METHOD_NOT_ALLOWED,
                "files are read by GET, prompts sent to `prompts` by POST",
            ),
        }
    }

    fn file_of_page(&self, name: &str) -> Answer {
        let name = if name.is_empty() { "index.html" } else { name };
        match self.page.files().get(name) {
            Some(bytes) => found(content_type(name), bytes.clone()),
            None => said(StatusCode::NOT_FOUND, "no such file"),
        }
    }

    async fn file_shown(self: Arc<Self>, path: String) -> Answer {
        let read = move || match &*self.shown() {
            Shown::Bundle(overlay, _) => overlay.bytes(&path),
            Shown::Site(site) => site.bytes(&path),
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(bytes)) => found("application/octet-stream", bytes),
            Ok(Err(error)) => said(StatusCode::NOT_FOUND, format!("{error:#}")),
            Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    async fn prompt(&self, body: Incoming) -> Answer {
        let live = match &*self.shown() {
            Shown::Bundle(_, live) => live.clone(),
            Shown::Site(_) => None,
        };
        let Some(live) = live else {
            return said(
                StatusCode::NOT_FOUND,
                "this server answers no prompts: start it with --model and --sae",
            );
        };
        let bytes = match Limited::new(body, MAX_PROMPT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let limit = format!("the prompt is longer than {MAX_PROMPT} bytes");
                return said(StatusCode::PAYLOAD_TOO_LARGE, limit);
            }
            Err(error) => return said(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let Ok(text) = String::from_utf8(bytes.to_vec()) else {
            return said(StatusCode::BAD_REQUEST, "the prompt is not UTF-8");
        };
        let known = self.with_overlay(|overlay| Ok(overlay.number_of(&text)));
        if let Ok(Some(number)) = known {
            return said(StatusCode::OK, number.to_string());
        }
        let added = match live.compute(text).await {
            // The same may have been asked twice.
            Ok(prompt) => self.with_overlay(|overlay| {
                overlay.number_of(&prompt.text).map_or_else(|| overlay.add(&prompt), Ok)
            }),
            Err(Refusal::Busy) => {
                return said(StatusCode::SERVICE_UNAVAILABLE, "many prompts wait: try again in a moment");
            }
            Err(Refusal::Failed(error)) => Err(error),
        };
        match added {
            Ok(number) => said(StatusCode::OK, number.to_string()),
            Err(error) => said(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")),
        }
    }

    fn with_overlay<T>(&self, act: impl FnOnce(&mut Overlay) -> Result<T>) -> Result<T> {
        match &mut *self.shown() {
            Shown::Bundle(overlay, _) => act(overlay),
            Shown::Site(_) => bail!("prompts are answered for one bundle"),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request is for this machine's own name, at whatever port (a tunnel may have another), and sent by no page or
/// by one of the same host and port.
fn is_ours(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let authority = host.parse::<Authority>();
    let is_loopback =
        authority.is_ok_and(|authority| ["127.0.0.1", "localhost", "[::1]"].contains(&authority.host()));
    let same = |origin: &HeaderValue| origin.as_bytes().strip_prefix(b"http://") == Some(host.as_bytes());
    is_loopback && headers.get(header::ORIGIN).is_none_or(same)
}

fn found(kind: &'static str, bytes: Vec<u8>) -> Answer {
    with_type(StatusCode::OK, kind, bytes)
}

fn said(status: StatusCode, text: impl Into<String>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", text.into().into_bytes())
}

fn with_type(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(bytes.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
