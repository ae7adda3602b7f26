//! What does not fit into memory is computed in parts.
//!
//! libtorch reports a failed allocation as an error, which tch's plain methods turn into a panic; here, and nowhere else,
//! it is caught. Items keep their order. A part's matrix products have another shape than the whole's, and sums of
//! neurons are added part by part, so numbers agree within float tolerance, not to the bit.

use std::{
    any::Any,
    cell::Cell,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow};

use crate::interrupt;

/// How many items (rows of a batch, effects) fit, as far as is known.
#[derive(Debug)]
pub struct Backoff {
    at_once: AtomicUsize,
}

/// What failed allocations say: CUDA's allocator, the CPU's, C++ and Rust.
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
            match caught(|| compute(part.clone())) {
                Ok(done) => {
                    parts.push(done);
                    start = part.end;
                }
                Err(error) if is_out_of_memory(&error) && part.len() > 1 => {
                    self.at_once.fetch_min(part.len().div_ceil(2), Ordering::Relaxed);
                }
                Err(error) if is_out_of_memory(&error) => {
                    return Err(error).context(NOT_ENOUGH);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(parts)
    }
}

/// What to do where even one item does not fit.
const NOT_ENOUGH: &str = "not enough memory: choose fewer --features, a shorter --seq-len or --device cpu";

/// Does `compute`, a whole command; where it needs more memory than there is, the error says what to do.
pub fn guard(compute: impl FnOnce() -> Result<()>) -> Result<()> {
    caught(compute).map_err(|error| {
        let said = format!("{error:#}").contains(NOT_ENOUGH);
        if is_out_of_memory(&error) && !said { error.context(NOT_ENOUGH) } else { error }
    })
}

/// Whether memory did not suffice.
fn is_out_of_memory(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    OUT_OF_MEMORY.iter().any(|said| text.contains(said))
}

thread_local! {
    /// Whether a panic of this thread is caught, and so no news.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does `compute`; a panic becomes an error that says the same.
fn caught<T>(compute: impl FnOnce() -> Result<T>) -> Result<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                loud(info);
            }
        }));
    });
    let before = CAUGHT.replace(true);
    // What a panic leaves half done is dropped with it: nothing outside is changed.
    let done = panic::catch_unwind(AssertUnwindSafe(compute));
    CAUGHT.set(before);
    done.unwrap_or_else(|panic| Err(anyhow!("{}", said(panic.as_ref()))))
}

/// The first line of what a panic said, without what tch wraps it in: libtorch adds where in its C++ code it was.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("the computation stopped");
    let text = text.rsplit_once("`Err` value: Torch(\"").map_or(text, |(_, text)| text);
    text.split(['\n', '\\']).next().unwrap_or(text)
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
    fn what_libtorch_panics_with_is_a_failure_like_any_other() {
        let panics = |rows: Range<usize>| {
            // No machine has room for 2^62 bytes.
            let n = if rows.len() > 2 { 1 << 60 } else { 1 };
            drop(Tensor::empty([n], (Kind::Float, Device::Cpu)));
            Ok(rows)
        };
        assert_eq!(Backoff::new(8).in_parts(0..5, panics).unwrap(), [0..2, 2..4, 4..5]);
    }

    #[test]
    fn one_item_that_does_not_fit_is_an_error_with_a_next_step() {
        let error = format!("{:#}", Backoff::new(4).in_parts(0..4, room_for(0)).unwrap_err());
        assert!(error.starts_with("not enough memory: choose fewer --features"), "{error}");
        assert!(error.contains("Tried to allocate 2.00 GiB"), "{error}");
    }

    #[test]
    fn other_failures_are_not_tried_again() {
        let tries = Cell::new(0);
        let fails = |_| -> Result<()> {
            tries.set(tries.get() + 1);
            Err(anyhow!("the model has no such hook point"))
        };
        assert!(Backoff::new(4).in_parts(0..4, fails).is_err());
        assert_eq!(tries.get(), 1);
    }
}
