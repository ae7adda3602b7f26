//! Where a bundle lies, and how its files are fetched.

use leptos::prelude::window;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::DataError;

/// The folder beside the page in which a bundle is looked for.
const DEFAULT_FOLDER: &str = "bundle";

/// A bundle's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Address, ending in `/`; relative to the page where it has no host.
    base: String,
}

impl Source {
    /// The bundle that the page's address names with `?bundle=URL`, or else the one beside the page.
    pub fn of_address() -> Self {
        let search = window().location().search().unwrap_or_default();
        let named = web_sys::UrlSearchParams::new_with_str(&search).ok().and_then(|p| p.get("bundle"));
        Self::at(named.as_deref().unwrap_or(DEFAULT_FOLDER))
    }

    /// The bundle in the folder at `address`, which may also name its manifest.
    pub fn at(address: &str) -> Self {
        let folder = address.trim_end_matches("manifest.json").trim_end_matches('/');
        Self { base: format!("{folder}/") }
    }

    /// Address of the folder.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The manifest's bytes.
    pub(super) async fn manifest(&self) -> Result<Vec<u8>, DataError> {
        self.file("manifest.json").await.map_err(|e| match e {
            DataError::Status { status, url } => DataError::NoBundle { status, url },
            other => other,
        })
    }

    /// The bytes of the file at `path`.
    pub(super) async fn file(&self, path: &str) -> Result<Vec<u8>, DataError> {
        let url = format!("{}{path}", self.base);
        let unreachable = |e: JsValue| DataError::Unreachable { reason: message(&e), url: url.clone() };
        let response = JsFuture::from(window().fetch_with_str(&url)).await.map_err(unreachable)?;
        let response: web_sys::Response = response.dyn_into().map_err(unreachable)?;
        if !response.ok() {
            return Err(DataError::Status { status: response.status(), url });
        }
        let buffer =
            JsFuture::from(response.array_buffer().map_err(unreachable)?).await.map_err(unreachable)?;
        Ok(js_sys::Uint8Array::new(&buffer).to_vec())
    }
}

/// What a JavaScript error says, without its full stop.
fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |e| e.message().into());
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_its_manifest_name_the_same_bundle() {
        for address in ["https://host/b", "https://host/b/", "https://host/b/manifest.json"] {
            assert_eq!(Source::at(address).address(), "https://host/b/");
        }
    }
}
