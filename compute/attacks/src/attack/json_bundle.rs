//! Tries any text as a whole bundle in one JSON document, of which a bundle is made.

use compute::exchange::read_json;

use super::document;
use crate::folder::made_of;
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    made_of("bundle.json", bytes, read_json)
}

pub fn seeds() -> Vec<Vec<u8>> {
    document::seeds()
}
