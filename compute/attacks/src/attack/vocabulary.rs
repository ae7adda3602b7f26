//! Tries any bytes as a vocabulary, and shows its tokens one by one and together.

use shared::vocab::{Vocab, escape, is_invisible};

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let vocab = good::read::<Vocab>(Schema::Three, bytes);
    if let Some(vocab) = &vocab {
        let ids: Vec<u32> = (0..vocab.len() as u32).take(64).chain([u32::MAX]).collect();
        assert!(vocab.texts(&ids).len() == ids.len(), "a token has no text");
        good::comes_back(vocab);
    }
    assert!(!escape(bytes).chars().any(|c| is_invisible(c) && c.is_control()), "a control character is shown");
    outcome(vocab)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let joined = Vocab::of(["a", "\u{200d}", "b\u{fe0f}", " c\n"]);
    let split = Vocab::of([&[0xe4, 0xb8][..], &[0xad], &[0xff], b"x"]);
    vec![good::of_v3::<Vocab>("vocab.bin"), good::written(&joined), good::written(&split)]
}
