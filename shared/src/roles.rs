//! The layers `roles` and `role_stats`: who speaks at each token of a conversation, and how features fare by that.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    wire::wire,
};

/// Who speaks, by number. Numbers from `NAMES.len()` on are a newer version's.
pub const NAMES: [&str; 6] = ["none", "system", "user", "assistant", "tool", "template"];

/// The roles of one corpus chunk's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ChunkRoles {
    /// First row, as in [`crate::corpus::CorpusChunk`].
    pub first_row: u32,
    /// Tokens in every row.
    pub seq_len: u32,
    /// Role of each token, row after row: an index into [`NAMES`].
    pub roles: Vec<u8>,
}

/// Density and maximum of every feature at the tokens of each role.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RoleStats {
    /// Roles that occur in the corpus: indices into [`NAMES`], ascending.
    pub roles: Vec<u8>,
    /// Tokens of each.
    pub n_tokens: Vec<u64>,
    /// Active positions over those tokens, in [0, 1]: all roles of the first feature of the index, then of the next.
    pub density: Vec<f32>,
    /// Largest activation, in the order of `density`; 0 where it is active at none.
    pub max: Vec<f32>,
}

wire!(ChunkRoles { first_row, seq_len, roles });
wire!(RoleStats { roles, n_tokens, density, max });

impl ChunkRoles {
    /// Roles of the tokens of `row`; `None` where the row is not in this chunk.
    pub fn row(&self, row: u32) -> Option<&[u8]> {
        let i = row.checked_sub(self.first_row)? as usize;
        let len = self.seq_len as usize;
        self.roles.get(i.checked_mul(len)?..(i + 1).checked_mul(len)?)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let whole = self.seq_len > 0 && self.roles.len().is_multiple_of(self.seq_len as usize);
        ensure(whole, || format!("{} roles do not fill rows of {}", self.roles.len(), self.seq_len))
    }
}

impl RoleStats {
    /// Density and maximum of entry `i` of the index, role by role.
    pub fn of_entry(&self, i: usize) -> impl Iterator<Item = (u8, f32, f32)> + '_ {
        let n = self.roles.len();
        let at = i.saturating_mul(n);
        let density = self.density.iter().skip(at).take(n);
        let max = self.max.iter().skip(at).take(n);
        self.roles.iter().zip(density).zip(max).map(|((role, density), max)| (*role, *density, *max))
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n = self.roles.len();
        ensure(self.roles.is_sorted_by(|a, b| a < b), || "roles are not in ascending order".into())?;
        ensure(self.n_tokens.len() == n, || format!("{n} roles have {} counts", self.n_tokens.len()))?;
        let (density, max) = (self.density.len(), self.max.len());
        ensure(density == max && density.is_multiple_of(n.max(1)), || {
            format!("{n} roles have {density} densities and {max} maxima")
        })
    }
}
