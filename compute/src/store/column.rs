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

use anyhow::{Context as _, Result};
use bytemuck::Pod;

use super::IN_A_FILE;
use crate::{
    backend::MemoryBudget,
    sections::{FileArray, SectionWriter},
};

/// Bytes that are copied at once from one file to another.
const AT_ONCE: usize = 4 << 20;

/// A long array that is appended to and read in ranges.
#[derive(Debug)]
pub struct Column<T> {
    budget: MemoryBudget,
    extents: Vec<Extent<T>>,
    /// End of each extent, counted from the column's start.
    ends: Vec<usize>,
}

/// A part of a column.
#[derive(Debug)]
enum Extent<T> {
    Memory(Vec<T>),
    /// A temporary file, which grows.
    File(File),
    /// What another process left.
    Array(FileArray),
}

impl<T: Pod> Column<T> {
    /// An empty column.
    pub fn new(budget: &MemoryBudget) -> Self {
        Self { budget: budget.clone(), extents: Vec::new(), ends: Vec::new() }
    }

    /// The values of an array in a file, which stay there.
    pub fn in_file(array: FileArray, budget: &MemoryBudget) -> Self {
        let n = (array.bytes / size_of::<T>() as u64) as usize;
        Self { budget: budget.clone(), extents: vec![Extent::Array(array)], ends: vec![n] }
    }

    /// Writes the values as the array `name`.
    pub fn write(&self, name: &str, to: &mut SectionWriter) -> Result<()> {
        let at_once = AT_ONCE / size_of::<T>();
        let part = |start| {
            let mut values = Vec::new();
            self.read(start..self.len().min(start + at_once), &mut values).context(IN_A_FILE)?;
            Ok(values)
        };
        to.write(name, (0..self.len()).step_by(at_once).map(part))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends values.
    pub fn push(&mut self, mut values: Vec<T>) -> io::Result<()> {
        let end = self.len() + values.len();
        if let (Some(Extent::File(file)), Some(last_end)) = (self.extents.last_mut(), self.ends.last_mut()) {
            *last_end = end;
            return file.write_all(bytemuck::cast_slice(&values));
        }
        self.extents.push(if self.budget.take(values.len() * size_of::<T>()) {
            values.shrink_to_fit();
            Extent::Memory(values)
        } else {
            let mut file = tempfile::tempfile()?;
            file.write_all(bytemuck::cast_slice(&values))?;
            Extent::File(file)
        });
        self.ends.push(end);
        Ok(())
    }

    /// Appends another column's values, which stay where they are.
    pub fn append(&mut self, other: Self) {
        let first = self.len();
        self.extents.extend(other.extents);
        self.ends.extend(other.ends.into_iter().map(|end| first + end));
    }

    /// Appends the values of `range` to `to`.
    pub fn read(&self, range: Range<usize>, to: &mut Vec<T>) -> io::Result<()> {
        let first = self.ends.partition_point(|end| *end <= range.start);
        for (i, extent) in self.extents.iter().enumerate().skip(first) {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            if start >= range.end {
                break;
            }
            let inside = range.start.max(start) - start..range.end.min(self.ends[i]) - start;
            match extent {
                Extent::Memory(values) => to.extend_from_slice(&values[inside]),
                Extent::File(file) => read_at(file, 0, inside, to)?,
                Extent::Array(array) => read_at(&array.file, array.start, inside, to)?,
            }
        }
        Ok(())
    }
}

/// Appends the values of `range` in the array that begins at `start` in the file.
fn read_at<T: Pod>(file: &File, start: u64, range: Range<usize>, to: &mut Vec<T>) -> io::Result<()> {
    let held = to.len();
    to.resize(held + range.len(), T::zeroed());
    let offset = start + (range.start * size_of::<T>()) as u64;
    file.read_exact_at(bytemuck::cast_slice_mut(&mut to[held..]), offset)
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
            n_first in 0usize..20,
            (a, b) in (0f64..1.0, 0f64..1.0),
        ) {
            let budget = MemoryBudget::new(allowed);
            let (mut column, mut second) = (Column::new(&budget), Column::new(&budget));
            for (i, part) in parts.iter().enumerate() {
                let column = if i < n_first { &mut column } else { &mut second };
                column.push(part.clone()).unwrap();
            }
            column.append(second);
            let all = parts.concat();
            prop_assert_eq!(column.len(), all.len());
            let in_memory = |extent: &Extent<u32>| match extent {
                Extent::Memory(values) => 4 * values.capacity(),
                Extent::File(_) | Extent::Array(_) => 0,
            };
            let held: usize = column.extents.iter().map(in_memory).sum();
            prop_assert!(held <= allowed && (allowed < 4 * all.len() || held == 4 * all.len()));
            let at = |share: f64| (share * all.len() as f64) as usize;
            let range = at(a.min(b))..at(a.max(b));
            let mut read = vec![7];
            column.read(range.clone(), &mut read).unwrap();
            prop_assert_eq!(&read[1..], &all[range]);
        }
    }
}
