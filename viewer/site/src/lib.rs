//! [`page_logic::site`] for scripts: a module of its own, which only pages of a site of several bundles load.

use page_logic::{address::Address, site};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// A site that is shown.
#[wasm_bindgen]
pub struct SiteView(site::SiteView);

/// The address of the folder that `?bundle=` or `?site=` names, with its `/`; `undefined` for a `.saevis`.
#[wasm_bindgen(js_name = folderOf)]
pub fn folder_of(address: &str) -> Option<String> {
    match Address::of(address) {
        Address::Folder(folder) => Some(folder),
        Address::Archive(_) => None,
    }
}

/// Why a search cannot be read; `undefined` where it can.
#[wasm_bindgen(js_name = wrongQuery)]
pub fn wrong_query(query: &str) -> Option<String> {
    site::SiteView::wrong(query)
}

#[wasm_bindgen]
impl SiteView {
    /// Reads `site.json`.
    #[wasm_bindgen(constructor)]
    pub fn new(json: &[u8]) -> Result<Self, JsError> {
        Ok(Self(site::SiteView::new(json)?))
    }

    /// See [`site::SiteView::list`].
    pub fn list(&self) -> String {
        self.0.list()
    }

    /// See [`site::SiteView::open`].
    pub fn open(&mut self, i: usize, manifest: &[u8]) -> Result<(), JsError> {
        Ok(self.0.open(i, manifest)?)
    }

    /// See [`site::SiteView::table_paths`].
    #[wasm_bindgen(js_name = tablePaths)]
    pub fn table_paths(&self, i: usize) -> Result<Vec<String>, JsError> {
        Ok(self.0.table_paths(i)?)
    }

    /// See [`site::SiteView::add`].
    pub fn add(&mut self, i: usize, index: &[u8], vocab: &[u8]) -> Result<(), JsError> {
        Ok(self.0.add(i, index, vocab)?)
    }

    /// See [`site::SiteView::search`].
    pub fn search(&self, i: usize, query: &str, n_rows: usize) -> Result<String, JsError> {
        Ok(self.0.search(i, query, n_rows)?)
    }

    /// See [`site::SiteView::neighbours_path`].
    #[wasm_bindgen(js_name = neighboursPath)]
    pub fn neighbours_path(&self, i: usize, feature: u32) -> Result<Option<String>, JsError> {
        Ok(self.0.neighbours_path(i, feature)?)
    }

    /// See [`site::SiteView::neighbours`].
    pub fn neighbours(&self, i: usize, feature: u32, bytes: &[u8]) -> Result<String, JsError> {
        Ok(self.0.neighbours(i, feature, bytes)?)
    }
}
