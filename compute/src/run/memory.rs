//! How much memory a run may take, and how much it took.
//!
//! What grows with the corpus is kept in memory within an [`Allowance`] and in temporary files beyond it. What is left
//! depends on batches and on features only; it is estimated here and left free. Figures come from Linux's `/proc`.

use std::fs;

use anyhow::{Result, bail};

use crate::{
    activations::{Allowance, Subject, Wanted},
    plan::Plan,
    sae::Sae,
};

/// Share of the machine's free memory that a run takes where the reader sets no limit.
const DEFAULT_SHARE: f64 = 0.7;
/// A feature's tables, sequences and effects while they are put together, in bytes: an estimate on the safe side.
const FEATURE_BYTES: usize = 48 << 10;
/// Tiles of effects, buffers of the files written, and the allocator's own: an estimate too.
const BASE_BYTES: usize = 384 << 20;

/// What the corpus may take, within `--max-memory` or, without it, within most of what is free.
pub fn allowance(plan: &Plan, subject: &Subject, wanted: Wanted, seq_len: usize) -> Result<Allowance> {
    let used = proc_bytes("/proc/self/status", "VmRSS:").unwrap_or_default();
    let reserved =
        used + BASE_BYTES + by_features(plan, subject, wanted) + by_batches(plan, subject, seq_len);
    let Some(max) = plan.max_memory else {
        let free = proc_bytes("/proc/meminfo", "MemAvailable:").unwrap_or(usize::MAX);
        return Ok(Allowance::of(((free as f64 * DEFAULT_SHARE) as usize).saturating_sub(reserved - used)));
    };
    if max < reserved {
        bail!(
            "--max-memory is {}, expected at least {} for this model and these features: raise it, or choose fewer \
             --features or --batch-rows",
            text(max),
            text(reserved)
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

fn by_features(plan: &Plan, subject: &Subject, wanted: Wanted) -> usize {
    let neurons = if wanted.neurons { 8 * subject.sae.config().d_in as usize } else { 0 };
    plan.features.len() * (neurons + FEATURE_BYTES)
}

/// Each worker has a batch in hand and one that waits: its layers' widest arrays, and both SAEs' dense activations.
fn by_batches(plan: &Plan, subject: &Subject, seq_len: usize) -> usize {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let features = subject.sae.n_features() + subject.sae_b.as_ref().map_or(0, Sae::n_features);
    let width = 3 * features + 24 * subject.model.config().d_model as usize;
    workers * plan.input.batch_rows * seq_len * 4 * width
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
