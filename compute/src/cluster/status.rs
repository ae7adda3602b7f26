//! Which parts of a plan are done.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use shared::paths;

use super::{
    PlanFolder,
    pace::{Pace, span},
};
use crate::plan::Planned;

/// How far a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStatus {
    /// Files that it has left.
    pub n_done: usize,
    /// Files that it will have left.
    pub n: usize,
    /// Bytes of those that are there.
    pub bytes: u64,
}

impl PartStatus {
    fn of(paths: &[PathBuf]) -> Self {
        let sizes: Vec<u64> = paths.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).collect();
        Self { n_done: sizes.len(), n: paths.len(), bytes: sizes.iter().sum() }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.n_done == self.n
    }
}

/// Each shard's status.
pub fn shards(folder: &PlanFolder) -> Vec<PartStatus> {
    let paths = |shard| -> Vec<PathBuf> {
        let pieces = (0..folder.pieces(shard).len()).map(|piece| folder.piece_path(shard, piece));
        pieces.chain((shard == 0).then(|| folder.health_path())).collect()
    };
    (0..folder.parts().n_shards).map(|shard| PartStatus::of(&paths(shard))).collect()
}

/// Each merge's status.
pub fn merges(folder: &PlanFolder) -> Vec<PartStatus> {
    (0..folder.parts().n_merges).map(|merge| PartStatus::of(&[folder.merge_path(merge)])).collect()
}

/// Whether the bundle or the site that is there is this plan's: younger than all that it was made of.
pub fn is_finished(folder: &PlanFolder) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let parts = (0..folder.parts().n_merges).map(|merge| time(&folder.merge_path(merge)));
    let file = match folder.planned() {
        Planned::Bundle(_) => paths::MANIFEST,
        Planned::Site(_) => paths::SITE,
    };
    match (time(&folder.planned().out().join(file)), parts.collect::<Option<Vec<_>>>()) {
        (Some(bundle), Some(parts)) => parts.iter().all(|part| *part <= bundle),
        _ => false,
    }
}

/// A table of all parts, with how fast the shards went and how long the others will take; of a part that is not done, the
/// last line of its log.
pub fn table(folder: &PlanFolder) -> Result<String> {
    let mut out = String::new();
    let mut part = |name: &str, i: usize, status: &PartStatus, pace: Option<Pace>| -> Result<()> {
        let megabytes = status.bytes as f64 / 1e6;
        write!(out, "{name} {i:<5}  {:>2} of {:>2} files  {megabytes:>10.1} MB", status.n_done, status.n)?;
        if let Some(rate) = pace.and_then(Pace::rows_a_second) {
            write!(out, "  {rate:>8.1} rows/s")?;
        }
        if let Some(line) = last_line(&log_path(folder, name, i)).filter(|_| !status.is_done()) {
            write!(out, "  {line}")?;
        }
        writeln!(out)?;
        Ok(())
    };
    let mut all = Pace::default();
    for (i, status) in shards(folder).iter().enumerate() {
        let pace = shard_pace(folder, i);
        all = all.and(pace);
        part("shard", i, status, Some(pace))?;
    }
    for (i, status) in merges(folder).iter().enumerate() {
        part("merge", i, status, None)?;
    }
    let left = rows_left(folder);
    if let (Some(rate), true) = (all.rows_a_second(), left > 0) {
        let one = span(left as f64 / rate);
        writeln!(out, "shards left   {left} of {} rows, {one} for one task alone", folder.n_rows())?;
    }
    let end = if is_finished(folder) { "done" } else { "to do" };
    writeln!(out, "finish        {end}  ({})", folder.planned().out().display())?;
    Ok(out)
}

/// How fast a shard's pieces that are there were computed.
fn shard_pace(folder: &PlanFolder, shard: usize) -> Pace {
    let paces =
        (0..folder.pieces(shard).len()).filter_map(|piece| Pace::read(&folder.pace_path(shard, piece)));
    paces.fold(Pace::default(), Pace::and)
}

/// Rows of pieces that are not there.
fn rows_left(folder: &PlanFolder) -> usize {
    let of_shard = |shard| -> usize {
        let missing = |piece: &usize| !folder.piece_path(shard, *piece).exists();
        (0..folder.pieces(shard).len()).filter(missing).map(|piece| folder.piece_rows(shard, piece)).sum()
    };
    (0..folder.parts().n_shards).map(of_shard).sum()
}

/// Where Slurm writes what a part prints.
fn log_path(folder: &PlanFolder, name: &str, i: usize) -> PathBuf {
    folder.folder().join("logs").join(format!("{name}-{i}.log"))
}

/// The last line of a log that is not empty.
fn last_line(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let end = &text[text.len().saturating_sub(4096)..];
    let end = String::from_utf8_lossy(end);
    end.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
