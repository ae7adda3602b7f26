//! A part of a bundle: chosen features, with all that the whole bundle says of them.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use shared::{
    feature::FeatureBlock,
    labels::Labels,
    layers::{LABELS, ROLE_STATS},
    layout::Layout,
    manifest::{FeatureRange, MAJOR, MINOR, SchemaVersion},
    paths,
    prompt::Prompt,
    roles::RoleStats,
};

use super::{Bundle, BundleWriter};
use crate::interrupt;

/// Writes the bundle `to` with those features of the bundle in `from` that are `chosen`: all where that is `None`. Vocabulary
/// and corpus stay whole; prompts keep the chosen features' scores. The page then begins with `layout`, where it is given.
pub fn subset(from: &Path, chosen: Option<&[FeatureRange]>, layout: Option<Layout>, to: &Path) -> Result<()> {
    let bundle = Bundle::open(from)?;
    let mut manifest = bundle.manifest.alone();
    let SchemaVersion { major, minor } = manifest.schema;
    ensure!(
        (major, minor) == (MAJOR, MINOR),
        "parts are made of bundles of schema {MAJOR}.{MINOR} only, this one has {major}.{minor}: run `compute` again ({})",
        from.display()
    );
    if let Some(chosen) = chosen {
        let all = chosen.iter().flat_map(|range| range.start..range.end);
        all.map(|feature| bundle.manifest.block_of(feature)).try_for_each(|block| block.map(drop))?;
        manifest.features = chosen.to_vec();
    }
    if let Some(layout) = layout {
        if let Some(refusal) = manifest.layouts.feature.needs().covers(&layout.needs()).first() {
            bail!(
                "the bundle lacks what the layout shows: {}.{}: {}",
                refusal.component,
                refusal.option,
                refusal.reason
            );
        }
        manifest.layouts.feature = layout;
    }
    let part = Part { bundle: &bundle, features: &manifest.features };
    let mut writer = BundleWriter::new(to)?;
    let labels = bundle.manifest.labels_path();
    for info in &manifest.files.clone() {
        interrupt::check()?;
        match info.path.as_str() {
            // The table follows the last block, and is made with them.
            paths::INDEX => part.write_features(&mut writer)?,
            paths::PROMPTS => writer.prompts(&part.prompts()?)?,
            path if path == labels && manifest.has_layer(&LABELS) => writer.labels(&part.labels()?)?,
            path if path == ROLE_STATS.path() => writer.role_stats(&part.role_stats()?)?,
            path if part.is_block(path) || part.is_prompt(path) => {}
            path => writer.keep(&bundle, bundle.manifest.file(path)?)?,
        }
    }
    manifest.blocks = writer.blocks().to_vec();
    manifest.files = writer.files().to_vec();
    writer.finish(&manifest)
}

/// A bundle and the features of it that are chosen.
struct Part<'a> {
    bundle: &'a Bundle,
    features: &'a [FeatureRange],
}

impl Part<'_> {
    fn has(&self, feature: u32) -> bool {
        self.features.iter().any(|range| (range.start..range.end).contains(&feature))
    }

    fn is_block(&self, path: &str) -> bool {
        (0..self.bundle.manifest.blocks.len()).any(|i| path == paths::block(i))
    }

    fn is_prompt(&self, path: &str) -> bool {
        (0..self.bundle.manifest.n_prompts as usize).any(|i| path == paths::prompt(i))
    }

    fn write_features(&self, writer: &mut BundleWriter) -> Result<()> {
        for (i, block) in self.bundle.manifest.blocks.iter().enumerate() {
            interrupt::check()?;
            if (block.first..=block.last).any(|feature| self.has(feature)) {
                let mut features = self.bundle.file::<FeatureBlock>(&paths::block(i))?.features;
                features.retain(|feature| self.has(feature.feature));
                writer.features(features)?;
            }
        }
        writer.end_of_features()
    }

    fn prompts(&self) -> Result<Vec<Prompt>> {
        let prompt = |i| {
            let mut prompt: Prompt = self.bundle.file(&paths::prompt(i))?;
            prompt.features.retain(|feature| self.has(feature.feature));
            for scores in prompt.scores.iter_mut().flat_map(|metric| &mut metric.positions) {
                scores.retain(|score| self.has(score.feature));
            }
            Ok(prompt)
        };
        (0..self.bundle.manifest.n_prompts as usize).map(prompt).collect()
    }

    fn labels(&self) -> Result<Labels> {
        let Labels { features, texts } = self.bundle.labels()?;
        let kept = features.into_iter().zip(texts).filter(|(feature, _)| self.has(*feature));
        let (features, texts) = kept.unzip();
        Ok(Labels { features, texts })
    }

    fn role_stats(&self) -> Result<RoleStats> {
        let all: RoleStats = self.bundle.role_stats()?.unwrap_or_default();
        let mut part = RoleStats { density: Vec::new(), max: Vec::new(), ..all.clone() };
        for (i, feature) in self.bundle.manifest.feature_ids().enumerate() {
            if self.has(feature) {
                part.density.extend(all.of_entry(i).map(|(_, density, _)| density));
                part.max.extend(all.of_entry(i).map(|(_, _, max)| max));
            }
        }
        Ok(part)
    }
}
