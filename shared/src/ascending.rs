//! Ascending numbers, stored as the gaps between them: most gaps are small, and small numbers take one byte.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::wire::{Reader, Wire, WireError};

/// Numbers without repetition, ascending.
///
/// A file holds a list: the first number, then of each other one how many numbers it skips after the one before. Whatever
/// the gaps, what is read ascends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(from = "Vec<u32>")]
pub struct Ascending(Vec<u32>);

impl From<Vec<u32>> for Ascending {
    /// Sorts, and drops repetitions.
    fn from(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }
}

impl Deref for Ascending {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl Wire for Ascending {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).write(out);
        let mut next = 0;
        for &n in &self.0 {
            (n - next).write(out);
            next = n.wrapping_add(1); // nothing follows the largest number
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut numbers = Vec::<u32>::read(from)?;
        let mut next = Some(0u32);
        for n in &mut numbers {
            *n = next.and_then(|next| next.checked_add(*n)).ok_or(WireError::Range)?;
            next = n.checked_add(1);
        }
        Ok(Self(numbers))
    }
}
