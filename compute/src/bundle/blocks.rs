//! Cuts features into blocks as they come, and keeps the little of each that the bundle's index holds.

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    bundle::{Encoding, encode},
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    manifest::{BlockInfo, FileInfo},
    sequence::GroupKind,
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
    /// The table over all features.
    pub index: FeatureIndex,
    /// Features that are never active.
    pub n_dead: u32,
}

impl Blocks {
    /// Takes features, which follow those taken before; gives back the blocks that they fill, encoded.
    pub fn push(&mut self, features: Vec<Feature>, encoding: Encoding) -> Result<Vec<EncodedFile>> {
        let sizes: Vec<usize> =
            features.par_iter().map(|f| Ok(postcard::to_stdvec(f)?.len())).collect::<Result<_>>()?;
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
        self.encode(&full, encoding)
    }

    /// The last block, encoded; none where there is no feature.
    pub fn last(&mut self, encoding: Encoding) -> Result<Vec<EncodedFile>> {
        let last = std::mem::take(&mut self.open);
        let blocks: &[FeatureBlock] = if last.features.is_empty() { &[] } else { &[last] };
        self.encode(blocks, encoding)
    }

    fn encode(&mut self, blocks: &[FeatureBlock], encoding: Encoding) -> Result<Vec<EncodedFile>> {
        let first = self.infos.len();
        for block in blocks {
            if let (Some(first), Some(last)) = (block.features.first(), block.features.last()) {
                self.infos.push(BlockInfo { first: first.feature, last: last.feature });
            }
        }
        let encode = |(i, block)| Ok(encode(block, encoding.block_path(first + i), encoding)?);
        blocks.par_iter().enumerate().map(encode).collect()
    }

    fn enter(&mut self, feature: &Feature) {
        let (index, stats) = (&mut self.index, &feature.stats);
        self.n_dead += u32::from(stats.n_active == 0);
        index.features.push(feature.feature);
        index.density.push(stats.density as f32);
        index.max.push(stats.max);
        index.mean.push(stats.mean as f32);
        index.std.push(stats.std as f32);
        index.skewness.push(stats.skewness as f32);
        index.kurtosis.push(stats.kurtosis as f32);
        index.active_tokens.push(active_tokens(feature));
        index.logit_tokens.push(logit_tokens(feature));
    }
}

/// Distinct bold tokens of the top examples.
fn active_tokens(feature: &Feature) -> Vec<u32> {
    let Some(sequences) = &feature.sequences else { return Vec::new() };
    let n_top =
        sequences.groups.iter().find(|g| g.kind == GroupKind::Top).map_or(0, |g| g.n_examples as usize);
    let bold = |i: usize| {
        let offset = sequences.before.unwrap_or(sequences.positions[i]);
        sequences.token_ids[i * sequences.window_len as usize + offset as usize]
    };
    let mut tokens = Vec::new();
    for token in (0..n_top).map(bold) {
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
