//! Rows of tokens, as TransformerLens's `tokenize_and_concatenate` makes them.

use serde::{Deserialize, Serialize};
use std::ops::Range;

use rand::{Rng as _, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::{Reading, chat::TEMPLATE};

/// How documents become rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) seq_len: usize,
    pub(super) token_ids: Vec<u32>,
    pub(super) n_read: usize,
    pub(super) documents: Vec<u32>,
    pub(super) n_documents: u32,
    pub(super) files: Vec<(String, u32)>,
    /// Role of each token, where there are conversations.
    pub(super) roles: Vec<u8>,
    pub(super) reading: Reading,
}

/// Role of plain text among conversations.
const NO_ROLE: u8 = 0;

/// Joins documents by the end-of-text token and cuts rows, as the documents come; the remainder is dropped.
///
/// Only rows that are kept are in memory: those of a shuffled corpus that is to give `max_rows` are a sample, drawn as
/// they pass (Vitter 1985, algorithm R).
#[derive(Debug)]
pub struct RowsBuilder<'a> {
    rule: &'a Rule,
    /// Tokens of the row that is being filled.
    row: Vec<u32>,
    /// Roles of its tokens.
    row_roles: Vec<u8>,
    /// The document that the row begins in.
    row_document: u32,
    /// Kept rows with their documents, and their roles where there are any.
    token_ids: Vec<u32>,
    documents: Vec<u32>,
    roles: Option<Vec<u8>>,
    n_rows_seen: usize,
    n_read: usize,
    n_documents: u32,
    files: Vec<(String, u32)>,
    sample: ChaCha8Rng,
    /// What is odd about what was read.
    pub reading: Reading,
}

impl<'a> RowsBuilder<'a> {
    /// No rows yet.
    pub fn new(rule: &'a Rule) -> Self {
        Self {
            rule,
            row: Vec::with_capacity(rule.seq_len),
            row_roles: Vec::with_capacity(rule.seq_len),
            row_document: 0,
            token_ids: Vec::new(),
            documents: Vec::new(),
            roles: None,
            n_rows_seen: 0,
            n_read: 0,
            n_documents: 0,
            files: Vec::new(),
            // Another stream than the one that shuffles.
            sample: ChaCha8Rng::seed_from_u64(rule.shuffle_seed.unwrap_or_default().wrapping_add(1)),
            reading: Reading::default(),
        }
    }

    /// The documents that follow are of the file called `name`.
    pub fn begin_file(&mut self, name: &str) {
        self.files.push((name.to_owned(), self.n_documents));
    }

    /// Adds a document.
    ///
    /// - `roles`: of each token, where it is a conversation
    pub fn push(&mut self, document: &[u32], roles: Option<&[u8]>) {
        if self.n_documents > 0 {
            // The token between two documents ends the one before it.
            self.token(self.rule.end_of_text, TEMPLATE, self.n_documents - 1);
        }
        self.n_documents += 1;
        self.extend(document, roles);
    }

    /// Adds tokens to the last document.
    pub fn extend(&mut self, tokens: &[u32], roles: Option<&[u8]>) {
        if roles.is_some() && self.roles.is_none() {
            self.roles = Some(vec![NO_ROLE; self.token_ids.len()]);
        }
        for (i, &id) in tokens.iter().enumerate() {
            let role = roles.and_then(|roles| roles.get(i)).copied().unwrap_or(NO_ROLE);
            self.token(id, role, self.n_documents.saturating_sub(1));
        }
    }

    fn token(&mut self, id: u32, role: u8, document: u32) {
        self.n_read += 1;
        if self.row.is_empty() {
            self.row_document = document;
            self.row.extend(self.rule.bos);
            self.row_roles.extend(self.rule.bos.map(|_| TEMPLATE));
        }
        self.row.push(id);
        self.row_roles.push(role);
        if self.row.len() == self.rule.seq_len {
            self.keep_row();
            self.row.clear();
            self.row_roles.clear();
        }
    }

    fn keep_row(&mut self) {
        let max_rows = self.rule.max_rows.unwrap_or(usize::MAX);
        self.n_rows_seen += 1;
        if self.documents.len() < max_rows {
            self.token_ids.extend(&self.row);
            self.documents.push(self.row_document);
            if let Some(roles) = &mut self.roles {
                roles.extend(&self.row_roles);
            }
        } else if self.rule.shuffle_seed.is_some() {
            let at = self.sample.random_range(0..self.n_rows_seen);
            if at < max_rows {
                let len = self.rule.seq_len;
                self.token_ids[at * len..(at + 1) * len].copy_from_slice(&self.row);
                self.documents[at] = self.row_document;
                if let Some(roles) = &mut self.roles {
                    roles[at * len..(at + 1) * len].copy_from_slice(&self.row_roles);
                }
            }
        }
    }

    /// Tokens in the kept rows.
    pub fn n_positions(&self) -> usize {
        self.token_ids.len()
    }

    /// Rows that were made, kept or not.
    pub fn n_rows_seen(&self) -> usize {
        self.n_rows_seen
    }

    /// Whether further documents change nothing.
    pub fn is_full(&self) -> bool {
        self.rule.shuffle_seed.is_none() && self.rule.max_rows.is_some_and(|max| self.documents.len() >= max)
    }

    /// The rows, shuffled where the rule says so.
    pub fn finish(mut self) -> Rows {
        let seq_len = self.rule.seq_len;
        let mut roles = self.roles.unwrap_or_default();
        if let Some(seed) = self.rule.shuffle_seed {
            let mut order: Vec<usize> = (0..self.documents.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            reorder(&mut order, &mut self.token_ids, &mut self.documents, &mut roles);
        }
        Rows {
            seq_len,
            token_ids: self.token_ids,
            n_read: self.n_read,
            documents: self.documents,
            n_documents: self.n_documents,
            files: self.files,
            roles,
            reading: self.reading,
        }
    }
}

/// Puts row `order[i]` at `i`, for every `i`, without a second copy of the corpus: along the cycles of the order, which
/// is the identity afterwards.
///
/// - `roles`: of each token, or none
fn reorder(order: &mut [usize], token_ids: &mut [u32], documents: &mut [u32], roles: &mut [u8]) {
    let seq_len = token_ids.len() / order.len().max(1);
    for start in 0..order.len() {
        let mut at = start;
        while order[at] != start {
            let from = std::mem::replace(&mut order[at], at);
            documents.swap(at, from);
            for k in 0..seq_len {
                token_ids.swap(at * seq_len + k, from * seq_len + k);
                if !roles.is_empty() {
                    roles.swap(at * seq_len + k, from * seq_len + k);
                }
            }
            at = from;
        }
        order[at] = at;
    }
}

impl Rows {
    /// Rows that are rows already: `token_ids` is `[n_rows, seq_len]`.
    pub fn from_array(mut token_ids: Vec<u32>, seq_len: usize, max_rows: Option<usize>) -> Self {
        let n_read = token_ids.len();
        token_ids.truncate(max_rows.unwrap_or(usize::MAX).saturating_mul(seq_len));
        let (documents, files, roles) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            seq_len,
            token_ids,
            n_read,
            documents,
            n_documents: 0,
            files,
            roles,
            reading: Reading::default(),
        }
    }

    /// The same rows, with what was odd about the corpus.
    #[must_use]
    pub fn with_reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// The same rows, with how they were drawn.
    #[must_use]
    pub fn sampled(mut self, how: String) -> Self {
        self.reading.sample = Some(how);
        self
    }

    /// What was odd about the corpus.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Role of each token, row after row, as numbers of the schema's roles; empty where the corpus holds no
    /// conversations.
    pub fn roles(&self) -> &[u8] {
        &self.roles
    }

    /// The document that each row begins in; empty for token arrays, which know none.
    pub fn documents(&self) -> &[u32] {
        &self.documents
    }

    /// Documents read.
    pub fn n_documents(&self) -> u32 {
        self.n_documents
    }

    /// Files, each with the number of its first document.
    pub fn files(&self) -> &[(String, u32)] {
        &self.files
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

    fn cut(documents: &[Vec<u32>], rule: &Rule) -> Rows {
        let mut rows = RowsBuilder::new(rule);
        for document in documents {
            rows.push(document, None);
        }
        rows.finish()
    }

    #[test]
    fn documents_are_joined_by_end_of_text_and_the_remainder_is_dropped() {
        let rows = cut(&[vec![1, 2], vec![3, 4, 5, 6]], &rule());
        assert_eq!((rows.token_ids(), rows.n_read()), (&[1, 2, 0, 3, 4, 5][..], 7));
        assert_eq!((rows.documents(), rows.n_documents()), (&[0, 1][..], 2));
    }

    #[test]
    fn bos_begins_every_row_and_takes_the_place_of_a_text_token() {
        let rows = cut(&[vec![1, 2, 3, 4, 5]], &Rule { bos: Some(9), ..rule() });
        assert_eq!(rows.token_ids(), &[9, 1, 2, 9, 3, 4]);
    }

    #[test]
    fn a_seed_shuffles_whole_rows_the_same_way_each_time() {
        let text: Vec<u32> = (0..300).collect();
        let shuffled = |seed| cut(std::slice::from_ref(&text), &Rule { shuffle_seed: Some(seed), ..rule() });
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut firsts: Vec<u32> = (0..100).map(|r| shuffled(1).row(r)[0]).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, (0..100).map(|r| r * 3).collect::<Vec<_>>());
    }

    #[test]
    fn rows_are_reordered_with_their_documents() {
        let order = [3, 0, 2, 4, 1, 5];
        let mut token_ids: Vec<u32> = (0..6).flat_map(|row| [10 * row, 10 * row + 1]).collect();
        let mut documents: Vec<u32> = (0..6).collect();
        let mut roles: Vec<u8> = (0..6).flat_map(|row| [row, row]).collect();
        reorder(&mut order.clone(), &mut token_ids, &mut documents, &mut roles);
        assert_eq!(documents, order.map(|row| row as u32));
        assert_eq!(roles, order.map(|row| [row as u8; 2]).concat());
        assert_eq!(token_ids, order.map(|row| [10 * row as u32, 10 * row as u32 + 1]).concat());
    }

    #[test]
    fn a_sample_of_rows_is_drawn_from_the_whole_corpus() {
        let text: Vec<u32> = (0..3000).collect();
        let mut seen = vec![0; 10];
        for seed in 0..50 {
            let rule = Rule { shuffle_seed: Some(seed), max_rows: Some(20), ..rule() };
            let rows = cut(std::slice::from_ref(&text), &rule);
            let mut firsts: Vec<u32> = (0..20).map(|r| rows.row(r)[0]).collect();
            assert!(firsts.iter().all(|f| f % 3 == 0) && !firsts.is_sorted());
            for first in &firsts {
                seen[*first as usize / 300] += 1;
            }
            firsts.sort_unstable();
            firsts.dedup();
            assert_eq!(firsts.len(), 20, "drawn without replacement");
        }
        assert!(seen.iter().all(|n| (60..=140).contains(n)), "of 100 expected in each tenth: {seen:?}");
    }

    #[test]
    fn roles_go_with_their_tokens() {
        let rule = Rule { seq_len: 4, bos: Some(9), ..rule() };
        let mut rows = RowsBuilder::new(&rule);
        rows.push(&[1, 2, 3], None);
        rows.push(&[4, 5], Some(&[2, 3]));
        rows.extend(&[6], Some(&[4]));
        let rows = rows.finish();
        assert_eq!(rows.token_ids(), [9, 1, 2, 3, 9, 0, 4, 5]);
        assert_eq!(rows.roles(), [0, 0, 0, 0, TEMPLATE, TEMPLATE, 2, 3]);
        assert_eq!(cut(&[vec![1, 2, 3]], &rule).roles(), [0u8; 0]);
    }

    #[test]
    fn rows_in_order_need_no_more_of_the_corpus_than_they_hold() {
        let rule = Rule { max_rows: Some(2), ..rule() };
        let mut rows = RowsBuilder::new(&rule);
        rows.push(&[1, 2, 3, 4], None);
        assert!(!rows.is_full());
        rows.push(&[5, 6], None);
        assert!(rows.is_full());
        assert_eq!(rows.finish().token_ids(), &[1, 2, 3, 4, 0, 5]);
    }
}
