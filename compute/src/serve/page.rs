//! The built page's files.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};

/// How the page's root element begins, and how it does where prompts are answered.
const ROOT: &str = "<html lang=\"en\"";
const LIVE_ROOT: &str = "<html lang=\"en\" data-live";

/// The built page, in memory: some 20 files, 1.5 MB.
#[derive(Debug)]
pub struct Page(BTreeMap<String, Vec<u8>>);

impl Page {
    /// Reads the page in `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        let reading =
            || format!("could not read the page: build one with `cargo xtask site` ({})", folder.display());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                files.insert(name.to_owned(), fs::read(&path).with_context(reading)?);
            }
        }
        // A site of several bundles has a start page in its place.
        if let Some(view) = files.remove("view.html") {
            files.insert("index.html".to_owned(), view);
        }
        ensure!(
            files.contains_key("index.html"),
            "the page's folder has no index.html: build one with `cargo xtask site` ({})",
            folder.display()
        );
        Ok(Self(files))
    }

    /// The same, with a page that offers to answer prompts.
    pub fn live(mut self) -> Result<Self> {
        let index = self.0.get_mut("index.html").context("the page has no index.html")?;
        let html = String::from_utf8(std::mem::take(index)).context("the page's index.html is no text")?;
        ensure!(html.contains(ROOT), "the page's index.html is not this program's: build the page anew");
        *index = html.replacen(ROOT, LIVE_ROOT, 1).into_bytes();
        Ok(self)
    }

    /// The file `name`, with the type of its content; an empty name is the page itself.
    pub fn file(&self, name: &str) -> Option<(&'static str, &[u8])> {
        let name = if name.is_empty() { "index.html" } else { name };
        let bytes = self.0.get(name)?;
        let kind = match name.rsplit('.').next()? {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "wasm" => "application/wasm",
            _ => "application/octet-stream",
        };
        Some((kind, bytes))
    }
}
