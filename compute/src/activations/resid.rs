//! The last residuals of all positions, which effects read again.

use std::io;

use super::column::{Allowance, Column};

/// Vectors of the residual stream before the final norm, one a position.
#[derive(Debug)]
pub struct Residuals {
    d_model: usize,
    values: Column<f32>,
}

impl Residuals {
    /// None yet, of width `d_model`.
    pub fn new(d_model: usize, allowance: &Allowance) -> Self {
        Self { d_model, values: Column::new(allowance) }
    }

    /// Appends residuals, `[n_pos, d_model]` row-major.
    pub fn push(&mut self, resid: Vec<f32>) -> io::Result<()> {
        self.values.push(resid)
    }

    /// The residuals of `positions`, which ascend, one after another.
    pub fn read(&self, positions: &[u32]) -> io::Result<Vec<f32>> {
        let mut values = Vec::with_capacity(positions.len() * self.d_model);
        // Examples are windows, so most positions come in runs: one read for each.
        for run in positions.chunk_by(|a, b| a + 1 == *b) {
            let start = run[0] as usize * self.d_model;
            self.values.read(start..start + run.len() * self.d_model, &mut values)?;
        }
        Ok(values)
    }
}
