//! The layer `neighbours`: for each feature the features of other SAEs of the site that are most like it.
//!
//! Two measures, of which neither implies the other: the cosine of the decoders' directions in the residual stream, and the
//! Pearson correlation of the activations at the same positions of the corpus.

use serde::Serialize;

use crate::{
    error::{Invalid, ensure},
    paths,
    wire::wire,
};

/// Neighbours of the features of a block.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Neighbours {
    /// The other SAEs, by the paths of their bundles in the site.
    pub bundles: Vec<String>,
    /// Of each feature of the block, in order.
    pub features: Vec<FeatureNeighbours>,
}

/// Neighbours of a feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FeatureNeighbours {
    /// The feature.
    pub feature: u32,
    /// In each of [`Neighbours::bundles`].
    pub of: Vec<BundleNeighbours>,
}

/// Neighbours of a feature in one other SAE, most alike first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct BundleNeighbours {
    /// By the cosine of the decoder's directions in the residual stream, −1 to 1.
    pub by_direction: Vec<Neighbour>,
    /// By the Pearson correlation of activations, −1 to 1; features never active together are left out.
    pub by_activation: Vec<Neighbour>,
}

/// A feature of another SAE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Neighbour {
    /// The feature, by its number in its own SAE.
    pub feature: u32,
    /// How alike it is.
    pub value: f32,
}

wire!(Neighbours { bundles, features });
wire!(sized FeatureNeighbours { feature, of });
wire!(BundleNeighbours { by_direction, by_activation });
wire!(Neighbour { feature, value });

impl Neighbours {
    /// The neighbours of `feature` in each of the other SAEs.
    pub fn of(&self, feature: u32) -> impl Iterator<Item = (&str, &BundleNeighbours)> {
        let found = self.features.binary_search_by_key(&feature, |entry| entry.feature).ok();
        let of = found.map_or(&[][..], |i| &self.features[i].of);
        self.bundles.iter().map(String::as_str).zip(of)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        for path in &self.bundles {
            ensure(paths::is_inside(path), || format!("it names a bundle outside its site: {path:?}"))?;
        }
        let ascending = self.features.is_sorted_by(|a, b| a.feature < b.feature);
        ensure(ascending, || "features are not in ascending order".into())?;
        let expected = self.bundles.len();
        self.features.iter().try_for_each(|entry| {
            let (feature, n) = (entry.feature, entry.of.len());
            ensure(n == expected, || {
                format!("feature {feature} has neighbours in {n} SAEs, expected {expected}")
            })
        })
    }
}
