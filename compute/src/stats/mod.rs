//! Numbers of single features over all positions: moments, quantiles, correlations, tables.

pub mod correlations;
pub mod moments;
pub mod roles;
pub mod top;
