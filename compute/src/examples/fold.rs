//! Windows that count as one example.

use std::collections::HashMap;

use shared::layout::Fold;

use super::Window;

/// Of five tokens of two windows that are nearly the same, this many are.
const NEARLY_SAME: (usize, usize) = (4, 5);

/// Windows of a group, those that are the same folded into one.
#[derive(Debug)]
pub struct FoldedWindows<'a> {
    fold: Fold,
    /// Tokens of the corpus, `[row, pos]`.
    token_ids: &'a [u32],
    seq_len: usize,
    /// The windows kept, in the order in which they came.
    pub windows: Vec<Window>,
    /// How many each stands for, itself among them.
    pub counts: Vec<u32>,
    /// The kept window of these tokens, with this many of them before the bold one.
    exact: HashMap<(u32, &'a [u32]), usize>,
    /// The kept windows with this bold token.
    by_bold: HashMap<u32, Vec<usize>>,
}

impl<'a> FoldedWindows<'a> {
    /// No windows yet.
    pub fn new(fold: Fold, token_ids: &'a [u32], seq_len: usize) -> Self {
        Self {
            fold,
            token_ids,
            seq_len,
            windows: Vec::new(),
            counts: Vec::new(),
            exact: HashMap::new(),
            by_bold: HashMap::new(),
        }
    }

    /// Keeps `window` unless it is the same as one that is kept.
    pub fn keep(&mut self, window: Window) {
        if self.find(&window).is_some() {
            return;
        }
        let (i, tokens) = (self.windows.len(), self.tokens(&window));
        match self.fold {
            Fold::Exact => drop(self.exact.insert((before(&window), tokens), i)),
            Fold::Near => {
                self.by_bold.entry(tokens[before(&window) as usize]).or_default().push(i);
            }
            Fold::None => {}
        }
        self.windows.push(window);
        self.counts.push(0);
    }

    /// Counts `window` to the kept one that it is the same as; the others count for themselves.
    pub fn count(&mut self, window: &Window) {
        if let Some(i) = self.find(window) {
            self.counts[i] += 1;
        }
    }

    /// The first kept window that is the same as `window`; none where nothing is folded.
    fn find(&self, window: &Window) -> Option<usize> {
        let tokens = self.tokens(window);
        match self.fold {
            Fold::Exact => self.exact.get(&(before(window), tokens)).copied(),
            Fold::Near => {
                let kept = self.by_bold.get(&tokens[before(window) as usize])?;
                kept.iter().copied().find(|&i| self.is_near(&self.windows[i], window))
            }
            Fold::None => None,
        }
    }

    /// Whether at least four in five tokens of the longer window are those of the other, counted from the bold one.
    fn is_near(&self, a: &Window, b: &Window) -> bool {
        let shift = before(a).min(before(b));
        let from = |w: &Window| &self.tokens(w)[(before(w) - shift) as usize..];
        let same = from(a).iter().zip(from(b)).filter(|(a, b)| a == b).count();
        let longer = self.tokens(a).len().max(self.tokens(b).len());
        same * NEARLY_SAME.1 >= longer * NEARLY_SAME.0
    }

    fn tokens(&self, window: &Window) -> &'a [u32] {
        let row = window.row as usize * self.seq_len;
        &self.token_ids[row + window.start as usize..row + window.end as usize]
    }
}

/// Tokens of a window before its bold one.
fn before(window: &Window) -> u32 {
    window.position - window.start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows of two tokens on each side around every 7 of `token_ids`, one row, folded and counted.
    fn folded(fold: Fold, token_ids: &[u32]) -> Vec<(u32, u32)> {
        let len = token_ids.len() as u32;
        let windows: Vec<Window> = (0..len)
            .filter(|&p| token_ids[p as usize] == 7)
            .map(|p| Window { row: 0, position: p, start: p.saturating_sub(2), end: (p + 3).min(len) })
            .collect();
        let mut folded = FoldedWindows::new(fold, token_ids, token_ids.len());
        for window in &windows {
            folded.keep(*window);
        }
        for window in &windows {
            folded.count(window);
        }
        folded.windows.iter().map(|w| w.position).zip(folded.counts).collect()
    }

    #[test]
    fn the_same_tokens_around_the_same_bold_one_are_one_example() {
        let text = [1, 2, 7, 3, 4, 1, 2, 7, 3, 4, 1, 2, 7, 3, 5];
        assert_eq!(folded(Fold::Exact, &text), [(2, 2), (12, 1)]);
        assert_eq!(folded(Fold::Near, &text), [(2, 3)], "one token in five differs");
        assert_eq!(folded(Fold::None, &text), [(2, 0), (7, 0), (12, 0)]);
    }

    #[test]
    fn windows_that_are_cut_are_compared_from_the_bold_token_on() {
        // The tokens of the last window are those of the one before it, cut by one.
        assert_eq!(folded(Fold::Exact, &[1, 7, 3, 4, 7, 3, 4]), [(1, 1), (4, 1)]);
        assert_eq!(folded(Fold::Near, &[4, 7, 3, 4, 7, 3, 4]), [(1, 2)]);
        assert_eq!(folded(Fold::Near, &[9, 9, 7, 3, 4, 7, 8, 8]), [(2, 1), (5, 1)]);
    }
}
