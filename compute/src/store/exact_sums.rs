//! Sums whose bits do not depend on the order in which numbers are added, nor on how they were grouped: those of shards,
//! added up, are those of one run.
//!
//! A row of sums has a *bin* `k`, by the largest number that was added to any of its columns: `|v| < 2^(28 (k + 1)) / 2`.
//! Each number is rounded to a multiple of `2^(28 k)`, which is added to the coarse sum, and what is left of it to a
//! multiple of `2^(28 (k - 1))`, which is added to the fine one. Both sums are multiples of their grid below 2^53 of it for
//! up to 2^25 additions, so f64 holds them exactly. Where a larger number moves the row to another bin, the coarse sum
//! becomes the fine one: on a grid above their bin, all numbers so far round to 0. So a sum is that of all numbers, each
//! rounded to the final fine grid: by at most 2^-28 of the row's largest, as a rule far less.
//!
//! Source: the indexed sums of Demmel and Nguyen, Parallel Reproducible Summation (2015), with two bins of 28 bits, which
//! an f32 fits into.

use anyhow::{Result, ensure};
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use crate::sections::{SectionReader, SectionWriter};

/// Bits of a bin.
const BITS: i32 = 28;
/// The bin of the smallest numbers; f32 begins at 2^-149.
const LOWEST: i32 = -6;
/// The bin of the largest numbers, and of what is no number; f32 ends at 2^128.
const HIGHEST: i32 = 4;

/// Rows of exact sums on the host.
#[derive(Debug, Clone, Default)]
pub struct ExactSums {
    width: usize,
    /// The bin of each row.
    bins: Vec<i32>,
    /// `[n_rows, width]`.
    coarse: Vec<f64>,
    /// `[n_rows, width]`.
    fine: Vec<f64>,
}

/// A row of exact sums.
#[derive(Debug)]
pub struct ExactRow<'a> {
    bin: &'a mut i32,
    coarse: &'a mut [f64],
    fine: &'a mut [f64],
}

/// The bin for numbers of up to `max`.
fn bin_of(max: f32) -> i32 {
    // An f64 holds every f32 with a leading 1, whose exponent is read.
    let exponent = ((f64::from(max).to_bits() >> 52) & 0x7ff) as i32 - 1023;
    (exponent + 1).div_euclid(BITS).clamp(LOWEST, HIGHEST)
}

/// Added to a number and taken away again, it leaves the nearest multiple of `2^(28 bin)`, ties to even.
fn rounding(bin: i32) -> f64 {
    1.5 * 2f64.powi(52 + BITS * bin)
}

impl ExactSums {
    /// Zeros.
    pub fn new(n_rows: usize, width: usize) -> Self {
        let zeros = vec![0.0; n_rows * width];
        Self { width, bins: vec![LOWEST; n_rows], coarse: zeros.clone(), fine: zeros }
    }

    /// Writes all of it as arrays whose names begin with `name`.
    pub fn write(&self, name: &str, to: &mut SectionWriter) -> Result<()> {
        to.write_all(&format!("{name}.width"), &[self.width as u64])?;
        to.write_all(&format!("{name}.bins"), &self.bins)?;
        to.write_all(&format!("{name}.coarse"), &self.coarse)?;
        to.write_all(&format!("{name}.fine"), &self.fine)
    }

    /// What was written.
    pub fn open(name: &str, from: &SectionReader) -> Result<Self> {
        let width = from.read::<u64>(&format!("{name}.width"))?.first().copied().unwrap_or_default() as usize;
        let bins: Vec<i32> = from.read(&format!("{name}.bins"))?;
        let this = Self {
            width,
            bins,
            coarse: from.read(&format!("{name}.coarse"))?,
            fine: from.read(&format!("{name}.fine"))?,
        };
        let n = this.bins.len().checked_mul(width);
        ensure!(
            n == Some(this.coarse.len()) && n == Some(this.fine.len()),
            "the sums contradict one another"
        );
        Ok(this)
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All rows, to add to.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = ExactRow<'_>> {
        let width = self.width.max(1);
        let columns = self.coarse.chunks_mut(width).zip(self.fine.chunks_mut(width));
        self.bins.iter_mut().zip(columns).map(|(bin, (coarse, fine))| ExactRow { bin, coarse, fine })
    }

    /// The same side by side.
    pub fn par_rows_mut(&mut self) -> impl IndexedParallelIterator<Item = ExactRow<'_>> {
        let width = self.width.max(1);
        let columns = self.coarse.par_chunks_mut(width).zip(self.fine.par_chunks_mut(width));
        self.bins.par_iter_mut().zip(columns).map(|(bin, (coarse, fine))| ExactRow { bin, coarse, fine })
    }

    /// The sums of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        let columns = row * self.width..(row + 1) * self.width;
        self.coarse[columns.clone()].iter().zip(&self.fine[columns]).map(|(coarse, fine)| coarse + fine)
    }

    /// Adds sums of other numbers, of the same shape.
    pub fn merge(&mut self, mut other: Self) {
        for (mut sums, mut others) in self.rows_mut().zip(other.rows_mut()) {
            let bin = (*sums.bin).max(*others.bin);
            sums.raise(bin);
            others.raise(bin);
            sums.coarse.iter_mut().zip(others.coarse).for_each(|(sum, other)| *sum += *other);
            sums.fine.iter_mut().zip(others.fine).for_each(|(sum, other)| *sum += *other);
        }
    }
}

impl ExactRow<'_> {
    /// Adds one number to each column. Inlined, so that it is compiled for the vectors that its caller is compiled for.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a function that is not inlined is compiled without the caller's vectors"
    )]
    pub fn add(&mut self, values: &[f32]) {
        let max = values.iter().fold(0f32, |max, v| if v.abs() > max { v.abs() } else { max });
        if max > 0.0 {
            self.raise(bin_of(max));
        }
        let (to_coarse, to_fine) = (rounding(*self.bin), rounding(*self.bin - 1));
        for ((coarse, fine), value) in self.coarse.iter_mut().zip(self.fine.iter_mut()).zip(values) {
            let value = f64::from(*value);
            let high = (value + to_coarse) - to_coarse;
            *coarse += high;
            *fine += (value - high + to_fine) - to_fine;
        }
    }

    fn raise(&mut self, bin: i32) {
        match bin - *self.bin {
            ..=0 => return,
            1 => self.fine.copy_from_slice(self.coarse),
            _ => self.fine.fill(0.0),
        }
        self.coarse.fill(0.0);
        *self.bin = bin;
    }
}

/// Rows that are added to at once on a device take about this much memory.
const ROWS_BYTES: usize = 64 << 20;

/// Rows of exact sums as tensors, bit for bit those on the host.
#[derive(Debug)]
pub struct ExactTensor {
    /// Of each row, from the lowest: `[n_rows]`.
    bins: Tensor,
    /// `[n_rows, width]`.
    coarse: Tensor,
    /// `[n_rows, width]`.
    fine: Tensor,
    /// What rounds to the coarse grid of each bin, and to the fine one: `[n_bins]`.
    rounding: [Tensor; 2],
}

impl ExactTensor {
    /// Zeros.
    pub fn new(n_rows: usize, width: usize, device: Device) -> Result<Self, TchError> {
        let zeros = || Tensor::f_zeros([n_rows as i64, width as i64], (Kind::Double, device));
        let constants = |below: i32| {
            let all: Vec<f64> = (LOWEST..=HIGHEST).map(|bin| rounding(bin - below)).collect();
            Tensor::f_from_slice(&all)?.f_to_device(device)
        };
        Ok(Self {
            bins: Tensor::f_zeros([n_rows as i64], (Kind::Int64, device))?,
            coarse: zeros()?,
            fine: zeros()?,
            rounding: [constants(0)?, constants(1)?],
        })
    }

    /// Adds one number to each sum.
    ///
    /// - `values`: `[n_rows, width]`, f32
    pub fn add(&mut self, values: &Tensor) -> Result<(), TchError> {
        let [n_rows, width] = values.size()[..] else {
            return Err(TchError::Shape(format!("{:?}, expected rows and columns", values.size())));
        };
        let at_once = (ROWS_BYTES / 8 / width.max(1) as usize).max(1) as i64;
        for first in (0..n_rows).step_by(at_once as usize) {
            self.add_rows(first, &values.f_narrow(0, first, at_once.min(n_rows - first))?)?;
        }
        Ok(())
    }

    fn add_rows(&mut self, first: i64, values: &Tensor) -> Result<(), TchError> {
        let rows = |all: &Tensor| all.f_narrow(0, first, values.size()[0]);
        let (mut bins, mut coarse, mut fine) = (rows(&self.bins)?, rows(&self.coarse)?, rows(&self.fine)?);
        let values = values.f_to_kind(Kind::Double)?;
        let max = values.f_abs()?.f_amax([-1i64], false)?; // [n]
        let (_, exponent) = max.f_frexp()?; // of a mantissa from 1/2 to 1
        let found = exponent.f_to_kind(Kind::Int64)?.f_floor_divide_scalar(i64::from(BITS))?;
        let found = found.f_sub_scalar(i64::from(LOWEST))?.f_clamp(0, i64::from(HIGHEST - LOWEST))?;
        let found = found.f_mul(&max.f_gt(0.0)?.f_to_kind(Kind::Int64)?)?; // zeros stay where they are
        let raised = found.f_sub(&bins)?.f_unsqueeze(-1)?; // [n, 1]
        let zero = Tensor::f_zeros([1i64], (Kind::Double, values.device()))?;
        let moved = coarse.f_where_self(&raised.f_eq(1)?, &zero)?;
        fine.f_copy_(&fine.f_where_self(&raised.f_le(0)?, &moved)?)?;
        drop(coarse.f_masked_fill_(&raised.f_gt(0)?, 0.0)?);
        bins.f_copy_(&bins.f_maximum(&found)?)?;
        let round = |values: &Tensor, constants: &Tensor| {
            let constants = constants.f_index_select(0, &bins)?.f_unsqueeze(-1)?; // [n, 1]
            values.f_add(&constants)?.f_sub(&constants)
        };
        let high = round(&values, &self.rounding[0])?;
        let low = round(&values.f_sub(&high)?, &self.rounding[1])?;
        drop(coarse.f_add_(&high)?);
        drop(fine.f_add_(&low)?);
        Ok(())
    }

    /// The same on the host.
    pub fn to_host(&self) -> Result<ExactSums, TchError> {
        let flat = |t: &Tensor| t.f_to_device(Device::Cpu)?.f_contiguous()?.f_view(-1);
        let floats = |t: &Tensor| Vec::<f64>::try_from(flat(t)?);
        let bins = Vec::<i64>::try_from(flat(&self.bins)?)?;
        Ok(ExactSums {
            width: self.coarse.size().last().copied().unwrap_or_default() as usize,
            bins: bins.into_iter().map(|bin| bin as i32 + LOWEST).collect(),
            coarse: floats(&self.coarse)?,
            fine: floats(&self.fine)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of every size that f32 has, and zeros.
    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => (-149i32..127, -1f32..1.0).prop_map(|(exponent, m)| (f64::from(m) * 2f64.powi(exponent)) as f32),
            4 => -9f32..9.0,
            1 => Just(0.0),
        ]
    }

    fn bits(sums: &ExactSums) -> Vec<u64> {
        (0..sums.bins.len()).flat_map(|row| sums.row(row)).map(f64::to_bits).collect()
    }

    fn sum(batches: &[Vec<f32>], width: usize) -> ExactSums {
        let mut sums = ExactSums::new(2, width);
        for batch in batches {
            sums.rows_mut().zip(batch.chunks(width)).for_each(|(mut row, values)| row.add(values));
        }
        sums
    }

    proptest! {
        #[test]
        fn sums_have_the_same_bits_in_any_order_and_any_groups(
            mut batches in prop::collection::vec(prop::collection::vec(number(), 6), 1..40),
            cuts in prop::collection::vec(0f64..1.0, 0..4),
            order in any::<u64>(),
        ) {
            let whole = sum(&batches, 3);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * batches.len() as f64) as usize).collect();
            cuts.extend([0, batches.len()]);
            cuts.sort_unstable();
            let mut merged = ExactSums::new(2, 3);
            cuts.windows(2).rev().for_each(|cut| merged.merge(sum(&batches[cut[0]..cut[1]], 3)));
            prop_assert_eq!(bits(&whole), bits(&merged));

            let mut on_device = ExactTensor::new(2, 3, Device::Cpu).unwrap();
            for batch in &batches {
                on_device.add(&Tensor::from_slice(batch).view([2, 3])).unwrap();
            }
            prop_assert_eq!(bits(&whole), bits(&on_device.to_host().unwrap()));

            let n = batches.len();
            for i in 0..n {
                batches.swap(i, (order >> (i % 60)) as usize % n);
            }
            prop_assert_eq!(bits(&whole), bits(&sum(&batches, 3)));
        }

        #[test]
        fn a_sum_is_near_that_of_all_numbers(batches in prop::collection::vec(prop::collection::vec(-9f32..9.0, 4), 1..400)) {
            let sums = sum(&batches, 2);
            for column in 0..4 {
                let exact: f64 = batches.iter().map(|batch| f64::from(batch[column])).sum();
                let got = sums.row(column / 2).nth(column % 2).unwrap();
                prop_assert!((got - exact).abs() <= 9.0 * batches.len() as f64 * 2f64.powi(-28), "{got}, {exact}");
            }
        }
    }

    #[test]
    fn bins_hold_what_they_are_for() {
        for exponent in -149..128 {
            let (least, bin) = (2f64.powi(exponent), bin_of(2f64.powi(exponent) as f32));
            assert!(2.0 * least < 2f64.powi(BITS * (bin + 1)), "2^{exponent} is too large for {bin}");
            assert!(
                bin == LOWEST || 2.0 * least >= 2f64.powi(BITS * bin),
                "2^{exponent} is too small for {bin}"
            );
        }
    }
}
