//! Labels: what people or programs say that features mean.
//!
//! A label is a short text about one feature, such as "words after opening quotes", written by a researcher or by an
//! automatic interpretation. It comes from outside: nothing in the bundle follows from it, a feature need not have one,
//! and a bundle without labels has no such file. They are the layer `labels`.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    vocab::escape,
    wire::{Reader, Wire, WireError},
};

/// Bytes of the longest label, as UTF-8: more than any automatic interpretation writes, and few enough that a quarter
/// of a million of them fit into a file.
pub const MAX_LABEL_BYTES: usize = 4096;

/// The labels of a bundle's features.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Labels {
    /// Features that have a label, ascending.
    pub features: Vec<u32>,
    /// The label of each, as it was written: 1 to [`MAX_LABEL_BYTES`] bytes.
    pub texts: Vec<String>,
}

impl Wire for Labels {
    const MIN_BYTES: usize = 2;

    fn write(&self, out: &mut Vec<u8>) {
        self.features.write(out);
        self.texts.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let features = Vec::read(from)?;
        Ok(Self { texts: from.column(features.len())?, features })
    }
}

impl Labels {
    /// The label of `feature` as shown, see [`escape`].
    pub fn of(&self, feature: u32) -> Option<String> {
        let i = self.features.binary_search(&feature).ok()?;
        self.texts.get(i).map(|text| escape(text.as_bytes()))
    }
}

impl Labels {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        ensure(self.features.is_sorted_by(|a, b| a < b), || "features are not in ascending order".into())?;
        let (n, n_texts) = (self.features.len(), self.texts.len());
        ensure(n == n_texts, || format!("{n} features have {n_texts} labels"))?;
        let fits = |text: &String| (1..=MAX_LABEL_BYTES).contains(&text.len());
        match self.features.iter().zip(&self.texts).find(|(_, text)| !fits(text)) {
            None => Ok(()),
            Some((feature, text)) => Err(Invalid(format!(
                "the label of feature {feature} has {} bytes, expected 1 to {MAX_LABEL_BYTES}",
                text.len()
            ))),
        }
    }
}
