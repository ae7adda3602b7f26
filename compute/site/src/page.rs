//! The built page's files.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};

/// The page of one bundle.
const VIEWER: &str = "index.html";
/// The viewer's name beside a start page.
const VIEWER_OF_SITE: &str = "view.html";
/// The start page of several bundles.
const START: &str = "site.html";
/// Folder of several bundles.
pub const BUNDLES: &str = "bundles";
/// How a page's root element begins.
const ROOT: &str = "<html lang=\"en\"";

/// The built page, in memory: some 30 files, 2 MB.
#[derive(Debug)]
pub struct Page {
    files: BTreeMap<String, Vec<u8>>,
}

impl Page {
    /// Reads the page of one bundle from `folder`, where it was built, or that of a site that was written.
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
        let mut page = Self { files };
        if page.files.contains_key(VIEWER_OF_SITE) {
            let viewer = page.take(VIEWER_OF_SITE)?.replacen(&site_attribute(), "", 1);
            let start =
                page.take(START)?.replacen(&view_attribute(VIEWER_OF_SITE), &view_attribute(VIEWER), 1);
            page.put(VIEWER, viewer);
            page.put(START, start);
        }
        ensure!(
            page.files.contains_key(VIEWER),
            "the page's folder has no {VIEWER}: build one with `cargo xtask site` ({})",
            folder.display()
        );
        Ok(page)
    }

    /// Gives the viewer's root element an attribute.
    pub fn mark(&mut self, attribute: &str) -> Result<()> {
        let viewer = self.take(VIEWER)?.replacen(ROOT, &format!("{ROOT}{attribute}"), 1);
        self.put(VIEWER, viewer);
        Ok(())
    }

    /// Puts a start page before the viewer, for bundles in the folder `bundles`.
    pub fn begin_with_start(&mut self) -> Result<()> {
        self.mark(&site_attribute())?;
        let viewer = self.take(VIEWER)?;
        let start = self.take(START)?.replacen(&view_attribute(VIEWER), &view_attribute(VIEWER_OF_SITE), 1);
        self.put(VIEWER_OF_SITE, viewer);
        // The viewer's links name it, and hosts open the other.
        self.put(START, start.clone());
        self.put(VIEWER, start);
        Ok(())
    }

    /// All files, by name.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The HTML file `name`, to be put back.
    fn take(&mut self, name: &str) -> Result<String> {
        let bytes =
            self.files.remove(name).with_context(|| format!("the page has no {name}: build it anew"))?;
        let html = String::from_utf8(bytes).with_context(|| format!("the page's {name} is no text"))?;
        ensure!(html.contains(ROOT), "the page's {name} is not this program's: build the page anew");
        Ok(html)
    }

    fn put(&mut self, name: &str, html: String) {
        self.files.insert(name.to_owned(), html.into_bytes());
    }
}

fn site_attribute() -> String {
    format!(" data-site=\"{BUNDLES}\"")
}

fn view_attribute(name: &str) -> String {
    format!(" data-view=\"{name}\"")
}
