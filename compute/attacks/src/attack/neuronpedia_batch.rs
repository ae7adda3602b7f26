//! Tries any text as a batch of features that SAEDashboard writes for Neuronpedia.

use compute::exchange::import_neuronpedia;

use super::good;
use crate::folder::made_of;
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    made_of("batch-0.json", bytes, |file, out| import_neuronpedia(file.parent().unwrap_or(file), out))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = good::unpacked(&good::fixture("compute/tests/fixtures/neuronpedia-batch-0.json.gz"));
    let Ok(mut batch) = serde_json::from_slice::<serde_json::Value>(&whole) else { return Vec::new() };
    if let Some(features) = batch.get_mut("features").and_then(serde_json::Value::as_array_mut) {
        features.truncate(1);
    }
    serde_json::to_vec(&batch).into_iter().collect()
}
