//! Where each token of the vocabulary stands in the corpus.

/// All positions of the corpus, by their token.
#[derive(Debug)]
pub struct TokenPositions {
    /// End of each token's positions in `positions`, by token id.
    ends: Vec<u32>,
    positions: Vec<u32>,
}

impl TokenPositions {
    /// - `token_ids`: of the corpus, `[row, pos]`, each below `d_vocab`
    pub fn new(token_ids: &[u32], d_vocab: usize) -> Self {
        let mut next = vec![0u32; d_vocab + 1];
        for &token in token_ids {
            next[token as usize + 1] += 1;
        }
        for token in 0..d_vocab {
            next[token + 1] += next[token];
        }
        let mut positions = vec![0u32; token_ids.len()];
        for (corpus_pos, &token) in (0u32..).zip(token_ids) {
            let slot = &mut next[token as usize];
            positions[*slot as usize] = corpus_pos;
            *slot += 1;
        }
        // Each token's next slot is now its end.
        next.truncate(d_vocab);
        Self { ends: next, positions }
    }

    /// The positions of `token`, ascending.
    pub fn of(&self, token: u32) -> &[u32] {
        let i = token as usize;
        let end = |i: usize| self.ends.get(i).map_or(0, |end| *end as usize);
        let start = i.checked_sub(1).map_or(0, end);
        self.positions.get(start..end(i)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_positions() {
        let positions = TokenPositions::new(&[2, 0, 2, 3, 0, 2], 5);
        let all: Vec<&[u32]> = (0..6).map(|token| positions.of(token)).collect();
        assert_eq!(all, [&[1, 4][..], &[], &[0, 2, 5], &[3], &[], &[]]);
    }
}
