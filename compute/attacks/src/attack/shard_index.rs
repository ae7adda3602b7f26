//! Tries any text as the index of sharded weights, beside one shard.

use checkpoints::Weights;

use super::good;
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let shard = good::safetensors(&[("a", &[1])]);
    let files = [("model.safetensors.index.json", bytes), ("one.safetensors", &shard)];
    with_files("shards", &files, |folder| {
        outcome(judged(Weights::open_index(&folder.join("model.safetensors.index.json"))))
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![br#"{"metadata":{"total_size":4},"weight_map":{"a":"one.safetensors","b":"one.safetensors"}}"#.to_vec()]
}
