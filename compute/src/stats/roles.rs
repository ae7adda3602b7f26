//! How features fare by who speaks: density and maximum at the tokens of each role.

use anyhow::Result;
use shared::roles::{NAMES, RoleStats};

use crate::store::Store;

/// Features looked at once.
const FEATURES: usize = 1024;

/// Density and maximum of every feature at the tokens of each role that occurs.
///
/// - `acts`: of all positions
/// - `roles`: of each position, as numbers of [`NAMES`]
pub fn by_role(acts: &Store, roles: &[u8]) -> Result<RoleStats> {
    let mut n_tokens = [0u64; NAMES.len()];
    for role in roles {
        n_tokens[slot(*role)] += 1;
    }
    let occurring: Vec<u8> = (0..NAMES.len() as u8).filter(|role| n_tokens[usize::from(*role)] > 0).collect();
    let mut stats = RoleStats {
        n_tokens: occurring.iter().map(|role| n_tokens[usize::from(*role)]).collect(),
        roles: occurring,
        ..RoleStats::default()
    };
    for first in (0..acts.n_features()).step_by(FEATURES) {
        let features = first..acts.n_features().min(first + FEATURES);
        let of_features = acts.features(features.clone())?;
        for i in 0..features.len() {
            let (mut n_active, mut max) = ([0u64; NAMES.len()], [0.0f32; NAMES.len()]);
            let (positions, acts) = of_features.of(i);
            for (position, act) in positions.iter().zip(acts) {
                let role = slot(roles[*position as usize]);
                n_active[role] += 1;
                max[role] = max[role].max(*act);
            }
            for (role, n) in stats.roles.iter().zip(&stats.n_tokens) {
                let role = usize::from(*role);
                stats.density.push((n_active[role] as f64 / *n as f64) as f32);
                stats.max.push(max[role]);
            }
        }
    }
    Ok(stats)
}

/// A role's own number; one that is not known has none.
fn slot(role: u8) -> usize {
    if usize::from(role) < NAMES.len() { usize::from(role) } else { 0 }
}
