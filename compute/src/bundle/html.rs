//! A bundle as one HTML file: the page with the bundle in it, which opens by itself.
//!
//! It has no server to fetch from, so everything is inline, and its policy names the one script by its hash.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD, write::EncoderStringWriter};
use sha2::{Digest as _, Sha256};

use super::archive::archive;

/// What follows the viewer's script in an exported page: it starts the viewer from what the page holds.
const START: &str = "
// The browser's own decoder: one in JavaScript makes a number of every byte.
const held = async (id) => {
  const element = document.getElementById(id);
  const response = await fetch('data:application/octet-stream;base64,' + element.textContent);
  element.remove();
  return response.blob();
};
const [viewer, bundle] = await Promise.all([held('viewer'), held('bundle')]);
globalThis.saeVisBundle = bundle;
await __wbg_init({ module_or_path: await viewer.arrayBuffer() });
";

/// The page in `folder` with the bundle inside.
pub fn page(bundle: &Path, folder: &Path) -> Result<String> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("could not read the page ({})", path.display()));
    let index = folder.join("index.html");
    let html = fs::read_to_string(&index).with_context(|| {
        format!(
            "no page to put the bundle into: name one with --page, made by `cargo xtask site` ({})",
            index.display()
        )
    })?;
    let mut script =
        String::from_utf8(read(&only(folder, "js", "viewer")?)?).context("the viewer's script is no text")?;
    for part in parts(folder)? {
        let text = String::from_utf8(read(&part)?);
        script.push_str(&text.with_context(|| format!("the page's script is no text ({})", part.display()))?);
    }
    script.push_str(START);
    // A script in a page ends at the first `</script`, whatever it is part of.
    ensure!(!script.contains("</script"), "the viewer's script cannot be put into a page");
    let mut held = EncoderStringWriter::new(&STANDARD);
    held.write_all(&read(&only(folder, "wasm", "viewer")?)?)?;
    let wasm = held.into_inner();
    let bundle = archive(bundle, EncoderStringWriter::new(&STANDARD))?.into_inner();

    let mut style = String::new();
    for href in attributes(&html, "<link rel=\"stylesheet\" href=\"") {
        style.push_str(&String::from_utf8(read(&folder.join(href.trim_start_matches("./")))?)?);
    }
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {} 'wasm-unsafe-eval'; style-src {}; style-src-attr 'unsafe-inline'; img-src data: blob:; connect-src * data:; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(&style)
    );
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>sae-vis</title>\n<style>{style}</style>\n</head>\n\
         <body>\n<p id=\"boot\" role=\"status\">Loading the viewer…</p>\n\
         <script type=\"application/octet-stream\" id=\"viewer\">{wasm}</script>\n\
         <script type=\"application/octet-stream\" id=\"bundle\">{bundle}</script>\n\
         <script type=\"module\">{script}</script>\n</body>\n</html>\n"
    ))
}

/// The values that follow `before` in `html`, up to the next quote.
fn attributes<'a>(html: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(before).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value)
}

/// The page's scripts beside the viewer's, in the order of their names. What starts a page on a host is left out.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is_script = path.extension().is_some_and(|e| e == "js");
        if is_script && name != "boot.js" && !name.starts_with("viewer") {
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
