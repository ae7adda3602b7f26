//! Worker threads that share a model's weights.

use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result, anyhow};
use tch::Device;

use crate::{interrupt, panics};

/// Something with tensors that worker threads may read at the same time.
///
/// tch marks tensors as not `Sync` because a tensor can be changed in place through a shared reference.
#[expect(unsafe_code, reason = "a promise that the compiler cannot check")]
/// # Safety
///
/// No method may change a tensor in place or record gradients. Reading is safe: libtorch's reference counts are atomic.
pub unsafe trait ReadOnly {}

/// A reference on its way to a worker thread.
struct Shared<'a, S>(&'a S);

#[expect(unsafe_code, reason = "what ReadOnly promises")]
// SAFETY: workers only read, by the contract of `ReadOnly`.
unsafe impl<S: ReadOnly> Send for Shared<'_, S> {}

impl<'a, S> Shared<'a, S> {
    /// A method rather than the field, so that closures capture the whole and with it the promise.
    fn get(&self) -> &'a S {
        self.0
    }
}

/// Worker threads for work on `device`: one a core, or one that feeds a GPU.
pub fn n_workers(device: Device) -> usize {
    if device == Device::Cpu { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 }
}

/// Computes items `0..n` on worker threads, and takes them in order on this one.
///
/// Each worker's matrix products are single-threaded: threads inside a product would wait for one another at every
/// layer. Worker `w` of `k` computes items `w`, `w + k`, and so on, and may be one item ahead of what was taken: memory
/// is bounded whatever their pace, and results do not depend on their number. On a GPU there is one worker, whose
/// products this thread's work overlaps.
pub fn in_order<S: ReadOnly, T: Send>(
    shared: &S,
    device: Device,
    n: usize,
    compute: impl Fn(&S, usize) -> Result<T> + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let on_cpu = device == Device::Cpu;
    let k = n_workers(device).min(n).max(1);
    let threads_before = tch::get_num_threads();
    if on_cpu {
        tch::set_num_threads(1);
    }
    let compute = &compute;
    let done = std::thread::scope(|scope| {
        let (threads, items): (Vec<_>, Vec<_>) = (0..k)
            .map(|w| {
                let (send, receive) = sync_channel(1);
                let shared = Shared(shared);
                let thread = scope.spawn(move || {
                    let _no_grad = tch::no_grad_guard();
                    for i in (w..n).step_by(k) {
                        // Nobody receives any more once taking an item failed.
                        if send.send(compute(shared.get(), i)).is_err() {
                            break;
                        }
                    }
                });
                (thread, receive)
            })
            .unzip();
        let taken = (0..n).try_for_each(|i| {
            interrupt::check()?;
            take(i, items[i % k].recv().context("a worker thread stopped")??)
        });
        drop(items);
        for thread in threads {
            thread.join().map_err(|panic| anyhow!(panics::message(panic.as_ref())))?;
        }
        taken
    });
    tch::set_num_threads(threads_before);
    done
}
