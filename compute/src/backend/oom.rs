//! What does not fit into memory is computed in parts.
//!
//! libtorch reports a failed allocation as an error; where a whole command fails, [`guard`] catches what a plain method of
//! tch made a panic of. Items keep their order. A part's matrix products have another shape than the whole's, and sums of
//! neurons are added part by part, so numbers agree within float tolerance, not to the bit.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    interrupt,
    panics::{self, caught},
};

/// How many items (rows of a batch, effects) fit, as far as is known.
#[derive(Debug)]
pub struct Backoff {
    at_once: AtomicUsize,
}

/// What failed allocations say: CUDA's allocator, the CPU's, C++ and Rust. The text is all that can tell them: tch hands
/// on what a C++ exception says, not its class.
const OUT_OF_MEMORY: [&str; 4] =
    ["out of memory", "can't allocate memory", "std::bad_alloc", "memory allocation failed"];

impl Backoff {
    /// All `n` of them, until that fails.
    pub fn new(n: usize) -> Self {
        Self { at_once: AtomicUsize::new(n) }
    }

    /// Items that are computed at once by now.
    pub fn at_once(&self) -> usize {
        self.at_once.load(Ordering::Relaxed)
    }

    /// Computes `items` at once; where memory does not suffice for so many, in parts of half as many, and so on. Later
    /// calls begin with what fitted.
    pub fn in_parts<T>(
        &self,
        items: Range<usize>,
        compute: impl Fn(Range<usize>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut parts = Vec::new();
        let mut start = items.start;
        while start < items.end {
            interrupt::check()?;
            let part = start..items.end.min(start + self.at_once());
            match compute(part.clone()) {
                Ok(done) => {
                    parts.push(done);
                    start = part.end;
                }
                Err(error) if is_out_of_memory(&error) && part.len() > 1 => {
                    self.at_once.fetch_min(part.len().div_ceil(2), Ordering::Relaxed);
                }
                Err(error) if is_out_of_memory(&error) => {
                    return Err(error).context(NotEnough);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(parts)
    }
}

/// What to do where even one item does not fit.
#[derive(Debug, thiserror::Error)]
#[error("not enough memory: choose fewer --features, a shorter --seq-len or --device cpu")]
struct NotEnough;

/// Does `command`, a whole one; a panic becomes an error. Where it needs more memory than there is, the error says what to
/// do.
pub fn guard(command: impl FnOnce() -> Result<()>) -> Result<()> {
    panics::silence();
    // What a panic leaves half done is dropped with it: nothing outside is changed.
    let done = caught(command).unwrap_or_else(|panic| Err(anyhow!(panic)));
    done.map_err(|error| {
        let told = error.is::<NotEnough>();
        if is_out_of_memory(&error) && !told { error.context(NotEnough) } else { error }
    })
}

/// Whether memory did not suffice.
fn is_out_of_memory(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    OUT_OF_MEMORY.iter().any(|said| text.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::ensure;
    use tch::{Device, Kind, Tensor};

    /// Rows, as if memory sufficed for `n` of them.
    fn room_for(n: usize) -> impl Fn(Range<usize>) -> Result<Range<usize>> {
        move |rows| {
            ensure!(
                rows.len() <= n,
                "CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised from malloc"
            );
            Ok(rows)
        }
    }

    #[test]
    fn a_batch_that_does_not_fit_is_computed_in_halves_in_order() {
        let backoff = Backoff::new(16);
        assert_eq!(backoff.in_parts(0..16, room_for(16)).unwrap(), vec![0..16; 1]);
        assert_eq!(backoff.in_parts(16..32, room_for(5)).unwrap(), [16..20, 20..24, 24..28, 28..32]);
        assert_eq!(backoff.at_once(), 4);
        assert_eq!(backoff.in_parts(32..42, room_for(5)).unwrap(), [32..36, 36..40, 40..42], "remembered");
    }

    #[test]
    fn what_libtorch_refuses_is_computed_in_halves() {
        let refused = |rows: Range<usize>| {
            // No machine has room for 2^62 bytes.
            let n = if rows.len() > 2 { 1 << 60 } else { 1 };
            drop(Tensor::f_empty([n], (Kind::Float, Device::Cpu))?);
            Ok(rows)
        };
        assert_eq!(Backoff::new(8).in_parts(0..5, refused).unwrap(), [0..2, 2..4, 4..5]);
    }

    #[test]
    fn a_panic_is_an_error_of_the_whole_command() {
        let error = guard(|| {
            drop(Tensor::empty([1 << 60], (Kind::Float, Device::Cpu)));
            Ok(())
        });
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.starts_with("not enough memory: choose fewer --features"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        // Other tests of the process fail with their own messages.
        drop(std::panic::take_hook());
    }

    #[test]
    fn one_item_that_does_not_fit_is_an_error_with_a_next_step() {
        let error = format!("{:#}", Backoff::new(4).in_parts(0..4, room_for(0)).unwrap_err());
        assert!(error.starts_with("not enough memory: choose fewer --features"), "{error}");
        assert!(error.contains("Tried to allocate 2.00 GiB"), "{error}");
    }

    #[test]
    fn other_failures_are_not_tried_again() {
        let tries = std::cell::Cell::new(0);
        let fails = |_| -> Result<()> {
            tries.set(tries.get() + 1);
            Err(anyhow!("the model has no such hook point"))
        };
        assert!(Backoff::new(4).in_parts(0..4, fails).is_err());
        assert_eq!(tries.get(), 1);
    }
}
