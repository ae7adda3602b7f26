//! Which stretches of a large corpus are read for a sample of rows.
//!
//! A corpus of which `--sequences N` keeps little is not read whole: stretches of it are drawn by the seed, where files
//! can be read from anywhere, and read until twice as many rows have passed as are kept, of which the rows are drawn.

use std::{fs::File, io::Read as _};

use rand::{SeedableRng, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{Compression, CorpusError, CorpusFile, CorpusKind, Rule, Source, files};

/// A corpus up to this size is read whole, in bytes.
const SMALL: u64 = 16 << 20;
/// Bytes of text that a token takes, on the large side.
const TOKEN_BYTES: u64 = 4;
/// A corpus up to this many times the text that the rows hold is read whole.
const MANY: u64 = 8;
/// A stretch, in bytes.
const STRETCH: std::ops::RangeInclusive<u64> = (16 << 10)..=(4 << 20);
/// Stretches that are read at least, so that the rows do not come from one corner.
pub const MIN_STRETCHES: usize = 32;
/// Stretches that are drawn at most.
const MAX_STRETCHES: usize = 8192;
/// Files that are looked into at most.
const MAX_FILES: usize = 64;

/// A part of a file that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which file of the corpus.
    pub file: usize,
    /// Where reading begins, in bytes: at the first line after it.
    pub start: u64,
    /// Lines that begin from here on are not read.
    pub end: Option<u64>,
    /// The row group of a Parquet file.
    pub group: Option<usize>,
    /// Bytes of text after which the rest is left.
    pub limit: Option<u64>,
}

/// What to read for a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// In the order in which they are read.
    pub parts: Vec<Part>,
    /// Rows after which no further part is read.
    pub enough: usize,
    /// Bytes of the corpus.
    pub of_bytes: u64,
    /// Files of the corpus.
    pub of_files: usize,
}

impl Part {
    /// All of a file.
    pub fn whole(file: usize) -> Self {
        Self { file, start: 0, end: None, group: None, limit: None }
    }

    /// What it is called: the file, with where it begins.
    pub fn name(&self, file: &CorpusFile) -> String {
        match (self.group, self.start) {
            (Some(group), _) => format!("{} in row group {group}", file.name),
            (None, 0) => file.name.clone(),
            (None, start) => format!("{} after byte {start}", file.name),
        }
    }
}

/// What to read where a sample needs little of the corpus; `None` where all of it is read.
pub fn draw(source: &Source, rule: &Rule) -> Result<Option<Sample>, CorpusError> {
    let (Some(seed), Some(max_rows)) = (rule.shuffle_seed, rule.max_rows) else { return Ok(None) };
    let need = (max_rows as u64).saturating_mul(rule.seq_len as u64).saturating_mul(TOKEN_BYTES);
    let of_bytes = source.files.iter().filter_map(|file| file.bytes).sum();
    if of_bytes <= SMALL.max(need.saturating_mul(MANY)) {
        return Ok(None);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = draw_files(source, need, &mut rng);
    let stretch = (need / MIN_STRETCHES as u64).clamp(*STRETCH.start(), *STRETCH.end());
    let beginning = (need.saturating_mul(MANY) / drawn.len().max(1) as u64).max(stretch);
    let mut parts = Vec::new();
    for &file in &drawn {
        parts.extend(parts_of(&source.files[file], file, stretch, beginning)?);
    }
    parts.shuffle(&mut rng);
    parts.truncate(MAX_STRETCHES);
    let enough = max_rows.saturating_mul(2);
    Ok(Some(Sample { parts, enough, of_bytes, of_files: source.files.len() }))
}

/// Files to look into, in the order drawn: of those that have to be fetched no more than the sample needs, beginning with
/// the first of all, which was fetched to see what the corpus holds.
fn draw_files(source: &Source, need: u64, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..source.files.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|file| *file > 0 || !source.files[0].is_elsewhere());
    let mut bytes = 0;
    let mut drawn = Vec::new();
    for file in order.into_iter().take(MAX_FILES) {
        if source.files[file].is_elsewhere() && bytes > need {
            continue;
        }
        bytes += source.files[file].bytes.unwrap_or_default();
        drawn.push(file);
    }
    drawn
}

/// Stretches of a file that can be read from anywhere, or else its beginning.
fn parts_of(file: &CorpusFile, index: usize, stretch: u64, beginning: u64) -> Result<Vec<Part>, CorpusError> {
    let path = file.path()?;
    let (kind, compression) = CorpusKind::with_compression(file.name.as_ref())?;
    let whole = Part::whole(index);
    if let Some(groups) = files::groups(&path, kind)? {
        let limit = Some((beginning / groups.max(1) as u64).max(stretch));
        return Ok((0..groups).map(|group| Part { group: Some(group), limit, ..whole.clone() }).collect());
    }
    let is_array = || {
        let mut first = [0];
        File::open(&path).and_then(|mut file| file.read_exact(&mut first)).is_ok_and(|()| first == *b"[")
    };
    let seekable = compression == Compression::None
        && (kind == CorpusKind::Text || kind == CorpusKind::Json && !is_array());
    let n = std::fs::metadata(&path).map(|data| data.len()).unwrap_or_default();
    if !seekable {
        return Ok(vec![Part { limit: Some(beginning), ..whole }]);
    }
    // Every so many stretches of a very long file, so that all of it is drawn from.
    let step = stretch * n.div_ceil(stretch * (MAX_STRETCHES as u64)).max(1);
    let starts = (0..n).step_by(step as usize);
    Ok(starts.map(|start| Part { start, end: Some(start + stretch), ..whole.clone() }).collect())
}

impl Sample {
    /// How the sample was drawn, after `n_parts` of its parts were read.
    pub fn sentence(&self, n_parts: usize) -> String {
        let of_beginnings = self.parts.iter().all(|part| part.end.is_none() && part.group.is_none());
        let read = match (of_beginnings, n_parts) {
            (true, 1) => "the beginning of 1 file was read".to_owned(),
            (true, n) => format!("the beginnings of {n} files were read"),
            (false, n) => format!("{n} stretches drawn by --seed were read"),
        };
        let (s, mb) = (if self.of_files == 1 { "" } else { "s" }, self.of_bytes as f64 / 1e6);
        format!("the rows are a sample: {read}, of {} file{s} with {mb:.0} MB", self.of_files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn rule(max_rows: usize) -> Rule {
        Rule { seq_len: 128, end_of_text: 0, bos: None, shuffle_seed: Some(3), max_rows: Some(max_rows) }
    }

    #[test]
    fn only_a_large_corpus_is_sampled_and_from_all_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut file = File::create(&path).unwrap();
        let line = format!("{{\"text\": \"{}\"}}\n", "x".repeat(1000));
        for _ in 0..20_000 {
            file.write_all(line.as_bytes()).unwrap();
        }
        let source = Source::on_disk(&path, "a".into()).unwrap();
        let sample = draw(&source, &rule(64)).unwrap().unwrap();
        let n = source.files[0].bytes.unwrap();
        assert_eq!(sample, draw(&source, &rule(64)).unwrap().unwrap(), "the same each time");
        assert!(sample.parts.len() > 1000 && sample.enough == 128);
        let late = sample.parts[..100].iter().filter(|part| part.start > n / 2).count();
        assert!((30..=70).contains(&late), "{late} of 100 in the second half");
        assert_eq!(draw(&source, &rule(10_000)).unwrap(), None, "most of it is needed");
        let in_order = Rule { shuffle_seed: None, ..rule(64) };
        assert_eq!(draw(&source, &in_order).unwrap(), None);
    }
}
