//! Tries any bytes as the pickle of a torch archive, beside one storage of 64 bytes.

use super::{good, weights};
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    let members: [(&str, &[u8]); 2] = [("archive/data.pkl", bytes), ("archive/data/0", &[1; 64])];
    weights::attack(&good::zip(&members, false))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let protocol_0 = b"(dp0\nVW_enc\np1\nI3\nsVname\np2\nS'x'\nsVf\nF0.5\nsVl\n(lp3\nL5L\naa.".to_vec();
    let object = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x8c\x01b\x93)\x81}\x94(\x8c\x01kK\x05ub.".to_vec();
    vec![good::pickle(), protocol_0, object]
}
