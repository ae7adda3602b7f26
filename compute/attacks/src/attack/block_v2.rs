//! Tries any bytes as a block of features of schema 2, and shows all that a page shows of it.

use shared::feature::FeatureBlock;

use super::block;
use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let read = good::read::<FeatureBlock>(Schema::Two, bytes);
    read.iter().for_each(block::show);
    outcome(read)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let plain = good::unpacked(&good::fixture("tests/fixtures/bundles/2.0/postcard/features/0000.bin"));
    vec![good::of_v2("features/0000.bin"), plain]
}
