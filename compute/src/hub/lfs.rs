//! Large objects: transferred to where the hub says, before a commit names them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::SendBody;

use super::{api::Api, new_file::Content};
use crate::interrupt;

/// The media type of Git LFS.
const LFS: &str = "application/vnd.git-lfs+json";
/// Times that a broken transfer is begun again.
const TRIES: usize = 5;

/// A large object.
#[derive(Debug)]
pub struct Object {
    /// SHA-256, hexadecimal.
    pub oid: String,
    /// Its length.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<BatchObject>,
}

#[derive(Deserialize)]
struct BatchObject {
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Action,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl Api {
    /// Sends an object, unless the hub has it.
    pub fn send(&self, object: &Object, branch: &str, content: &Content) -> Result<()> {
        let mut last = None;
        for _ in 0..TRIES {
            interrupt::check()?;
            // Addresses are good for a while: each try asks for its own.
            let Some(actions) = self.actions(object, branch)? else { return Ok(()) };
            match self.transfer(object, &actions, content) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// Where the object is to be sent; `None` where the hub has it.
    fn actions(&self, object: &Object, branch: &str) -> Result<Option<Actions>> {
        let Object { oid, bytes } = object;
        let body = json!({
            "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": { "name": branch }, "objects": [{ "oid": oid, "size": bytes }],
        });
        let path = format!("/datasets/{}.git/info/lfs/objects/batch", self.repo());
        let answer = self.post_to(&path, LFS, body.to_string().as_bytes())?;
        let batch: Batch = serde_json::from_slice(&answer).context("the hub's answer is not understood")?;
        let object = batch.objects.into_iter().next().context("the hub's answer names no object")?;
        if let Some(error) = object.error {
            bail!("the hub refuses it: {}", error["message"].as_str().unwrap_or("without a reason"));
        }
        Ok(object.actions)
    }

    fn transfer(&self, object: &Object, actions: &Actions, content: &Content) -> Result<()> {
        let Action { href, header } = &actions.upload;
        match header.get("chunk_size").map(number).transpose()? {
            None => {
                self.put(href, content, 0..object.bytes)?;
            }
            Some(chunk) => self.in_parts(object, actions, content, chunk)?,
        }
        if let Some(verify) = &actions.verify {
            let body = json!({ "oid": object.oid, "size": object.bytes }).to_string();
            self.post(&verify.href, LFS, body.as_bytes()).context("the hub did not find what was sent")?;
        }
        Ok(())
    }

    /// Sends an object in parts, whose addresses are beside the upload's.
    fn in_parts(&self, object: &Object, actions: &Actions, content: &Content, chunk: u64) -> Result<()> {
        let Action { href, header } = &actions.upload;
        ensure!(chunk > 0, "the hub asks for parts of 0 bytes");
        let mut addresses: Vec<(u64, &str)> = Vec::new();
        for (key, value) in header {
            if let (Ok(part), Some(address)) = (key.parse(), value.as_str()) {
                addresses.push((part, address));
            }
        }
        addresses.sort_unstable();
        let n_parts = object.bytes.div_ceil(chunk);
        ensure!(
            addresses.len() as u64 == n_parts,
            "the hub gives {} addresses for {n_parts} parts",
            addresses.len()
        );
        let mut parts = Vec::new();
        for (i, (part, address)) in (0u64..).zip(addresses) {
            interrupt::check()?;
            let tag = self.put(address, content, i * chunk..((i + 1) * chunk).min(object.bytes))?;
            parts
                .push(json!({ "partNumber": part, "etag": tag.context("the hub gives no tag for a part")? }));
        }
        let body = json!({ "oid": object.oid, "parts": parts }).to_string();
        self.post(href, LFS, body.as_bytes()).map(drop)
    }

    /// Sends a range of bytes to an address that needs no token; gives back its tag.
    fn put(&self, href: &str, content: &Content, range: std::ops::Range<u64>) -> Result<Option<String>> {
        let n = range.end - range.start;
        let request = self.agent().put(href).header("Content-Length", n.to_string());
        let answer = match content {
            Content::Text(text) => request.send(&text.as_bytes()[range.start as usize..range.end as usize]),
            Content::File(path) => {
                let reading = || format!("could not read ({})", path.display());
                let mut file = File::open(path).with_context(reading)?;
                file.seek(SeekFrom::Start(range.start)).with_context(reading)?;
                request.send(SendBody::from_reader(&mut file.take(n)))
            }
        };
        let answer = answer.context("the transfer broke off")?;
        let status = answer.status();
        ensure!(status.is_success(), "the store of large files answers {status}");
        Ok(answer.headers().get("etag").and_then(|tag| Some(tag.to_str().ok()?.to_owned())))
    }
}

/// A number that may be written as text.
fn number(value: &Value) -> Result<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.with_context(|| format!("the hub asks for parts of {value} bytes"))
}
