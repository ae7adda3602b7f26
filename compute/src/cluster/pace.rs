//! How fast the pieces of shards were computed: what tells how long the others will take.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::output::OutputFile;

/// Rows that were computed, and how long that took with all that belongs to it but loading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Rows.
    pub n_rows: usize,
    /// Seconds.
    pub seconds: f64,
}

impl Pace {
    /// Writes it to the file at `path`.
    pub fn write(self, path: &Path) -> Result<()> {
        let mut file = OutputFile::replacing(path.to_owned())?;
        let writing = || format!("could not write ({})", path.display());
        file.write_all(&serde_json::to_vec(&self)?).with_context(writing)?;
        file.finish().map(drop)
    }

    /// Reads it; `None` where there is none.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { n_rows: self.n_rows + other.n_rows, seconds: self.seconds + other.seconds }
    }

    /// Rows a second; `None` where nothing was measured.
    pub fn rows_a_second(self) -> Option<f64> {
        (self.n_rows > 0 && self.seconds > 0.0).then(|| self.n_rows as f64 / self.seconds)
    }
}

/// A span of time for people, such as `2 h 05 min`.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0).ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
