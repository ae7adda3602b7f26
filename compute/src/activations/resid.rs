//! The last residuals of all positions, which effects read again.

use std::io;

use super::spill::{Allowance, Column, Growing};

/// Vectors of the residual stream before the final norm, one a position.
#[derive(Debug)]
pub struct Residuals {
    d_model: usize,
    values: Column<f32>,
}

/// The same while they come.
#[derive(Debug)]
pub struct GatheringResiduals {
    d_model: usize,
    values: Growing<f32>,
}

impl GatheringResiduals {
    /// None yet, of width `d_model`.
    pub fn new(d_model: usize, allowance: &Allowance) -> Self {
        Self { d_model, values: Growing::new(allowance) }
    }

    /// Appends residuals, `[n_pos, d_model]` row-major.
    pub fn push(&mut self, resid: &[f32]) -> io::Result<()> {
        self.values.extend(resid)
    }

    /// All residuals.
    pub fn finish(self) -> io::Result<Residuals> {
        Ok(Residuals { d_model: self.d_model, values: self.values.finish()? })
    }
}

impl Residuals {
    /// Residuals `[n_pos, d_model]`, row-major.
    pub fn of(values: Vec<f32>, d_model: usize) -> Self {
        Self { d_model, values: Column::Memory(values) }
    }

    /// The residuals of `positions`, one after another.
    pub fn read(&self, positions: &[u32]) -> Vec<f32> {
        let of = |&position: &u32| {
            let start = position as usize * self.d_model;
            &self.values[start..start + self.d_model]
        };
        positions.iter().flat_map(of).copied().collect()
    }
}
