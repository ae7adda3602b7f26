//! From a request's target to a file inside the served folder.

use std::path::{Component, Path, PathBuf};

/// The file that a request target names; `None` where there is none, or none that may be served.
///
/// Links are followed, but only to files inside the folder.
pub(super) fn resolve(root: &Path, request_target: &str) -> Option<PathBuf> {
    let path = request_target.split(['?', '#']).next()?;
    let decoded = percent_decode(path.strip_prefix('/')?)?;
    let relative = Path::new(&decoded);
    // Only plain names: no "..", no drive or root.
    if decoded.contains(['\\', '\0'])
        || !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return None;
    }
    let mut file = root.join(relative);
    if file.is_dir() {
        file.push("index.html");
    }
    let file = file.canonicalize().ok()?;
    (file.starts_with(root) && file.is_file()).then_some(file)
}

/// Decodes `%41`; `None` for a broken escape or text that is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The media type for a file name. A browser compiles WebAssembly while it loads only with the right one.
pub(super) fn mime_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        // Not `Content-Encoding: gzip`: bundles are unpacked by the viewer, and ranges count stored bytes.
        Some("gz") => "application/gzip",
        Some("saevis" | "zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(percent_decode("a%20b%C3%A9").as_deref(), Some("a bé"));
        assert_eq!(percent_decode("a%2").as_deref(), None);
        assert_eq!(percent_decode("%zz").as_deref(), None);
        assert_eq!(percent_decode("%ff").as_deref(), None);
    }

    #[test]
    fn webassembly_has_its_media_type() {
        assert_eq!(mime_type(Path::new("viewer_bg.wasm")), "application/wasm");
        assert_eq!(mime_type(Path::new("features/0003.bin")), "application/octet-stream");
    }
}
