//! Tries any bytes as the index of features, of today's schema or of schema 2 by the first byte.

use shared::index::FeatureIndex;

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, plain) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let schema = if first == 2 { Schema::Two } else { Schema::Three };
    let index = good::read::<FeatureIndex>(schema, plain);
    if let Some(index) = &index {
        good::comes_back(index);
    }
    outcome(index)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let old = good::of_v2("features/index.bin");
    vec![[&[2], &old[..]].concat(), [&[3], &good::of_v3::<FeatureIndex>("features/index.bin")[..]].concat()]
}
