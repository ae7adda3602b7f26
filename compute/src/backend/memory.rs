//! How much memory the process may take, and how much it took. Figures come from Linux's `/proc`.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Bytes that may still be kept in memory; clones share them.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    /// So many bytes for all clones together.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// As many as the machine gives.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// Takes `bytes` from the budget; false, and nothing taken, where fewer are left.
    pub fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Has the C library take memory from one arena for all threads.
///
/// By default each thread has its own, and what one has freed no other can use: with two workers that pass batches on,
/// half as much again stayed resident. Large tensors are few, so threads do not wait for one another.
pub fn share_between_threads() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "a setting of the C library, which has no other interface")]
    // SAFETY: it takes two numbers, and is called before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Has the C library give the system what it keeps for later: how much that is differs from run to run.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "a call of the C library, which has no other interface")]
    // SAFETY: it takes a number, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Resident bytes of the process.
pub fn resident() -> Option<usize> {
    proc_bytes("/proc/self/status", "VmRSS:")
}

/// The most resident bytes that the process had.
pub fn peak() -> Option<usize> {
    proc_bytes("/proc/self/status", "VmHWM:")
}

/// The figure of a line of one of Linux's `/proc` files, which are in KiB.
fn proc_bytes(file: &str, name: &str) -> Option<usize> {
    let all = fs::read_to_string(file).ok()?;
    let line = all.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse::<usize>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_was_taken() {
        let before = peak().unwrap();
        let taken = vec![1u8; 64 << 20];
        assert!(peak().unwrap() >= before.max(64 << 20) && taken.iter().all(|byte| *byte == 1));
    }
}
