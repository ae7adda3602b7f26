//! Tries any bytes as the roles of a chunk's tokens, or as the statistics by role by the first byte.

use shared::roles::{ChunkRoles, RoleStats};

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, plain) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    if first == 1 {
        let stats = good::read::<RoleStats>(Schema::Three, plain);
        if let Some(stats) = &stats {
            let _entries = [0, 1, usize::MAX].map(|i| stats.of_entry(i).count());
            good::comes_back(stats);
        }
        return outcome(stats);
    }
    let roles = good::read::<ChunkRoles>(Schema::Three, plain);
    if let Some(roles) = &roles {
        let _rows = [roles.first_row, u32::MAX].map(|row| roles.row(row));
        good::comes_back(roles);
    }
    outcome(roles)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let roles = ChunkRoles { first_row: 1, seq_len: 2, roles: vec![0, 2, 3, 5] };
    let stats =
        RoleStats { roles: vec![2, 3], n_tokens: vec![10, 20], density: vec![0.5; 4], max: vec![1.0; 4] };
    vec![[&[0], &good::written(&roles)[..]].concat(), [&[1], &good::written(&stats)[..]].concat()]
}
