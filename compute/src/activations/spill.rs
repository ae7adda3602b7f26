//! Columns that grow with the corpus: in memory while the run's allowance lasts, then in temporary files.
//!
//! A file has no name, so nothing is left whatever happens. It is mapped to be read: what is used often stays in memory
//! while the machine has some to spare, and leaves it when others need it.

use std::{
    fs::File,
    io::{self, Write},
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Bytes that columns may still keep in memory; clones share them.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// So many bytes for all columns together.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// As many as the machine gives.
    pub fn unlimited() -> Self {
        Self::of(usize::MAX)
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A column that is being filled.
#[derive(Debug)]
pub struct Growing<T> {
    allowance: Allowance,
    memory: Vec<T>,
    /// Everything, once it outgrew the allowance.
    file: Option<File>,
    len: usize,
}

/// A column at its full length.
#[derive(Debug)]
pub enum Column<T> {
    /// In memory.
    Memory(Vec<T>),
    /// In a file.
    File(MmapMut),
}

impl<T: Pod> Growing<T> {
    /// An empty column.
    pub fn new(allowance: &Allowance) -> Self {
        Self { allowance: allowance.clone(), memory: Vec::new(), file: None, len: 0 }
    }

    /// Appends values.
    pub fn extend(&mut self, values: &[T]) -> io::Result<()> {
        self.len += values.len();
        if self.file.is_none() && self.fits() {
            self.memory.extend_from_slice(values);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = tempfile::tempfile()?;
            let memory = std::mem::take(&mut self.memory);
            file.write_all(bytemuck::cast_slice(&memory))?;
            self.allowance.give_back(memory.capacity() * size_of::<T>());
            self.file = Some(file);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytemuck::cast_slice(values)))
    }

    /// Whether memory takes `len` values; takes what it needs of the allowance.
    fn fits(&mut self) -> bool {
        let held = self.memory.capacity();
        if self.len <= held {
            return true;
        }
        let wanted = self.len.max(2 * held);
        let allowed = self.allowance.take((wanted - held) * size_of::<T>());
        if allowed {
            self.memory.reserve_exact(wanted - self.memory.len());
        }
        allowed
    }

    /// The whole column.
    pub fn finish(self) -> io::Result<Column<T>> {
        self.file.map_or(Ok(Column::Memory(self.memory)), |file| Column::map(&file))
    }
}

impl<T: Pod> Column<T> {
    /// `len` zeros, to be written in any order.
    pub fn zeros(len: usize, allowance: &Allowance) -> io::Result<Self> {
        let n_bytes = len * size_of::<T>();
        if n_bytes == 0 || allowance.take(n_bytes) {
            return Ok(Self::Memory(vec![T::zeroed(); len]));
        }
        let file = tempfile::tempfile()?;
        file.set_len(n_bytes as u64)?;
        Self::map(&file)
    }

    #[allow(unsafe_code, reason = "a file that others change would change under the map")]
    fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the file has no name, so nothing else opens it.
        unsafe { MmapMut::map_mut(file) }.map(Self::File)
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Memory(values) => values,
            Self::File(map) => bytemuck::cast_slice(map),
        }
    }
}

impl<T: Pod> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Memory(values) => values,
            Self::File(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_column_holds_what_was_put_in_whatever_the_allowance(
            parts in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..40), 0..20),
            allowed in 0usize..4000,
        ) {
            let allowance = Allowance::of(allowed);
            let mut growing = Growing::new(&allowance);
            for part in &parts {
                growing.extend(part).unwrap();
            }
            let column = growing.finish().unwrap();
            prop_assert_eq!(&column[..], &parts.concat()[..]);
            let left = allowance.0.load(Ordering::Relaxed);
            let held = match &column { Column::Memory(values) => values.capacity() * 4, Column::File(_) => 0 };
            prop_assert_eq!(left + held, allowed);
        }
    }

    #[test]
    fn zeros_in_a_file_are_written_like_those_in_memory() {
        let mut column = Column::<f32>::zeros(1000, &Allowance::of(100)).unwrap();
        assert!(matches!(column, Column::File(_)));
        column[999] = 2.5;
        assert_eq!((column.len(), column[0], column[999]), (1000, 0.0, 2.5));
    }
}
