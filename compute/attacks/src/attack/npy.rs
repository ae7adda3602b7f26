//! Tries any bytes as an array inside an `.npz`, stored or deflated by the first byte.

use super::{good, weights};
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    let (is_packed, bytes) = bytes.split_first().map_or((false, bytes), |(first, rest)| (first & 1 == 1, rest));
    weights::attack(&good::zip(&[("threshold.npy", bytes)], is_packed))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let fortran = String::from_utf8_lossy(&good::npy()[10..]).replace("False", "True ").into_bytes();
    let fortran = [&good::npy()[..10], &fortran].concat();
    vec![[&[0], good::npy().as_slice()].concat(), [&[1], fortran.as_slice()].concat()]
}
