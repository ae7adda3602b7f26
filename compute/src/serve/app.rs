//! What is answered to each request.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{Live, Overlay, Page, live::Refusal};

/// Length of a prompt in bytes, at most.
const MAX_PROMPT: usize = 64 << 10;

#[derive(Debug)]
struct App {
    page: Page,
    overlay: Mutex<Overlay>,
    live: Option<Live>,
}

/// Everything below `/TOKEN/`; nothing else is there.
pub fn router(token: &str, page: Page, overlay: Overlay, live: Option<Live>) -> Router {
    let app = Arc::new(App { page, overlay: Mutex::new(overlay), live });
    let below = |path: &str| format!("/{token}/{path}");
    Router::new()
        .route(&below(""), get(|State(app): State<Arc<App>>| async move { file_of_page(&app, "") }))
        .route(&below("{name}"), get(file_by_name))
        .route(&below("bundle/{*path}"), get(file_of_bundle))
        .route(&below("prompts"), post(prompt))
        .layer(DefaultBodyLimit::max(MAX_PROMPT))
        .layer(from_fn(guard))
        .with_state(app)
}

/// Refuses what another page or another host name sends, and says of each answer how it may be used.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let ours = host.is_some_and(is_loopback) && comes_from(request.headers(), host);
    let mut response = if ours {
        next.run(request).await
    } else {
        said(StatusCode::FORBIDDEN, "this server answers its own page alone, by the address that it printed")
    };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address holds the token.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a host is this machine's own, at whatever port: a tunnel may have another.
fn is_loopback(host: &HeaderValue) -> bool {
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| ["127.0.0.1", "localhost", "[::1]"].contains(&authority.host()))
}

/// Whether the page that sends a request, where the browser names it, is of the same host and port.
fn comes_from(headers: &HeaderMap, host: Option<&HeaderValue>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.as_bytes();
    host.is_some_and(|host| origin.strip_prefix(b"http://") == Some(host.as_bytes()))
}

fn said(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

fn file_of_page(app: &App, name: &str) -> Response {
    match app.page.file(name) {
        Some((kind, bytes)) => ([(header::CONTENT_TYPE, kind)], bytes.to_vec()).into_response(),
        None => said(StatusCode::NOT_FOUND, "no such file"),
    }
}

async fn file_by_name(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    file_of_page(&app, &name)
}

async fn file_of_bundle(State(app): State<Arc<App>>, Path(path): Path<String>) -> Response {
    let read = move || {
        let overlay = app.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        overlay.bytes(&path)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(bytes)) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Ok(Err(error)) => said(StatusCode::NOT_FOUND, format!("{error:#}")),
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn prompt(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let Some(live) = &app.live else {
        return said(
            StatusCode::NOT_FOUND,
            "this server answers no prompts: start it with --model and --sae",
        );
    };
    let Ok(text) = String::from_utf8(body.to_vec()) else {
        return said(StatusCode::BAD_REQUEST, "the prompt is not UTF-8");
    };
    let overlay = || app.overlay.lock().unwrap_or_else(PoisonError::into_inner);
    let known = overlay().number_of(&text);
    if let Some(number) = known {
        return said(StatusCode::OK, number.to_string());
    }
    let added = match live.compute(text).await {
        Ok(prompt) => {
            let mut overlay = overlay();
            // The same may have been asked twice.
            overlay.number_of(&prompt.text).map_or_else(|| overlay.add(&prompt), Ok)
        }
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
