//! Tries any bytes as the layer of labels.

use shared::labels::Labels;

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let labels = good::read::<Labels>(Schema::Three, bytes);
    if let Some(labels) = &labels {
        let _texts: Vec<Option<String>> = labels.features.iter().take(8).map(|f| labels.of(*f)).collect();
        good::comes_back(labels);
    }
    outcome(labels)
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![good::of_v3::<Labels>("features/labels.bin")]
}
