//! Cuts features into blocks as they come, and keeps the little of each that the bundle's index holds.

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    bundle::encode,
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    manifest::{BlockInfo, FileInfo},
    paths,
    sequence::GroupKind,
    wire::Wire as _,
};

/// Uncompressed size at which a block of features is closed: about 256 KB compressed.
const BLOCK_BYTES: usize = 400 << 10;
/// Distinct tokens listed for a feature in the index.
const INDEX_TOKENS: usize = 3;

/// A file and its entry for the manifest.
pub type EncodedFile = (FileInfo, Vec<u8>);

/// Blocks of consecutive features, encoded as they fill.
#[derive(Debug, Default)]
pub struct Blocks {
    /// The block that is being filled, and its uncompressed size so far.
    open: FeatureBlock,
    filled: usize,
    /// First and last feature of every block.
    pub infos: Vec<BlockInfo>,
    index: FeatureIndex,
    /// Features that are never active.
    pub n_dead: u32,
}

impl Blocks {
    /// Takes features, which follow those taken before; gives back the blocks that they fill, encoded.
    pub fn push(&mut self, features: Vec<Feature>) -> Result<Vec<EncodedFile>> {
        let size = |feature: &Feature| {
            let mut bytes = Vec::new();
            feature.write(&mut bytes);
            bytes.len()
        };
        let sizes: Vec<usize> = features.par_iter().map(size).collect();
        let mut full = Vec::new();
        for (feature, size) in features.into_iter().zip(sizes) {
            self.enter(&feature);
            if !self.open.features.is_empty() && self.filled + size > BLOCK_BYTES {
                full.push(std::mem::take(&mut self.open));
                self.filled = 0;
            }
            self.filled += size;
            self.open.features.push(feature);
        }
        self.encode(&full)
    }

    /// The table over all features, encoded once all were taken. Minima are a signed SAE's alone.
    pub fn index(&mut self) -> Result<EncodedFile> {
        if self.index.min.iter().all(|min| *min >= 0.0) {
            self.index.min.clear();
        }
        Ok(encode(&self.index, paths::INDEX.to_owned())?)
    }

    /// The last block, encoded; none where there is no feature.
    pub fn last(&mut self) -> Result<Vec<EncodedFile>> {
        let last = std::mem::take(&mut self.open);
        let blocks: &[FeatureBlock] = if last.features.is_empty() { &[] } else { &[last] };
        self.encode(blocks)
    }

    fn encode(&mut self, blocks: &[FeatureBlock]) -> Result<Vec<EncodedFile>> {
        let first = self.infos.len();
        for block in blocks {
            if let (Some(first), Some(last)) = (block.features.first(), block.features.last()) {
                self.infos.push(BlockInfo { first: first.feature, last: last.feature });
            }
        }
        let encode = |(i, block)| Ok(encode(block, paths::block(first + i))?);
        blocks.par_iter().enumerate().map(encode).collect()
    }

    fn enter(&mut self, feature: &Feature) {
        let (index, stats) = (&mut self.index, &feature.stats);
        self.n_dead += u32::from(stats.is_dead());
        index.features.push(feature.feature);
        let known = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        index.density.push(known(stats.density));
        index.max.push(stats.max);
        index.min.push(stats.min);
        index.mean.push(known(stats.moments.map(|m| m.mean)));
        index.std.push(known(stats.moments.map(|m| m.std)));
        index.skewness.push(known(stats.moments.map(|m| m.skewness)));
        index.kurtosis.push(known(stats.moments.map(|m| m.kurtosis)));
        index.active_tokens.push(active_tokens(feature));
        index.logit_tokens.push(logit_tokens(feature));
    }
}

/// Distinct bold tokens of the top examples.
fn active_tokens(feature: &Feature) -> Vec<u32> {
    let Some(sequences) = &feature.sequences else { return Vec::new() };
    let n_top = sequences.groups.first().filter(|g| g.kind == GroupKind::Top).map_or(0, |g| g.n_examples);
    let mut tokens = Vec::new();
    for token in sequences.bold_token_ids().take(n_top as usize) {
        if !tokens.contains(&token) && tokens.len() < INDEX_TOKENS {
            tokens.push(token);
        }
    }
    tokens
}

fn logit_tokens(feature: &Feature) -> Vec<u32> {
    let top = feature.logits_table.iter().flat_map(|t| &t.top);
    top.take(INDEX_TOKENS).map(|t| t.token_id).collect()
}
