//! Tries any text as the JSON that `sae_vis` 0.2 saves.

use compute::exchange::import_sae_vis;

use crate::folder::made_of;
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    made_of("saved.json", bytes, |file, out| import_sae_vis(file, None, out))
}

pub fn seeds() -> Vec<Vec<u8>> {
    use super::good;
    vec![good::unpacked(&good::fixture("compute/tests/fixtures/sae_vis-0.2.json.gz"))]
}
