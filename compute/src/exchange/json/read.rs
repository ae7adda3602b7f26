//! A document as a bundle.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    fs::{self, File},
    io::{self, BufReader, Read},
    marker::PhantomData,
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use shared::{
    bundle::Checked,
    corpus::CorpusChunk,
    error::Invalid,
    explanations::Explanations,
    feature::{Feature, FeatureBlock},
    labels::Labels,
    layers::ROLES,
    manifest::{FeatureRange, Manifest},
    paths,
    prompt::{Prompt, PromptIndex},
    roles::{ChunkRoles, RoleStats},
    vocab::Vocab,
};

use super::unzipped;
use crate::{bundle::BundleWriter, interrupt};

/// Bytes of one value of a document, at most: a feature, a chunk, the vocabulary.
const MAX_VALUE_BYTES: u64 = 256 << 20;
/// Features that are handed on at once.
const FEATURES: usize = 64;

/// Makes the bundle `out` of the document in the file `path`, gzipped or not; gives back its manifest.
///
/// # Errors
///
/// Where the file is no document, or not a whole one, where its values contradict one another, or `out` cannot be written.
pub fn read_json(path: &Path, out: &Path) -> Result<Manifest> {
    let reading = || format!("could not read the document ({})", path.display());
    ensure!(
        fs::metadata(path).with_context(reading)?.is_file(),
        "the document is not a regular file ({})",
        path.display()
    );
    let value_bytes = Cell::new(0);
    let file = unzipped(File::open(path).with_context(reading)?).with_context(reading)?;
    let from = BufReader::new(Metered { from: file, n_bytes: &value_bytes });
    let mut import = Import {
        writer: BundleWriter::new(out)?,
        value_bytes: &value_bytes,
        manifest: None,
        parts: Parts::default(),
        failed: None,
    };
    let mut json = serde_json::Deserializer::from_reader(from);
    let read = json.deserialize_map(&mut import).and_then(|()| json.end());
    if let Some(error) = import.failed {
        return Err(error.context(format!("could not make a bundle of it ({})", path.display())));
    }
    read.with_context(|| format!("could not read the document: no bundle as JSON ({})", path.display()))?;
    import.finish().with_context(|| format!("could not make a bundle of it ({})", path.display()))
}

/// Counts the bytes of a value, and ends where it has too many.
struct Metered<'a, R> {
    from: R,
    n_bytes: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, part: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(part)?;
        self.n_bytes.set(self.n_bytes.get() + n as u64);
        if self.n_bytes.get() > MAX_VALUE_BYTES {
            return Err(io::Error::other(format!("a value has more than {MAX_VALUE_BYTES} bytes")));
        }
        Ok(n)
    }
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    vocab: bool,
    n_chunks: usize,
    n_role_chunks: usize,
    expected: ExpectedFeature,
    /// `None` where it has no such member.
    n_prompts: Option<usize>,
}

/// The next of the features that the manifest counts.
#[derive(Default)]
struct ExpectedFeature {
    ranges: Vec<FeatureRange>,
    /// In `ranges`, and in that range.
    at: (usize, u32),
}

struct Import<'a> {
    writer: BundleWriter,
    value_bytes: &'a Cell<u64>,
    manifest: Option<Manifest>,
    parts: Parts,
    /// Why it stopped, where that is not the document's grammar.
    failed: Option<anyhow::Error>,
}

impl<'de> Visitor<'de> for &mut Import<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bundle as JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            self.value_bytes.set(0);
            match name.as_str() {
                "manifest" => {
                    let json: Value = members.next_value()?;
                    self.keep(|import| import.manifest(&json))?;
                }
                "vocab" => {
                    let vocab: Vocab = members.next_value()?;
                    self.keep(|import| import.vocab(&vocab))?;
                }
                "corpus" => members
                    .next_value_seed(Items::new(self, |import, chunk: CorpusChunk| import.chunk(&chunk)))?,
                "features" => {
                    let mut waiting = Vec::new();
                    let take = |import: &mut Import<'_>, feature: Feature| {
                        waiting.push(feature);
                        if waiting.len() < FEATURES {
                            Ok(())
                        } else {
                            import.features(std::mem::take(&mut waiting))
                        }
                    };
                    members.next_value_seed(Items::new(self, take))?;
                    self.keep(|import| {
                        import.features(waiting)?;
                        import.writer.end_of_features()
                    })?;
                }
                "prompts" => {
                    let prompts: Vec<Prompt> = members.next_value()?;
                    self.keep(|import| import.prompts(&prompts))?;
                }
                "labels" => {
                    let labels: Labels = members.next_value()?;
                    self.keep(|import| {
                        import.check(&labels, "labels")?;
                        import.writer.labels(&labels)
                    })?;
                }
                "explanations" => {
                    let explanations: Explanations = members.next_value()?;
                    self.keep(|import| {
                        import.check(&explanations, "explanations")?;
                        import.writer.explanations(&explanations)
                    })?;
                }
                "roles" => members
                    .next_value_seed(Items::new(self, |import, roles: ChunkRoles| import.roles(&roles)))?,
                "role_stats" => {
                    let stats: RoleStats = members.next_value()?;
                    self.keep(|import| {
                        import.check(&stats, "role_stats")?;
                        import.writer.role_stats(&stats)
                    })?;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl Import<'_> {
    /// Does `work`; keeps its error and stops the reader where it fails.
    fn keep<E: serde::de::Error>(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<(), E> {
        let done = interrupt::check().map_err(Into::into).and_then(|()| work(self));
        self.value_bytes.set(0);
        done.map_err(|error| {
            self.failed = Some(error);
            E::custom("stopped")
        })
    }

    fn manifest(&mut self, json: &Value) -> Result<()> {
        ensure!(self.manifest.is_none(), "it has two manifests");
        let manifest = Manifest::from_json(&serde_json::to_vec(json)?)?;
        self.parts.expected.ranges.clone_from(&manifest.features);
        self.manifest = Some(manifest);
        Ok(())
    }

    /// The manifest, which must have come before.
    fn known(&self) -> Result<&Manifest> {
        self.manifest.as_ref().context("its manifest must be its first member")
    }

    fn check<T: Checked>(&self, value: &T, name: &str) -> Result<()> {
        value.check(self.known()?).map_err(|Invalid(reason)| anyhow!("{name}: {reason}"))
    }

    fn vocab(&mut self, vocab: &Vocab) -> Result<()> {
        self.check(vocab, "vocab")?;
        ensure!(!std::mem::replace(&mut self.parts.vocab, true), "it has two vocabularies");
        self.writer.text().vocab(vocab)
    }

    fn chunk(&mut self, chunk: &CorpusChunk) -> Result<()> {
        let i = self.parts.n_chunks;
        self.check(chunk, &paths::chunk(i))?;
        self.check_place(i, chunk.first_row, chunk.seq_len)?;
        self.parts.n_chunks += 1;
        self.writer.text().chunk(i, chunk)
    }

    fn roles(&mut self, chunk: &ChunkRoles) -> Result<()> {
        let i = self.parts.n_role_chunks;
        self.check(chunk, &ROLES.path_of(i))?;
        self.check_place(i, chunk.first_row, chunk.seq_len)?;
        self.parts.n_role_chunks += 1;
        self.writer.text().role_chunk(i, chunk)
    }

    /// Fails where chunk `i` of the corpus is not where the manifest has it.
    fn check_place(&self, i: usize, first_row: u32, seq_len: u32) -> Result<()> {
        let manifest = self.known()?;
        let rows = manifest.rows_per_chunk.context("it has a corpus, and the manifest no rows_per_chunk")?;
        ensure!(
            i as u64 * u64::from(rows) == u64::from(first_row) && manifest.dataset.seq_len == Some(seq_len),
            "chunk {i} of the corpus begins at row {first_row}, expected {}, in rows of {:?} tokens",
            i as u64 * u64::from(rows),
            manifest.dataset.seq_len
        );
        Ok(())
    }

    fn features(&mut self, features: Vec<Feature>) -> Result<()> {
        self.known()?;
        for feature in &features {
            let (found, expected) = (feature.feature, self.parts.expected.next());
            ensure!(
                expected == Some(found),
                "it has feature {found}, where the manifest has {}",
                expected.map_or_else(|| "none more".to_owned(), |feature| feature.to_string())
            );
        }
        let block = FeatureBlock { features };
        self.check(&block, "features")?;
        self.writer.features(block.features)
    }

    fn prompts(&mut self, prompts: &[Prompt]) -> Result<()> {
        let texts = prompts.iter().map(|prompt| prompt.text.clone()).collect();
        self.check(&PromptIndex { texts }, "prompts")?;
        for (i, prompt) in prompts.iter().enumerate() {
            self.check(prompt, &paths::prompt(i))?;
        }
        self.parts.n_prompts = Some(prompts.len());
        self.writer.prompts(prompts)
    }

    fn finish(mut self) -> Result<Manifest> {
        let mut manifest = self.manifest.take().context("it has no manifest")?;
        ensure!(self.parts.vocab, "it has no vocabulary");
        if let Some(feature) = self.parts.expected.next() {
            bail!("it has no feature {feature}, which its manifest counts");
        }
        if self.parts.n_prompts.is_none() {
            self.writer.prompts(&[])?;
        }
        let (n_prompts, expected) = (self.parts.n_prompts.unwrap_or(0), manifest.n_prompts);
        ensure!(expected as usize == n_prompts, "it has {n_prompts} prompts, expected {expected}");
        let n_chunks = manifest.n_chunks().unwrap_or(0);
        for (what, n) in [("corpus", self.parts.n_chunks), ("roles", self.parts.n_role_chunks)] {
            let absent = what == "roles" && n == 0;
            ensure!(absent || n == n_chunks, "it has {n} chunks of {what}, expected {n_chunks}");
        }
        let (old_files, old_layers) = (manifest.files, manifest.layers);
        manifest.blocks = self.writer.blocks().to_vec();
        manifest.layers = self.writer.layers().to_vec();
        manifest.files = self.writer.files().to_vec();
        manifest.shared = None;
        // In the order of the bundle that the document was made of.
        manifest.layers.sort_by_key(|layer| old_layers.iter().position(|old| old.name == layer.name));
        let places: HashMap<&str, usize> =
            old_files.iter().enumerate().map(|(i, file)| (file.path.as_str(), i)).collect();
        manifest.files.sort_by_key(|file| places.get(file.path.as_str()).copied().unwrap_or(usize::MAX));
        self.writer.finish(&manifest)?;
        Ok(manifest)
    }
}

impl Iterator for ExpectedFeature {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (range, offset) = self.at;
        let FeatureRange { start, end } = *self.ranges.get(range)?;
        let feature = start + offset;
        self.at = if feature + 1 == end { (range + 1, 0) } else { (range, offset + 1) };
        Some(feature)
    }
}

/// A list whose items are handed on one by one.
struct Items<'a, 'b, T, F> {
    import: &'a mut Import<'b>,
    take: F,
    item: PhantomData<T>,
}

impl<'a, 'b, T, F: FnMut(&mut Import<'_>, T) -> Result<()>> Items<'a, 'b, T, F> {
    fn new(import: &'a mut Import<'b>, take: F) -> Self {
        Self { import, take, item: PhantomData }
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(&mut Import<'_>, T) -> Result<()>> DeserializeSeed<'de>
    for Items<'_, '_, T, F>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(&mut Import<'_>, T) -> Result<()>> Visitor<'de>
    for Items<'_, '_, T, F>
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            self.import.keep(|import| (self.take)(import, item))?;
        }
        Ok(())
    }
}
