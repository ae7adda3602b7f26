//! Ascending numbers, stored as the gaps between them: most gaps are small, and small numbers take one byte.

use std::ops::Deref;

use postcard_schema::{
    Schema,
    schema::{DataModelType, NamedType},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Numbers without repetition, ascending.
///
/// A file holds the first number, then of each other one how many numbers it skips after the one before: whatever
/// the gaps, what is read ascends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

impl Serialize for Ascending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut next = 0;
        serializer.collect_seq(self.0.iter().map(|&n| {
            let gap = n - next;
            next = n.wrapping_add(1); // nothing follows the largest number
            gap
        }))
    }
}

impl<'de> Deserialize<'de> for Ascending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::<u32>::deserialize(deserializer)?;
        let mut next = Some(0u32);
        for n in &mut numbers {
            let sum = next.and_then(|next| next.checked_add(*n));
            *n = sum.ok_or_else(|| D::Error::custom("ascending numbers run over"))?;
            next = n.checked_add(1);
        }
        Ok(Self(numbers))
    }
}

impl Schema for Ascending {
    const SCHEMA: &'static NamedType = &NamedType { name: "Ascending", ty: &DataModelType::Seq(u32::SCHEMA) };
}
