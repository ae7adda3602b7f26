//! A bundle as one HTML file: the page with the bundle in it, which opens by itself.
//!
//! It has no server to fetch from, so everything is inline, and its policy names the one script by its hash.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::archive::archive;
use crate::output::OwnKind;

/// What follows the viewer's script in an exported page: it starts the viewer from what the page holds.
const START: &str = "
// The browser's own decoders: one in JavaScript makes a number of every byte. Older browsers have the second alone, which
// copies the text through the network's parts.
const part = async (element) => {
  const text = element.textContent;
  element.remove();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return (await fetch('data:application/octet-stream;base64,' + text)).blob();
};
const held = async (name) => new Blob(await Promise.all([...document.querySelectorAll(`script[data-held=${name}]`)].map(part)));
const [viewer, bundle] = await Promise.all([held('viewer'), held('bundle')]);
globalThis.saeVisBundle = bundle;
await __wbg_init({ module_or_path: await viewer.arrayBuffer() });
";

/// What an exported page may replace.
pub const PAGE: OwnKind = OwnKind { name: "an exported page", is: is_page };
/// Bytes in which an exported page says what it is.
const HEAD_BYTES: u64 = 4096;
const TITLE: &str = "<title>sae-vis</title>";

/// Writes the page in `folder` with the bundle inside. It begins at the address `start`, such as `#/feature/8`, where a link
/// to it names no other.
pub fn page<W: Write>(bundle: &Path, folder: &Path, start: Option<&str>, mut out: W) -> Result<W> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("could not read the page ({})", path.display()));
    let text = |path: &Path| {
        String::from_utf8(read(path)?)
            .with_context(|| format!("a file of the page is no text ({})", path.display()))
    };
    let index = folder.join("index.html");
    let html = fs::read_to_string(&index).with_context(|| {
        format!(
            "no page to put the bundle into: name one with --page, made by `cargo xtask site` ({})",
            index.display()
        )
    })?;
    let mut script = text(&only(folder, "js", "viewer")?)?;
    for part in parts(folder)? {
        script.push_str(&text(&part)?);
    }
    if let Some(start) = start {
        let start = serde_json::to_string(start)?;
        script.push_str(&["\nif (!location.hash) history.replaceState(null, \"\", ", &start, ");"].concat());
    }
    script.push_str(START);
    // A script in a page ends at the first `</script`, whatever it is part of.
    ensure!(!script.contains("</script"), "the viewer's script cannot be put into a page");
    let wasm = read(&only(folder, "wasm", "viewer")?)?;
    let mut style = String::new();
    for href in attributes(&html, "<link rel=\"stylesheet\" href=\"") {
        style.push_str(&text(&folder.join(href.trim_start_matches("./")))?);
    }
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {} 'wasm-unsafe-eval'; style-src {}; style-src-attr 'unsafe-inline'; img-src data: blob:; connect-src * data:; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(&style)
    );
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n{TITLE}\n<style>{style}</style>\n</head>\n\
         <body>\n<p id=\"boot\" role=\"status\">Loading the viewer…</p>\n\
"
    )?;
    let mut held = HeldParts::new(out, "viewer");
    held.write_all(&wasm)?;
    let mut out = archive(bundle, HeldParts::new(held.finish()?, "bundle"))?.finish()?;
    write!(out, "<script type=\"module\">{script}</script>\n</body>\n</html>\n")?;
    Ok(out)
}

/// Bytes that the page holds as text, in parts: one text of a hundred megabytes takes a browser longer than many.
struct HeldParts<W> {
    out: W,
    name: &'static str,
    part: Vec<u8>,
}

/// Bytes in a part: a multiple of three, so that no part but the last is padded.
const PART_BYTES: usize = 3 << 20;

impl<W: Write> HeldParts<W> {
    fn new(out: W, name: &'static str) -> Self {
        Self { out, name, part: Vec::with_capacity(PART_BYTES) }
    }

    fn write_part(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let text = STANDARD.encode(&self.part);
        self.part.clear();
        writeln!(
            self.out,
            "<script type=\"application/octet-stream\" data-held=\"{}\">{text}</script>",
            self.name
        )
    }

    fn finish(mut self) -> io::Result<W> {
        self.write_part()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for HeldParts<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..n]);
        if self.part.len() == PART_BYTES {
            self.write_part()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether the file at `path` is a page as this program writes them.
fn is_page(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let head = String::from_utf8_lossy(&head);
    read.is_ok() && head.starts_with("<!doctype html>") && head.contains(TITLE)
}

/// The values that follow `before` in `html`, up to the next quote.
fn attributes<'a>(html: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(before).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value)
}

/// The page's scripts beside the viewer's, in the order of their names. What only pages on a host
/// have is left out.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is_script = path.extension().is_some_and(|e| e == "js");
        let on_hosts = ["ask.js", "boot.js", "site.js", "sites.js", "site_view.js", "switch.js"];
        if is_script && !on_hosts.contains(&name) && !name.starts_with("viewer") {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

/// The one file in `folder` that begins with `prefix` and has the extension.
fn only(folder: &Path, extension: &str, prefix: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with(prefix) && path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    match found.len() {
        1 => found.pop().ok_or_else(|| anyhow!("no file")),
        n => bail!("expected one {prefix}*.{extension} in the page's folder, got {n} ({})", folder.display()),
    }
}
