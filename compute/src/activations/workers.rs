//! Worker threads that share the model's weights.

use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result};
use tch::Device;

use super::Subject;

/// A subject, handed to worker threads that only read it.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a Subject);

#[allow(unsafe_code, reason = "tch marks tensors as not Sync because tensors can be changed in place")]
// SAFETY: workers compute new tensors from the shared ones and change none in place; libtorch's reference counts
// are atomic, and no gradient is recorded.
unsafe impl Send for Shared<'_> {}

impl<'a> Shared<'a> {
    fn get(self) -> &'a Subject {
        self.0
    }
}

/// Computes items `0..n` on worker threads, and takes them in order on this one.
///
/// Worker `w` of `k` computes items `w`, `w + k`, and so on, and may be one item ahead of what was taken: memory
/// is bounded whatever their pace. On a GPU there is one worker, whose products this thread's work overlaps.
pub fn in_order<T: Send>(
    subject: &Subject,
    n: usize,
    compute: impl Fn(&Subject, usize) -> Result<T> + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let on_cpu = subject.device == Device::Cpu;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let k = if on_cpu { cores.min(n) } else { 1 }.max(1);
    let threads_before = tch::get_num_threads();
    if on_cpu && k > 1 {
        tch::set_num_threads(1);
    }
    let (shared, compute) = (Shared(subject), &compute);
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..k)
            .map(|w| {
                let (send, receive) = sync_channel(1);
                scope.spawn(move || {
                    let _no_grad = tch::no_grad_guard();
                    for i in (w..n).step_by(k) {
                        // Nobody receives any more once taking an item failed.
                        if send.send(compute(shared.get(), i)).is_err() {
                            break;
                        }
                    }
                });
                receive
            })
            .collect();
        (0..n).try_for_each(|i| take(i, workers[i % k].recv().context("a worker thread stopped")??))
    });
    tch::set_num_threads(threads_before);
    done
}
