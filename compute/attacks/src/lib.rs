//! Hostile files for every reader.
//!
//! An [`Attack`] hands any bytes to one reader, uses what it accepts as a program would, and panics where the reader breaks
//! its promise: an answer or one clear line, within bounded memory. `src/attack/` has one file an attack.
//!
//! Three programs share them: `fuzz` (libFuzzer, run by `campaign`), the test `replay` (every file of `corpus/` and
//! `findings/`, on each run of the tests), and `mutations` (every small change of the good files, counted).

mod attack;
mod folder;
pub mod mutate;
mod verdict;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use peak_alloc::PeakAlloc;

pub use attack::all;
pub use verdict::Outcome;

/// Counts what is asked for, touched or not: a length in a file that is believed shows here.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole program, so one input is read at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The most memory that a hostile file may take beyond what a good one does.
const MAX_BYTES: usize = 300 << 20;

/// One reader under attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name: the file in `src/attack/`, and the folder of its inputs.
    pub name: &'static str,
    reads: fn(&[u8]) -> Outcome,
    seeds: fn() -> Vec<Vec<u8>>,
}

/// What an input did.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// What the reader said.
    pub outcome: Outcome,
    /// The most memory that was asked for at once, in bytes.
    pub peak: usize,
}

impl Attack {
    /// The attack of this name.
    pub fn named(name: &str) -> Option<Self> {
        all().find(|attack| attack.name == name)
    }

    /// Hands `bytes` to the reader.
    ///
    /// # Panics
    ///
    /// Where the reader breaks its promise.
    pub fn run(&self, bytes: &[u8]) -> Run {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let outcome = (self.reads)(bytes);
        let peak = MEMORY.peak_usage().saturating_sub(before);
        assert!(peak <= MAX_BYTES, "{}: {} bytes take {peak} bytes of memory", self.name, bytes.len());
        Run { outcome, peak }
    }

    /// Good files, which the reader accepts.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }

    /// The inputs that are kept, each with where it lies: a small corpus that reaches much of what the fuzzer has
    /// reached, and what it found.
    pub fn kept(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut kept = Vec::new();
        let corpus = self.corpus();
        let lines = if corpus.exists() { fs::read_to_string(&corpus)? } else { String::new() };
        for (i, line) in lines.lines().enumerate() {
            let input = BASE64.decode(line).map_err(io::Error::other)?;
            kept.push((format!("{}, line {}", corpus.display(), i + 1), input));
        }
        let findings = self.findings();
        if findings.exists() {
            for entry in findings.read_dir()? {
                let path = entry?.path();
                kept.push((path.display().to_string(), fs::read(&path)?));
            }
        }
        Ok(kept)
    }

    /// Keeps `inputs`, one a line in base64: they are bytes, and a file each would be thousands.
    pub fn keep(&self, inputs: &[Vec<u8>]) -> io::Result<()> {
        let lines: String = inputs.iter().map(|input| BASE64.encode(input) + "\n").collect();
        fs::create_dir_all(here().join("corpus"))?;
        fs::write(self.corpus(), lines)
    }

    fn corpus(&self) -> PathBuf {
        here().join("corpus").join(format!("{}.txt", self.name))
    }

    /// The folder of what the fuzzer found.
    pub fn findings(&self) -> PathBuf {
        here().join("findings").join(self.name)
    }
}

/// The folder of this crate.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
