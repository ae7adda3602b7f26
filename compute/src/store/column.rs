//! Columns that grow with the corpus: in memory while the run's budget lasts, then in a temporary file.
//!
//! A file has no name, so nothing is left whatever happens. It is read by position and never mapped: what a process has
//! mapped counts as its own memory for as long as the system finds room, and a limit would not be kept.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
};

use bytemuck::Pod;

use crate::backend::MemoryBudget;

/// A long array that is appended to and read in ranges.
#[derive(Debug)]
pub struct Column<T> {
    budget: MemoryBudget,
    /// What came first, as it came.
    pieces: Vec<Vec<T>>,
    /// End of each piece, counted from the column's start.
    ends: Vec<usize>,
    /// What came after the budget was used up.
    file: Option<File>,
    len: usize,
}

impl<T: Pod> Column<T> {
    /// An empty column.
    pub fn new(budget: &MemoryBudget) -> Self {
        Self { budget: budget.clone(), pieces: Vec::new(), ends: Vec::new(), file: None, len: 0 }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends values.
    pub fn push(&mut self, mut values: Vec<T>) -> io::Result<()> {
        self.len += values.len();
        if self.file.is_none() && self.budget.take(values.len() * size_of::<T>()) {
            values.shrink_to_fit();
            self.pieces.push(values);
            self.ends.push(self.len);
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        file.write_all(bytemuck::cast_slice(&values))?;
        self.file = Some(file);
        Ok(())
    }

    /// Appends the values of `range` to `to`.
    pub fn read(&self, range: Range<usize>, to: &mut Vec<T>) -> io::Result<()> {
        let in_memory = self.ends.last().copied().unwrap_or_default();
        let mut at = range.start;
        let first = self.ends.partition_point(|end| *end <= at);
        for (piece, &end) in self.pieces.iter().zip(&self.ends).skip(first) {
            if at >= range.end {
                return Ok(());
            }
            let start = end - piece.len();
            let stop = range.end.min(end);
            to.extend_from_slice(&piece[at - start..stop - start]);
            at = stop;
        }
        let (Some(file), true) = (&self.file, at < range.end) else { return Ok(()) };
        let held = to.len();
        to.resize(held + range.end - at, T::zeroed());
        file.read_exact_at(
            bytemuck::cast_slice_mut(&mut to[held..]),
            ((at - in_memory) * size_of::<T>()) as u64,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_column_holds_what_was_put_in_whatever_the_budget(
            parts in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..40), 0..20),
            allowed in 0usize..4000,
            (a, b) in (0f64..1.0, 0f64..1.0),
        ) {
            let mut column = Column::new(&MemoryBudget::new(allowed));
            for part in &parts {
                column.push(part.clone()).unwrap();
            }
            let all = parts.concat();
            prop_assert_eq!(column.len(), all.len());
            let held: usize = column.pieces.iter().map(|piece| 4 * piece.capacity()).sum();
            prop_assert!(held <= allowed && (column.file.is_some() || held == 4 * all.len()));
            let at = |share: f64| (share * all.len() as f64) as usize;
            let range = at(a.min(b))..at(a.max(b));
            let mut read = vec![7];
            column.read(range.clone(), &mut read).unwrap();
            prop_assert_eq!(&read[1..], &all[range]);
        }
    }
}
