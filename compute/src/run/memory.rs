//! How much memory a run may take, and how much it took.
//!
//! What grows with the corpus is kept in memory within an [`Allowance`] and in temporary files beyond it: the resident set
//! of a run is the same whatever the number of tokens, but for the token ids themselves (4 bytes each). What is left
//! depends on batches and on features only; it is added up here and left free. Figures come from Linux's `/proc`.

use std::fs;

use anyhow::{Result, bail};

use super::{features, tables};
use crate::{
    activations::{Allowance, SEGMENT_BYTES, Subject, Wanted, batch_bytes},
    plan::Plan,
    sae::Sae,
};

/// What the corpus may keep in memory where the reader sets no limit. Files are written and read by position, so most of
/// the way through the system's cache: memory that the process does not own.
const DEFAULT_BYTES: usize = 64 << 20;
/// Buffers of the files written, tables and index of the features, and the allocator's own: an estimate.
const BASE_BYTES: usize = 88 << 20;

/// Has the C library take memory from one place for all threads.
///
/// By default each thread has its own, and what one has freed no other can use: with two workers that pass batches on,
/// half as much again stayed resident. Large tensors are few, so threads do not wait for one another.
pub fn share_between_threads() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a setting of the C library, which has no other interface")]
    // SAFETY: it takes two numbers, and is called before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Has the C library give the system what it keeps for later: how much that is differs from run to run.
fn give_back() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a call of the C library, which has no other interface")]
    // SAFETY: it takes a number, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the corpus may take, within `--max-memory` or, without it, 64 MiB.
pub fn allowance(plan: &Plan, subject: &Subject, wanted: Wanted, seq_len: usize) -> Result<Allowance> {
    let Some(max) = plan.max_memory else { return Ok(Allowance::of(DEFAULT_BYTES)) };
    give_back();
    let used = proc_bytes("/proc/self/status", "VmRSS:").unwrap_or_default();
    let neurons =
        if wanted.neurons { 8 * subject.sae.config().d_in as usize * plan.features.len() } else { 0 };
    // The pass comes first, then tables, then features: what one has freed the next takes.
    let pass = batch_bytes(subject, plan.input.batch_rows * seq_len) + 2 * SEGMENT_BYTES;
    let d_vocab = plan.input.model_config.d_vocab as usize;
    let stages = [
        pass,
        tables::bytes(plan.features.len(), subject.sae_b.as_ref().map_or(0, Sae::n_features)),
        features::bytes(plan.features.len(), d_vocab),
    ];
    let ahead = used + neurons + BASE_BYTES + stages.into_iter().max().unwrap_or_default();
    // Loading and health may have taken more than what follows will.
    let reserved = ahead.max(peak().unwrap_or_default());
    if max < reserved {
        // The next run's own pages may be a little more than this one's: what is named should do for it.
        let enough = reserved + reserved / 10;
        bail!(
            "--max-memory is {}, expected at least {} for this model and these features: raise it, or choose fewer \
             --features or --batch-rows",
            text(max),
            text(enough)
        );
    }
    Ok(Allowance::of(max - reserved))
}

/// The largest part of memory that the process had, in bytes.
pub fn peak() -> Option<usize> {
    proc_bytes("/proc/self/status", "VmHWM:")
}

/// `1.5 GB`.
pub fn text(n_bytes: usize) -> String {
    match n_bytes as f64 / 1e9 {
        gb if gb < 1.0 => format!("{:.0} MB", gb * 1e3),
        gb => format!("{gb:.2} GB"),
    }
}

/// Reads `1500MB`, `8GB`, `8GiB` or a number of bytes.
pub fn parse(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        _ => return Err("expected a size such as 1500MB, 8GB or 8GiB".to_owned()),
    };
    let number: f64 = number.parse().map_err(|e| format!("expected a size such as 8GB: {e}"))?;
    Ok((number * unit) as usize)
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
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("1.5GB"), Ok(1_500_000_000));
        assert_eq!(parse("2 GiB"), Ok(2 << 30));
        assert_eq!(parse("4096"), Ok(4096));
        assert!(parse("8 potatoes").is_err() && parse("GB").is_err());
    }

    #[test]
    fn the_kernel_says_how_much_was_taken() {
        assert!(peak().unwrap() > 1 << 20);
    }
}
