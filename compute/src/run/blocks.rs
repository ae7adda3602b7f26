//! Cuts features into blocks as they come, and keeps the little of each that the bundle's index holds.

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    bundle::{Encoding, encode},
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    manifest::BlockInfo,
    sequence::GroupKind,
};

use crate::write::BundleWriter;

/// Uncompressed size at which a block of features is closed: about 256 KB compressed.
const BLOCK_BYTES: usize = 400 << 10;
/// Distinct tokens listed for a feature in the index.
const INDEX_TOKENS: usize = 3;

/// Blocks of consecutive features, written as they fill.
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
    /// Takes features, which follow those taken before, and writes the blocks that they fill.
    pub fn push(
        &mut self,
        features: Vec<Feature>,
        writer: &mut BundleWriter,
        encoding: Encoding,
    ) -> Result<()> {
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
        self.write(&full, writer, encoding)
    }

    /// Writes the last block and the index.
    pub fn finish(&mut self, writer: &mut BundleWriter, encoding: Encoding) -> Result<()> {
        let last = std::mem::take(&mut self.open);
        self.write(&[last], writer, encoding)?;
        writer.add(encoding.index_path(), &self.index)
    }

    fn write(
        &mut self,
        blocks: &[FeatureBlock],
        writer: &mut BundleWriter,
        encoding: Encoding,
    ) -> Result<()> {
        let n_written = self.infos.len();
        let encoded: Vec<_> = blocks
            .par_iter()
            .enumerate()
            .map(|(i, block)| encode(block, encoding.block_path(n_written + i), encoding))
            .collect::<Result<_, _>>()?;
        for (block, file) in blocks.iter().zip(encoded) {
            if let (Some(first), Some(last)) = (block.features.first(), block.features.last()) {
                self.infos.push(BlockInfo { first: first.feature, last: last.feature });
                writer.add_encoded(file)?;
            }
        }
        Ok(())
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
