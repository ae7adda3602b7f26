//! Tries any text as the header of a safetensors file, whose length is right and whose tensors have 64 bytes.

use super::{good, weights};
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    weights::attack(&[&(bytes.len() as u64).to_le_bytes(), bytes, &[1; 64]].concat())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = good::safetensors(&[("W_enc", &[2, 6]), ("b", &[4])]);
    let other = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[1,16],"data_offsets":[0,32]},"b":{"dtype":"F8_E4M3","shape":[32],"data_offsets":[32,64]}}"#;
    vec![whole[8..whole.len() - 64].to_vec(), other.into()]
}
