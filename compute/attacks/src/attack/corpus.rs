//! Tries any bytes as a chunk of the corpus.

use shared::corpus::CorpusChunk;

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let chunk = good::read::<CorpusChunk>(Schema::Three, bytes);
    if let Some(chunk) = &chunk {
        let _rows = [chunk.first_row, 0, u32::MAX].map(|row| (chunk.row(row), chunk.document(row)));
        good::comes_back(chunk);
    }
    outcome(chunk)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let chunk = CorpusChunk { first_row: 2, seq_len: 2, token_ids: vec![5, 300, 7, 8], documents: vec![0, 1] };
    vec![good::of_v3::<CorpusChunk>("corpus/0000.bin"), good::written(&chunk)]
}
