//! Rows of tokens, as TransformerLens's `tokenize_and_concatenate` makes them.

use std::ops::Range;

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tch::Tensor;

/// How documents become rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Tokens in a row; token arrays have their own, which it must equal.
    pub seq_len: usize,
    /// Token between documents.
    pub end_of_text: u32,
    /// Token that begins every row, if any.
    pub bos: Option<u32>,
    /// Seed that shuffles rows of text; `None` = in order.
    pub shuffle_seed: Option<u64>,
    /// Rows kept, of the shuffled ones; `None` = all.
    pub max_rows: Option<usize>,
}

/// Rows of equal length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    seq_len: usize,
    token_ids: Vec<u32>,
    n_read: usize,
}

impl Rows {
    /// Joins documents by the end-of-text token and cuts rows; the remainder is dropped.
    pub fn from_documents(documents: &[Vec<u32>], rule: &Rule) -> Self {
        let joined = documents.join(&rule.end_of_text);
        let n_text = rule.seq_len - usize::from(rule.bos.is_some());
        let texts: Vec<&[u32]> = if n_text == 0 { Vec::new() } else { joined.chunks_exact(n_text).collect() };
        let mut order: Vec<usize> = (0..texts.len()).collect();
        if let Some(seed) = rule.shuffle_seed {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        order.truncate(rule.max_rows.unwrap_or(usize::MAX));
        let row = |i: usize| rule.bos.into_iter().chain(texts[i].iter().copied());
        let token_ids = order.into_iter().flat_map(row).collect();
        Self { seq_len: rule.seq_len, token_ids, n_read: joined.len() }
    }

    /// Rows that are rows already: `token_ids` is `[n_rows, seq_len]`.
    pub fn from_array(mut token_ids: Vec<u32>, seq_len: usize, max_rows: Option<usize>) -> Self {
        let n_read = token_ids.len();
        token_ids.truncate(max_rows.unwrap_or(usize::MAX).saturating_mul(seq_len));
        Self { seq_len, token_ids, n_read }
    }

    /// Tokens in a row.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.token_ids.len() / self.seq_len.max(1)
    }

    /// Number of tokens in the rows.
    pub fn n_positions(&self) -> usize {
        self.token_ids.len()
    }

    /// Number of tokens that were read, of which the rows are made.
    pub fn n_read(&self) -> usize {
        self.n_read
    }

    /// All token ids, row after row.
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// Token ids of a row.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.token_ids[row * self.seq_len..(row + 1) * self.seq_len]
    }

    /// Token ids of some rows, i64 `[n_rows, seq_len]`.
    pub fn tensor(&self, rows: Range<usize>) -> Tensor {
        let ids = &self.token_ids[rows.start * self.seq_len..rows.end * self.seq_len];
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        Tensor::from_slice(&ids).view([rows.len() as i64, self.seq_len as i64])
    }

    /// SHA-256 of the token ids as little-endian u32, hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for part in self.token_ids.chunks(1 << 14) {
            hash.update(part.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>());
        }
        format!("{:x}", hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule { seq_len: 3, end_of_text: 0, bos: None, shuffle_seed: None, max_rows: None }
    }

    #[test]
    fn documents_are_joined_by_end_of_text_and_the_remainder_is_dropped() {
        let rows = Rows::from_documents(&[vec![1, 2], vec![3, 4, 5, 6]], &rule());
        assert_eq!((rows.token_ids(), rows.n_read()), (&[1, 2, 0, 3, 4, 5][..], 7));
    }

    #[test]
    fn bos_begins_every_row_and_takes_the_place_of_a_text_token() {
        let rows = Rows::from_documents(&[vec![1, 2, 3, 4, 5]], &Rule { bos: Some(9), ..rule() });
        assert_eq!(rows.token_ids(), &[9, 1, 2, 9, 3, 4]);
    }

    #[test]
    fn a_seed_shuffles_whole_rows_the_same_way_each_time() {
        let text: Vec<u32> = (0..300).collect();
        let shuffled = |seed| {
            Rows::from_documents(std::slice::from_ref(&text), &Rule { shuffle_seed: Some(seed), ..rule() })
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut firsts: Vec<u32> = (0..100).map(|r| shuffled(1).row(r)[0]).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, (0..100).map(|r| r * 3).collect::<Vec<_>>());
    }
}
