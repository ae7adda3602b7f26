//! The last residuals of all positions, which effects read again.
//!
//! On a GPU those of the first positions stay there, as many as it has room for: on their way to the host and back, 3 KB a
//! token at GPT-2's width, they would take longer than the forward pass that they come from. The others, and all of them
//! on the CPU, are in a [`Column`].

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::{IN_A_FILE, column::Column};
use crate::{
    backend::{MemoryBudget, to_host},
    sections::{SectionReader, SectionWriter},
};

/// Gives the last residuals that effects start from.
pub trait ResidSource: Sync {
    /// The last residuals of `positions` of the corpus, which ascend, on `device`: `[positions.len(), d_model]`.
    fn read(&self, positions: &[u32], device: Device) -> Result<Tensor>;
}

/// Vectors of the residual stream before the final norm, one a position, of consecutive positions.
#[derive(Debug)]
pub struct Residuals {
    d_model: usize,
    /// Position of the corpus that is the first here.
    first: usize,
    /// Of the first positions: `[n, d_model]`.
    on_device: Tensor,
    /// Of the others.
    on_host: Column<f32>,
    n_positions: usize,
}

/// What the array of residuals means.
#[derive(Debug, Serialize, Deserialize)]
pub struct ResidMeta {
    d_model: usize,
    first: usize,
    n_positions: usize,
    n_near: usize,
}

#[expect(unsafe_code, reason = "a promise that the compiler cannot check")]
// SAFETY: through a shared reference the tensor is only read, and libtorch's reference counts are atomic.
unsafe impl Sync for Residuals {}

/// The last residuals of a batch.
#[derive(Debug)]
pub struct BatchResid {
    /// Of its first positions, `[n, d_model]`: those that stay on the device.
    on_device: Tensor,
    /// Of the others, `[n, d_model]` row-major.
    on_host: Vec<f32>,
}

impl Residuals {
    /// None yet, of width `d_model` from position `first` on, with room for those of the first `n_on_device` positions on
    /// `device`.
    pub fn new(
        d_model: usize,
        first: usize,
        (device, n_on_device): (Device, usize),
        budget: &MemoryBudget,
    ) -> Result<Self, TchError> {
        let on_device = Tensor::f_empty([n_on_device as i64, d_model as i64], (Kind::Float, device))?;
        Ok(Self { d_model, first, on_device, on_host: Column::new(budget), n_positions: 0 })
    }

    /// Writes all of it as the array `name`.
    pub fn write(&self, name: &str, to: &mut SectionWriter) -> Result<ResidMeta> {
        let filled = self.n_positions.min(self.n_on_device()) as i64;
        to.write_all(&format!("{name}.near"), &to_host(&self.on_device.f_narrow(0, 0, filled)?)?)?;
        self.on_host.write(&format!("{name}.far"), to)?;
        Ok(ResidMeta {
            d_model: self.d_model,
            first: self.first,
            n_positions: self.n_positions,
            n_near: filled as usize,
        })
    }

    /// What was written; most of it stays in the file.
    pub fn open(name: &str, meta: &ResidMeta, from: &SectionReader, budget: &MemoryBudget) -> Result<Self> {
        let ResidMeta { d_model, first, n_positions, n_near } = *meta;
        let near: Vec<f32> = from.read(&format!("{name}.near"))?;
        let on_host: Column<f32> = Column::in_file(from.array(&format!("{name}.far"))?, budget);
        let fits = near.len() == n_near * d_model && near.len() + on_host.len() == n_positions * d_model;
        ensure!(fits, "the last residuals contradict one another");
        let on_device = Tensor::f_from_slice(&near)?.f_view([n_near as i64, d_model as i64])?;
        Ok(Self { d_model, first, on_device, on_host, n_positions })
    }

    /// Number of positions whose residuals stay on the device.
    pub fn n_on_device(&self) -> usize {
        self.on_device.size()[0] as usize
    }

    /// Appends those of the next positions.
    pub fn push(&mut self, part: BatchResid) -> Result<()> {
        let n = part.on_device.size()[0];
        let first = self.n_positions.min(self.n_on_device()) as i64;
        self.on_device.f_narrow(0, first, n)?.f_copy_(&part.on_device)?;
        self.n_positions += n as usize + part.on_host.len() / self.d_model.max(1);
        self.on_host.push(part.on_host).context(IN_A_FILE)
    }

    /// - `positions`: ascending, all of them here
    fn read(&self, positions: &[u32], device: Device) -> Result<Tensor> {
        let at = |p: &u32| *p as usize - self.first;
        let (near, far) = positions.split_at(positions.partition_point(|p| at(p) < self.n_on_device()));
        let near: Vec<i64> = near.iter().map(|p| at(p) as i64).collect();
        let near =
            self.on_device.f_index_select(0, &Tensor::f_from_slice(&near)?.f_to(self.on_device.device())?)?;
        if far.is_empty() {
            return Ok(near);
        }
        let mut values = Vec::with_capacity(far.len() * self.d_model);
        // Examples are windows, so most positions come in runs: one read for each.
        for run in far.chunk_by(|a, b| a + 1 == *b) {
            let start = (at(&run[0]) - self.n_on_device()) * self.d_model;
            self.on_host.read(start..start + run.len() * self.d_model, &mut values).context(IN_A_FILE)?;
        }
        let far = Tensor::f_from_slice(&values)?.f_view([far.len() as i64, self.d_model as i64])?;
        let far = far.f_to(device)?;
        Ok(if near.size()[0] == 0 { far } else { Tensor::f_cat(&[near, far], 0)? })
    }
}

impl ResidSource for Vec<Residuals> {
    fn read(&self, positions: &[u32], device: Device) -> Result<Tensor> {
        let mut parts = Vec::new();
        let mut left = positions;
        for part in self {
            let here;
            (here, left) =
                left.split_at(left.partition_point(|p| (*p as usize) < part.first + part.n_positions));
            if !here.is_empty() {
                parts.push(part.read(here, device)?);
            }
        }
        ensure!(left.is_empty(), "no last residual is kept of position {}", left[0]);
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::f_cat(&parts, 0)? })
    }
}

impl BatchResid {
    /// - `resid`: `[n_pos, d_model]`, of the positions from `first` on, counted from the first of [`Residuals`]
    /// - `n_on_device`: of those, positions whose residuals stay on the device
    pub fn new(resid: &Tensor, first: usize, n_on_device: usize) -> Result<Self> {
        let n = resid.size()[0];
        let stay = n.min(n_on_device.saturating_sub(first) as i64);
        let values = to_host(&resid.f_narrow(0, stay, n - stay)?)?;
        let mut on_host = Vec::new();
        on_host.try_reserve_exact(values.len())?;
        on_host.extend_from_slice(&values);
        // A copy where only a part stays, so that the whole is not kept for it.
        let part = resid.f_narrow(0, 0, stay)?;
        let on_device = if stay < n { part.f_empty_like()? } else { part.shallow_clone() };
        if stay < n {
            on_device.shallow_clone().f_copy_(&part)?;
        }
        Ok(Self { on_device, on_host })
    }

    /// None: where no effects are wanted.
    pub fn none(d_model: i64) -> Result<Self, TchError> {
        let on_device = Tensor::f_empty([0, d_model], (Kind::Float, Device::Cpu))?;
        Ok(Self { on_device, on_host: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn residuals_are_read_as_they_were_pushed_wherever_they_are(
            batches in prop::collection::vec(1i64..9, 1..8),
            n_on_device in 0usize..60,
            first_of_shard in 1usize..8,
            keep in prop::collection::vec(any::<bool>(), 60),
        ) {
            let n: i64 = batches.iter().sum();
            let all = Tensor::arange(3 * n, (Kind::Float, Device::Cpu)).view([n, 3]);
            let part = |first| {
                Residuals::new(3, first as usize, (Device::Cpu, n_on_device), &MemoryBudget::new(100)).unwrap()
            };
            let mut resid = vec![part(0)];
            let (mut first, mut first_of_part) = (0, 0);
            for (i, n) in batches.into_iter().enumerate() {
                if i == first_of_shard {
                    first_of_part = first;
                    resid.push(part(first));
                }
                let at = (first - first_of_part) as usize;
                let batch = BatchResid::new(&all.narrow(0, first, n), at, n_on_device).unwrap();
                resid.last_mut().unwrap().push(batch).unwrap();
                first += n;
            }
            let positions: Vec<u32> = (0..n as u32).filter(|p| keep[*p as usize]).collect();
            let index: Vec<i64> = positions.iter().map(|p| i64::from(*p)).collect();
            let expected = all.index_select(0, &Tensor::from_slice(&index));
            prop_assume!(!positions.is_empty());
            prop_assert_eq!(resid.read(&positions, Device::Cpu).unwrap(), expected);
        }
    }
}
