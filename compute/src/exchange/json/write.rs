//! A bundle as a document.

use std::io::Write;

use anyhow::{Context as _, Result, ensure};
use serde::{Serialize, de::DeserializeOwned};
use shared::{
    bundle::Checked,
    corpus::CorpusChunk,
    layers::{EXPLANATIONS, LABELS, ROLES},
    manifest::{MAJOR, MINOR, Manifest, SchemaVersion},
    paths,
    prompt::Prompt,
    roles::ChunkRoles,
    wire::Wire,
};

use super::super::blocks;
use crate::{bundle::Bundle, interrupt};

/// Writes the bundle as one JSON document; layers that this program does not know are left out.
///
/// # Errors
///
/// Where a file of the bundle cannot be read, holds a number that JSON has not, or the document cannot be written.
pub fn write_json<W: Write>(bundle: &Bundle, out: W) -> Result<W> {
    let schema = SchemaVersion { major: MAJOR, minor: MINOR };
    let manifest = Manifest { schema, ..bundle.manifest.alone() };
    let mut document = DocumentWriter { out };
    document.put("{\"manifest\":")?;
    document.put(&serde_json::to_string(&manifest)?)?;
    document.put(",\n\"vocab\":")?;
    document.value(&bundle.vocab, paths::VOCAB)?;
    if let Some(n_chunks) = manifest.n_chunks() {
        document.list("corpus", (0..n_chunks).map(paths::chunk), |path| bundle.file::<CorpusChunk>(path))?;
    }
    document.put(",\n\"features\":[")?;
    let mut before = "\n";
    for features in blocks(bundle) {
        for feature in features? {
            document.put(before)?;
            before = ",\n";
            document.value(&feature, &format!("feature {}", feature.feature))?;
        }
    }
    document.put("]")?;
    if manifest.n_prompts > 0 {
        let prompts = (0..manifest.n_prompts as usize).map(paths::prompt);
        document.list("prompts", prompts, |path| bundle.file::<Prompt>(path))?;
    }
    if manifest.has_layer(&LABELS) {
        document.member("labels", &bundle.labels()?)?;
    }
    if manifest.has_layer(&EXPLANATIONS) {
        document.member("explanations", &bundle.explanations()?)?;
    }
    if let Some(n_chunks) = manifest.n_chunks().filter(|_| manifest.has_layer(&ROLES)) {
        document
            .list("roles", (0..n_chunks).map(|i| ROLES.path_of(i)), |path| bundle.file::<ChunkRoles>(path))?;
    }
    if let Some(stats) = bundle.role_stats()? {
        document.member("role_stats", &stats)?;
    }
    document.put("}\n")?;
    Ok(document.out)
}

struct DocumentWriter<W> {
    out: W,
}

impl<W: Write> DocumentWriter<W> {
    fn put(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).context("could not write the document")
    }

    /// Writes a value once it is certain that what is read back is the same.
    fn value<T: Serialize + DeserializeOwned + Wire>(&mut self, value: &T, name: &str) -> Result<()> {
        interrupt::check()?;
        let json = serde_json::to_string(value)?;
        let read: Option<T> = serde_json::from_str(&json).ok();
        let bytes = |value: &T| {
            let mut bytes = Vec::new();
            value.write(&mut bytes);
            bytes
        };
        ensure!(
            read.is_some_and(|read| bytes(&read) == bytes(value)),
            "the bundle holds a number that JSON has not, such as an infinite one: run `compute` again ({name})"
        );
        self.put(&json)
    }

    fn member<T: Serialize + DeserializeOwned + Wire>(&mut self, name: &str, value: &T) -> Result<()> {
        self.put(&format!(",\n\"{name}\":"))?;
        self.value(value, name)
    }

    /// Writes the files at `paths` as one list.
    fn list<T: Serialize + DeserializeOwned + Checked>(
        &mut self,
        name: &str,
        paths: impl Iterator<Item = String>,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<()> {
        self.put(&format!(",\n\"{name}\":["))?;
        for (i, path) in paths.enumerate() {
            self.put(if i == 0 { "\n" } else { ",\n" })?;
            self.value(&read(&path)?, &path)?;
        }
        self.put("]")
    }
}
