//! Files that are put into a data set's repository, in one commit.
//!
//! The hub says which files it keeps as large objects; those are transferred first, one by one, and what it has already is
//! not sent again: a publication that was broken off goes on from its last whole object. Then one commit names all files,
//! so that a reader finds either the old state or the new one.
//!
//! Source: the interface that the hub's own clients use (`/api/repos/create`, `preupload`, Git LFS's batch interface,
//! `commit` as lines of JSON).

use std::{collections::BTreeMap, fs::File, io::Read as _};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    ArtifactKind,
    api::Api,
    lfs::Object,
    name::Name,
    new_file::{Changes, Content, NewFile, reading},
    repository::RemoteFile,
};
use crate::interrupt;

/// Files that are asked about at once.
const ASKED_AT_ONCE: usize = 256;
/// The largest file that is part of a commit itself.
const MAX_REGULAR_BYTES: u64 = 10 << 20;
/// Bytes that are hashed at once.
const PART: usize = 1 << 20;

/// A data set's repository that is written to.
#[derive(Debug)]
pub struct Upload {
    api: Api,
    name: Name,
    /// The commit that the branch stood for; `None` where the repository is new.
    parent: Option<String>,
    there: BTreeMap<String, RemoteFile>,
}

/// Lengths and hashes of a file.
struct Hashes {
    bytes: u64,
    sha256: String,
    /// As git names it.
    git: String,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

#[derive(Deserialize)]
struct Mode {
    path: String,
    #[serde(rename = "uploadMode")]
    upload_mode: String,
}

impl Upload {
    /// Opens the repository that `name` says, `owner/name`, with `@branch` and `:path` where wanted. Nothing is changed yet.
    pub fn open(name: &str) -> Result<(Self, Option<String>)> {
        let parsed = Name::parse(name, ArtifactKind::Data).filter(|name| name.repo.split('/').count() == 2);
        let name =
            parsed.filter(|name| name.path.as_deref().is_none_or(shared::paths::is_inside)).with_context(
                || format!("expected owner/name, with @branch and :folder where wanted, got {name:?}"),
            )?;
        let path = name.path.clone();
        let api = Api::new(&name, ArtifactKind::Data)?;
        api.check_token()?;
        let (parent, there) = match api.list_if_there()? {
            Some((commit, files)) => (Some(commit), files),
            None => (None, BTreeMap::new()),
        };
        Ok((Self { api, name, parent, there }, path))
    }

    /// The repository's name, `owner/name`, and the branch.
    pub fn name(&self) -> (&str, &str) {
        (&self.name.repo, &self.name.revision)
    }

    /// Paths of the files that are there.
    pub fn there(&self) -> impl Iterator<Item = &str> {
        self.there.keys().map(String::as_str)
    }

    /// A small file that is there, as text; `None` where there is none.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        if !self.there.contains_key(path) {
            return Ok(None);
        }
        self.api.text(path).with_context(|| path.to_owned()).map(Some)
    }

    /// What would be changed by [`Upload::commit`]: `files` that are not there, `remove` of those that are.
    pub fn changes(&self, files: &[NewFile], remove: &[String]) -> Result<Changes> {
        let mut changes = Changes::default();
        for file in files {
            let hashes = Hashes::of(&file.content)?;
            if self.is_there(file, &hashes) {
                changes.n_same += 1;
            } else {
                changes.sent.push((file.path.clone(), hashes.bytes));
            }
        }
        changes.removed = remove.iter().filter(|path| self.there.contains_key(*path)).cloned().collect();
        Ok(changes)
    }

    /// Puts `files` there and removes `remove`, in one commit; what is there already is not sent.
    ///
    /// - `private`: whether a new repository is
    pub fn commit(
        &self,
        files: &[NewFile],
        remove: &[String],
        (private, summary): (bool, &str),
    ) -> Result<Changes> {
        let changes = self.changes(files, remove)?;
        if changes.sent.is_empty() && changes.removed.is_empty() {
            return Ok(changes);
        }
        if self.parent.is_none() {
            self.create(private)?;
        }
        let is_sent = |file: &&NewFile| changes.sent.iter().any(|(path, _)| *path == file.path);
        let sent: Vec<&NewFile> = files.iter().filter(is_sent).collect();
        let large = self.large(&sent)?;
        let mut lines = vec![json!({ "key": "header", "value": self.header(summary) })];
        for file in sent {
            interrupt::check()?;
            let hashes = Hashes::of(&file.content)?;
            lines.push(if large.contains(&file.path) {
                let object = Object { oid: hashes.sha256, bytes: hashes.bytes };
                self.api
                    .send(&object, &self.name.revision, &file.content)
                    .with_context(|| file.path.clone())?;
                let value =
                    json!({ "path": file.path, "algo": "sha256", "oid": object.oid, "size": object.bytes });
                json!({ "key": "lfsFile", "value": value })
            } else {
                let content = STANDARD.encode(file.content.bytes()?);
                let value = json!({ "path": file.path, "content": content, "encoding": "base64" });
                json!({ "key": "file", "value": value })
            });
        }
        let removed =
            changes.removed.iter().map(|path| json!({ "key": "deletedFile", "value": { "path": path } }));
        lines.extend(removed);
        let mut body = String::new();
        for line in lines {
            body.push_str(&line.to_string());
            body.push('\n');
        }
        self.api.post_to(&self.branch("commit"), "application/x-ndjson", body.as_bytes())?;
        Ok(changes)
    }

    fn header(&self, summary: &str) -> Value {
        let mut header = json!({ "summary": summary, "description": "" });
        // The hub refuses the commit where someone else's came meanwhile.
        if let Some(parent) = &self.parent {
            header["parentCommit"] = parent.as_str().into();
        }
        header
    }

    /// The part of an address that names the branch, for something that is done to it.
    fn branch(&self, what: &str) -> String {
        format!("/api/datasets/{}/{what}/{}", self.name.repo, self.name.revision.replace('/', "%2F"))
    }

    fn create(&self, private: bool) -> Result<()> {
        let (owner, name) = self.name.repo.split_once('/').context("a repository has an owner")?;
        let body = json!({ "type": "dataset", "name": name, "organization": owner, "private": private });
        self.api.create(&body)
    }

    /// Paths of the files that the hub keeps as large objects.
    fn large(&self, files: &[&NewFile]) -> Result<Vec<String>> {
        let mut large = Vec::new();
        for some in files.chunks(ASKED_AT_ONCE) {
            let mut asked = Vec::new();
            for file in some {
                let (sample, bytes) = file.content.sample()?;
                asked.push(json!({ "path": file.path, "sample": STANDARD.encode(sample), "size": bytes }));
            }
            let body = json!({ "files": asked }).to_string();
            let answer = self.api.post_to(&self.branch("preupload"), "application/json", body.as_bytes())?;
            let modes: Modes =
                serde_json::from_slice(&answer).context("the hub's answer is not understood")?;
            large.extend(modes.files.into_iter().filter(|m| m.upload_mode == "lfs").map(|m| m.path));
        }
        for file in files.iter().filter(|file| !large.contains(&file.path)) {
            let (_, bytes) = file.content.sample()?;
            ensure!(
                bytes <= MAX_REGULAR_BYTES,
                "the hub does not take {} as a large file: it has {bytes} bytes",
                file.path
            );
        }
        Ok(large)
    }

    fn is_there(&self, file: &NewFile, hashes: &Hashes) -> bool {
        let listed = self.there.get(&file.path);
        let blob = listed.and_then(|listed| listed.blob.as_deref());
        blob.is_some_and(|blob| blob == hashes.sha256 || blob == hashes.git)
    }
}

impl Hashes {
    fn of(content: &Content) -> Result<Self> {
        let (_, bytes) = content.sample()?;
        let (mut sha256, mut git) = (Sha256::new(), Sha1::new());
        git.update(format!("blob {bytes}\0"));
        let mut take = |part: &[u8]| {
            sha256.update(part);
            git.update(part);
        };
        match content {
            Content::Text(text) => take(text.as_bytes()),
            Content::File(path) => {
                let (mut file, mut part) = (File::open(path).with_context(|| reading(path))?, vec![0; PART]);
                loop {
                    interrupt::check()?;
                    match file.read(&mut part).with_context(|| reading(path))? {
                        0 => break,
                        n => take(&part[..n]),
                    }
                }
            }
        }
        Ok(Self { bytes, sha256: format!("{:x}", sha256.finalize()), git: format!("{:x}", git.finalize()) })
    }
}
