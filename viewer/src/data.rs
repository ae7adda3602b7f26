//! The bundle as the page reads it: fetched file by file, decoded once, kept.
//!
//! Opening reads the manifest alone; the vocabulary and the first block come side by side after it, the index
//! when a page asks. Whatever is asked for twice is fetched once.

mod loading;
mod source;

use std::{any::Any, future::Future, rc::Rc, sync::Arc};

use futures_util::future::{FutureExt as _, LocalBoxFuture, try_join, try_join_all};
use page_logic::{
    error::DataError,
    files::{Files, typed},
    reading::{Reading, is_wider},
};
use send_wrapper::SendWrapper;
use shared::{
    BundleError,
    bundle::{Checked, decode},
    corpus::CorpusChunk,
    explanations::Explanations,
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    labels::Labels,
    layers::EXPLANATIONS,
    manifest::Manifest,
    paths,
    prompt::{Prompt, PromptIndex},
    vocab::Vocab,
};

pub use loading::Loading;
pub use source::Source;

/// Decoded blocks that are kept, so that going back and forth is instant and memory stays bounded.
const KEPT_BLOCKS: usize = 24;
/// Decoded corpus chunks that are kept.
const KEPT_CHUNKS: usize = 128;
/// Decoded prompts that are kept.
const KEPT_PROMPTS: usize = 8;

/// An open bundle.
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    source: Source,
    decoded: SendWrapper<DecodedFiles>,
}

/// Decoded files. The page has one thread, which the wrapper checks.
struct DecodedFiles {
    vocab: Files,
    blocks: Files,
    chunks: Files,
    index: Files,
    labels: Files,
    explanations: Files,
    prompts: Files,
    prompt_index: Files,
}

/// A feature with what is needed to show it. Cheap to clone.
#[derive(Clone)]
pub struct FeatureData {
    /// The bundle it is of.
    pub bundle: Arc<Bundle>,
    /// Token texts.
    pub vocab: Arc<Vocab>,
    /// How the reader wants it.
    pub reading: Reading,
    /// The whole rows of its examples, where more than the stored windows is shown; or why they cannot be.
    pub rows: Result<Option<Arc<Rows>>, DataError>,
    block: Arc<FeatureBlock>,
    at: usize,
}

/// Rows of the corpus by number, ascending.
pub struct Rows(Vec<(u32, Vec<u32>)>);

impl Rows {
    /// The token ids of `row`.
    pub fn of(&self, row: u32) -> Option<&[u32]> {
        let i = self.0.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        self.0.get(i).map(|(_, ids)| ids.as_slice())
    }
}

impl FeatureData {
    /// The feature.
    pub fn feature(&self) -> &Feature {
        &self.block.features[self.at]
    }

    /// The largest size of its activations.
    pub fn max_act(&self) -> f64 {
        self.feature().stats.max_size().into()
    }

    /// Whether examples with `buffer` tokens around them need more than the stored windows.
    fn is_wider(&self, buffer: Option<(u32, u32)>) -> bool {
        self.feature().sequences.as_ref().is_some_and(|s| is_wider(buffer, s.buffer))
    }

    /// The rows of its examples, ascending.
    fn example_rows(&self) -> Vec<u32> {
        let sequences = self.feature().sequences.as_ref();
        let mut rows: Vec<u32> =
            sequences.map_or_else(Vec::new, |s| s.bold_tokens().map(|(row, _)| row).collect());
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

impl Bundle {
    /// Reads the manifest at `source`.
    pub async fn open(source: Source) -> Result<Arc<Self>, DataError> {
        let json = source.manifest().await?;
        let manifest = Manifest::from_json(&json)?;
        let decoded = DecodedFiles {
            vocab: Files::keeping(1),
            blocks: Files::keeping(KEPT_BLOCKS),
            chunks: Files::keeping(KEPT_CHUNKS),
            index: Files::keeping(1),
            labels: Files::keeping(1),
            explanations: Files::keeping(1),
            prompts: Files::keeping(KEPT_PROMPTS),
            prompt_index: Files::keeping(1),
        };
        Ok(Arc::new(Self { manifest, source, decoded: SendWrapper::new(decoded) }))
    }

    /// Token texts.
    pub fn vocab(self: &Arc<Self>) -> impl Future<Output = Result<Arc<Vocab>, DataError>> + use<> {
        self.read(&self.decoded.vocab, 0, paths::VOCAB.to_owned())
    }

    /// The table over all features.
    pub fn index(self: &Arc<Self>) -> impl Future<Output = Result<Arc<FeatureIndex>, DataError>> + use<> {
        self.read(&self.decoded.index, 0, paths::INDEX.to_owned())
    }

    /// The labels of features, of a bundle that has them.
    pub fn labels(self: &Arc<Self>) -> impl Future<Output = Result<Arc<Labels>, DataError>> + use<> {
        self.read(&self.decoded.labels, 0, self.manifest.labels_path())
    }

    /// What people and programs say that features mean, of a bundle that has that layer.
    pub fn explanations(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<Arc<Explanations>, DataError>> + use<> {
        self.read(&self.decoded.explanations, 0, EXPLANATIONS.path())
    }

    /// The list of prompts.
    pub fn prompt_index(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<Arc<PromptIndex>, DataError>> + use<> {
        self.read(&self.decoded.prompt_index, 0, paths::PROMPTS.to_owned())
    }

    /// Prompt `i`.
    pub fn prompt(self: &Arc<Self>, i: u32) -> impl Future<Output = Result<Arc<Prompt>, DataError>> + use<> {
        let i = i as usize;
        self.read(&self.decoded.prompts, i, paths::prompt(i))
    }

    /// Everything that `feature`'s page shows, read as `reading` says in a layout whose examples show `buffer`.
    pub async fn feature(
        self: Arc<Self>,
        feature: u32,
        reading: Reading,
        buffer: Option<(u32, u32)>,
    ) -> Result<FeatureData, DataError> {
        let block = self.manifest.block_of(feature)?;
        let (block, vocab) = try_join(self.block(block), self.vocab()).await?;
        let Ok(at) = block.features.binary_search_by_key(&feature, |f| f.feature) else {
            let have = "its block holds others; run `compute` again".to_owned();
            return Err(BundleError::Missing { what: format!("feature {feature}"), have }.into());
        };
        let mut shown = FeatureData { bundle: self, vocab, reading, rows: Ok(None), block, at };
        if shown.is_wider(reading.reach.buffer(buffer)) {
            shown.rows = Arc::clone(&shown.bundle).rows(shown.example_rows()).await.map(Some);
        }
        Ok(shown)
    }

    /// The corpus rows `rows`, ascending.
    async fn rows(self: Arc<Self>, rows: Vec<u32>) -> Result<Arc<Rows>, DataError> {
        let read = rows.into_iter().map(|row| {
            let bundle = Arc::clone(&self);
            async move { bundle.row(row).await.map(|(ids, _)| (row, ids)) }
        });
        Ok(Arc::new(Rows(try_join_all(read).await?)))
    }

    /// All token ids of corpus row `row`, and the document it begins in, where that is known.
    pub async fn row(self: Arc<Self>, row: u32) -> Result<(Vec<u32>, Option<u32>), DataError> {
        let no_corpus = || BundleError::Missing {
            what: "corpus".to_owned(),
            have: "it was made without the text around its examples".to_owned(),
        };
        let i = self.manifest.chunk_of(row).ok_or_else(no_corpus)?;
        let path = paths::chunk(i);
        let chunk: Arc<CorpusChunk> = self.read(&self.decoded.chunks, i, path.clone()).await?;
        let missing = || BundleError::Invalid { reason: format!("row {row} is missing"), path };
        let ids = chunk.row(row).ok_or_else(missing)?.to_vec();
        Ok((ids, chunk.document(row)))
    }

    /// Size of the file that holds `feature`, compressed; 0 where the bundle has none.
    pub fn size_of(&self, feature: u32) -> u64 {
        let Ok(block) = self.manifest.block_of(feature) else { return 0 };
        let path = paths::block(block);
        self.manifest.files.iter().find(|file| file.path == path).map_or(0, |file| file.bytes)
    }

    /// Fetches the block of `feature` if it is not there yet, so that a later visit need not wait.
    pub fn prefetch(self: &Arc<Self>, feature: u32) {
        if let Ok(block) = self.manifest.block_of(feature) {
            let pending = self.block(block);
            // An error is not lost: it is shown when the feature is asked for.
            in_background(async { drop(pending.await) });
        }
    }

    /// The feature of the bundle `by` steps after `feature` (before it where negative), going round at the ends.
    pub fn neighbour(&self, feature: u32, by: i64) -> Option<u32> {
        let ranges = || self.manifest.features.iter();
        let before: i64 = ranges().map(|r| i64::from(feature.clamp(r.start, r.end) - r.start)).sum();
        let n = self.manifest.n_features() as i64;
        // A feature that the bundle lacks stands between two: going back from it skips none.
        let from = if by < 0 || self.manifest.has_feature(feature) { before } else { before - 1 };
        self.nth(u32::try_from((from + by).rem_euclid(n.max(1))).ok()?)
    }

    /// The feature of the bundle that has `n` others before it.
    pub fn nth(&self, mut n: u32) -> Option<u32> {
        for r in &self.manifest.features {
            if n < r.end - r.start {
                return Some(r.start + n);
            }
            n -= r.end - r.start;
        }
        None
    }

    /// Where the bundle lies.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn block(
        self: &Arc<Self>,
        i: usize,
    ) -> impl Future<Output = Result<Arc<FeatureBlock>, DataError>> + use<> {
        self.read(&self.decoded.blocks, i, paths::block(i))
    }

    fn read<T: Checked + 'static>(
        self: &Arc<Self>,
        files: &Files,
        i: usize,
        path: String,
    ) -> impl Future<Output = Result<Arc<T>, DataError>> + use<T> {
        let decoded: Decode =
            |manifest, path, bytes| Ok(Rc::new(Arc::new(decode::<T>(manifest, path, bytes)?)));
        let bundle = Arc::clone(self);
        typed(files.get(i, move || bundle.read_any(path, decoded)))
    }

    fn read_any(
        self: Arc<Self>,
        path: String,
        decoded: Decode,
    ) -> LocalBoxFuture<'static, Result<Rc<dyn Any>, DataError>> {
        async move {
            let shared =
                self.manifest.shared.as_ref().filter(|_| self.manifest.file(&path).is_ok_and(|f| f.shared));
            let bytes = match shared {
                Some(shared) => {
                    let up = "../".repeat(shared.n_up());
                    self.source.file_bytes(&[&up, shared.folder(), "/", &path].concat()).await?
                }
                None => self.source.file_bytes(&self.manifest.file(&path)?.path).await?,
            };
            Ok(decoded(&self.manifest, &path, &bytes)?)
        }
        .boxed_local()
    }
}

/// Decodes a file of some type.
type Decode = fn(&Manifest, &str, &[u8]) -> Result<Rc<dyn Any>, BundleError>;

/// Runs work whose result nobody waits for.
#[expect(clippy::disallowed_methods, reason = "nowhere else: its callers say why no error is lost")]
pub fn in_background(work: impl Future<Output = ()> + 'static) {
    leptos::task::spawn_local(work);
}
