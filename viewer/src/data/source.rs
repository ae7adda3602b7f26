//! Where a bundle lies, and how its files are read: a folder on a host, a `.saevis` on a host (by HTTP ranges), on the
//! reader's disk or in this page (by slices).

use std::{cell::RefCell, rc::Rc};

use leptos::prelude::window;
use page_logic::{address::Address, error::DataError};
use send_wrapper::SendWrapper;
use shared::{
    BundleError, archive,
    error::Invalid,
    zip::{self, Directory, Entry, LOCAL_BYTES, TAIL_BYTES},
};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

/// The folder beside the page in which a bundle is looked for.
const DEFAULT_FOLDER: &str = "bundle";
/// The name under which an exported page holds its bundle.
const HELD: &str = "saeVisBundle";

/// Where a bundle lies.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    /// Address, ending in `/`; relative to the page where it has no host.
    Folder(String),
    Archive(SendWrapper<Rc<Archive>>),
}

/// A `.saevis`.
struct Archive {
    name: String,
    /// Whether it is a file that the reader opened.
    is_readers: bool,
    bytes: RefCell<Bytes>,
    entries: RefCell<Vec<Entry>>,
}

#[derive(Clone)]
enum Bytes {
    /// On a host.
    Remote,
    /// At hand.
    Here(Blob),
}

impl Source {
    /// The bundle in this page, or that which its address names with `?bundle=URL`, or else the one beside it.
    pub fn of_address() -> Self {
        let held = js_sys::Reflect::get(&window(), &HELD.into()).ok();
        if let Some(blob) = held.and_then(|held| held.dyn_into::<Blob>().ok()) {
            return Self::archive("in this page".to_owned(), Bytes::Here(blob));
        }
        let search = window().location().search().unwrap_or_default();
        let named = web_sys::UrlSearchParams::new_with_str(&search).ok().and_then(|p| p.get("bundle"));
        Self::at(named.as_deref().unwrap_or(DEFAULT_FOLDER))
    }

    /// The bundle at `address`: a `.saevis`, or a folder, which may also be named by its manifest.
    pub fn at(address: &str) -> Self {
        match Address::of(address) {
            Address::Archive(url) => Self::archive(url, Bytes::Remote),
            Address::Folder(base) => Self(Kind::Folder(base)),
        }
    }

    /// A file that the reader picked or dropped.
    pub fn file(file: web_sys::File) -> Self {
        let (name, bytes) = (file.name(), RefCell::new(Bytes::Here(file.into())));
        let archive = Archive { name, is_readers: true, bytes, entries: RefCell::default() };
        Self(Kind::Archive(SendWrapper::new(Rc::new(archive))))
    }

    fn archive(name: String, bytes: Bytes) -> Self {
        let archive =
            Archive { name, is_readers: false, bytes: RefCell::new(bytes), entries: RefCell::default() };
        Self(Kind::Archive(SendWrapper::new(Rc::new(archive))))
    }

    /// The name of the reader's file, where it is one.
    pub fn file_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Archive(archive) if archive.is_readers => Some(&archive.name),
            _ => None,
        }
    }

    /// Where it is, for people.
    pub fn address(&self) -> &str {
        match &self.0 {
            Kind::Folder(base) => base,
            Kind::Archive(archive) => &archive.name,
        }
    }

    /// The manifest's bytes; an archive's directory is read before it.
    pub(super) async fn manifest(&self) -> Result<Vec<u8>, DataError> {
        if let Kind::Archive(archive) = &self.0 {
            archive.read_directory().await?;
        }
        self.file_bytes("manifest.json").await.map_err(|e| match e {
            DataError::Status { status, url } => DataError::NoBundle { status, url },
            other => other,
        })
    }

    /// The bytes of the file at `path`.
    pub(super) async fn file_bytes(&self, path: &str) -> Result<Vec<u8>, DataError> {
        match &self.0 {
            Kind::Folder(base) => Ok(fetch(&format!("{base}{path}"), None).await?.0),
            Kind::Archive(archive) => archive.file(path).await,
        }
    }
}

impl Archive {
    fn invalid(&self) -> impl Fn(Invalid) -> DataError + '_ {
        |Invalid(reason)| BundleError::Invalid { reason, path: self.name.clone() }.into()
    }

    /// Reads what the archive holds.
    async fn read_directory(&self) -> Result<(), DataError> {
        let here = self.bytes.borrow().clone();
        let (tail, total) = match here {
            Bytes::Here(blob) => {
                let total = blob.size() as u64;
                (self.range(total.saturating_sub(TAIL_BYTES), total).await?, total)
            }
            Bytes::Remote => {
                let (bytes, total) = fetch(&self.name, Some(format!("bytes=-{TAIL_BYTES}"))).await?;
                if total.is_none() {
                    // The host sends the whole file whatever is asked for: it is all here now.
                    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes.as_slice()));
                    let blob = Blob::new_with_u8_array_sequence(&parts).map_err(|e| self.unreadable(&e))?;
                    *self.bytes.borrow_mut() = Bytes::Here(blob);
                }
                let total = total.unwrap_or(bytes.len() as u64);
                (bytes, total)
            }
        };
        let Directory { start, bytes: len } = archive::directory(&tail, total).map_err(self.invalid())?;
        let directory = match start.checked_sub(total - tail.len() as u64) {
            Some(at) => tail[at as usize..(at + len) as usize].to_vec(),
            None => self.range(start, start + len).await?,
        };
        *self.entries.borrow_mut() = archive::entries(&directory, total).map_err(self.invalid())?;
        Ok(())
    }

    async fn file(&self, path: &str) -> Result<Vec<u8>, DataError> {
        let found = self.entries.borrow().iter().find(|e| e.path == path).cloned();
        let entry = found.ok_or_else(|| {
            let have = format!("it holds {} others", self.entries.borrow().len());
            BundleError::Missing { what: format!("file {path}"), have }
        })?;
        // Its header and name stand before it; that nothing else does is checked, and then read again.
        let guess = entry.header + LOCAL_BYTES + path.len() as u64;
        let mut bytes = self.range(entry.header, guess + entry.bytes).await?;
        let start = zip::data_start(&entry, &bytes).map_err(self.invalid())?;
        if start == guess {
            return Ok(bytes.split_off((guess - entry.header) as usize));
        }
        self.range(start, start + entry.bytes).await
    }

    async fn range(&self, from: u64, to: u64) -> Result<Vec<u8>, DataError> {
        let here = self.bytes.borrow().clone();
        match here {
            Bytes::Here(blob) => {
                let slice =
                    blob.slice_with_f64_and_f64(from as f64, to as f64).map_err(|e| self.unreadable(&e))?;
                bytes_of(slice.array_buffer()).await.map_err(|e| self.unreadable(&e))
            }
            Bytes::Remote => Ok(fetch(&self.name, Some(format!("bytes={from}-{}", to - 1))).await?.0),
        }
    }

    fn unreadable(&self, error: &JsValue) -> DataError {
        DataError::Unreachable { reason: message(error), url: self.name.clone() }
    }
}

/// Fetches `url`, or the `range` of it; gives back the whole length where the host kept to the range.
async fn fetch(url: &str, range: Option<String>) -> Result<(Vec<u8>, Option<u64>), DataError> {
    let unreachable = |e: JsValue| DataError::Unreachable { reason: message(&e), url: url.to_owned() };
    let request = web_sys::RequestInit::new();
    if let Some(range) = range {
        let headers = web_sys::Headers::new().map_err(unreachable)?;
        headers.append("Range", &range).map_err(unreachable)?;
        request.set_headers(&headers);
    }
    let response =
        JsFuture::from(window().fetch_with_str_and_init(url, &request)).await.map_err(unreachable)?;
    let response: web_sys::Response = response.dyn_into().map_err(unreachable)?;
    if !response.ok() {
        return Err(DataError::Status { status: response.status(), url: url.to_owned() });
    }
    let said = response.headers().get("Content-Range").ok().flatten();
    let total =
        said.and_then(|said| said.rsplit_once('/')?.1.parse().ok()).filter(|_| response.status() == 206);
    let buffer = response.array_buffer().map_err(unreachable)?;
    Ok((bytes_of(buffer).await.map_err(unreachable)?, total))
}

async fn bytes_of(buffer: js_sys::Promise) -> Result<Vec<u8>, JsValue> {
    Ok(js_sys::Uint8Array::new(&JsFuture::from(buffer).await?).to_vec())
}

/// What a JavaScript error says, without its full stop.
fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |e| e.message().into());
    text.trim_end_matches('.').to_owned()
}
