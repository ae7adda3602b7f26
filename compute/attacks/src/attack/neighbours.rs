//! Tries any bytes as the neighbours of a block's features in other SAEs of the site.

use shared::neighbours::{BundleNeighbours, FeatureNeighbours, Neighbour, Neighbours};

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let neighbours = good::read::<Neighbours>(Schema::Three, bytes);
    if let Some(neighbours) = &neighbours {
        let _found = [0, u32::MAX].map(|feature| neighbours.of(feature).count());
        good::comes_back(neighbours);
    }
    outcome(neighbours)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let one = BundleNeighbours {
        by_direction: vec![Neighbour { feature: 3, value: 0.5 }],
        by_activation: vec![Neighbour { feature: 300, value: -0.25 }],
    };
    let features = [2, 7].map(|feature| FeatureNeighbours { feature, of: vec![one.clone()] }).to_vec();
    vec![good::written(&Neighbours { bundles: vec!["other/sae".to_owned()], features })]
}
