//! The corpus: rows of token ids, stored once, in chunks.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    wire::wire,
};

/// Consecutive rows of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct CorpusChunk {
    /// First row.
    pub first_row: u32,
    /// Tokens in every row.
    pub seq_len: u32,
    /// Token ids, row after row.
    pub token_ids: Vec<u32>,
    /// The document that each row begins in, counted over the whole corpus; empty where documents are not known.
    pub documents: Vec<u32>,
}

wire!(CorpusChunk { first_row, seq_len, token_ids, documents });

impl CorpusChunk {
    /// Token ids of `row`; `None` where the row is not in this chunk.
    pub fn row(&self, row: u32) -> Option<&[u32]> {
        let i = row.checked_sub(self.first_row)? as usize;
        let len = self.seq_len as usize;
        self.token_ids.get(i.checked_mul(len)?..(i + 1).checked_mul(len)?)
    }

    /// The document that corpus row `row` begins in, where documents are known.
    pub fn document(&self, row: u32) -> Option<u32> {
        self.documents.get(row.checked_sub(self.first_row)? as usize).copied()
    }
}

impl CorpusChunk {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let whole = self.seq_len > 0 && self.token_ids.len().is_multiple_of(self.seq_len as usize);
        ensure(whole, || format!("{} token ids do not fill rows of {}", self.token_ids.len(), self.seq_len))?;
        let n_rows = self.token_ids.len() / self.seq_len as usize;
        ensure(self.documents.is_empty() || self.documents.len() == n_rows, || {
            format!("{n_rows} rows have {} documents", self.documents.len())
        })
    }
}
