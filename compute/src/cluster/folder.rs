//! A plan on the disk.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    backend::MemoryBudget,
    corpus::{Rows, Tokenizer},
    output::{OutputFile, make_folders, remove_folder},
    pass::PassOutput,
    plan::{Plan, Planned},
    run::{self, Corpus, Machine, provenance::tool, text},
    sections::Mark,
    store::PRODUCT_BYTES,
};

/// Tokens in a batch where the command line says nothing: what a run on a CPU takes.
const BATCH_TOKENS: usize = 2048;
/// Sums of neurons that the pieces of one shard take on the disk, at most: each piece has its own.
const SUMS_BYTES: usize = 1 << 30;
/// Pieces of a shard, at most.
const MAX_PIECES: usize = 8;

/// How a plan is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Ranges of batches.
    pub n_shards: usize,
    /// Ranges of features.
    pub n_merges: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct PlanFile {
    /// The program that made it; another one may compute other bits.
    tool: String,
    /// The folder in which paths of the plan that are not absolute begin.
    folder: PathBuf,
    parts: Parts,
    /// Pieces of each shard, which are kept one by one.
    n_pieces: usize,
    /// Rows of the corpus.
    n_rows: usize,
    planned: Planned,
}

/// A plan in its folder, with what its parts have left there.
#[derive(Debug)]
pub struct PlanFolder {
    folder: PathBuf,
    hash: String,
    file: PlanFile,
}

impl PlanFolder {
    /// Cuts the corpus into tokens, the work into parts, and writes both to a new folder at `folder`. No device is opened
    /// and no weight is read; weights are fetched from the hub, which the parts' machines may not reach.
    pub fn create(folder: &Path, planned: Planned, parts: Parts) -> Result<Self> {
        ensure!(parts.n_shards > 0, "--shards is 0, expected at least 1");
        ensure!(parts.n_merges > 0, "--merges is 0, expected at least 1");
        Self::create_with(folder, planned, |_, _| parts)
    }

    /// - `parts`: by the number of batches and of features
    fn create_with(
        folder: &Path,
        mut planned: Planned,
        parts: impl FnOnce(usize, usize) -> Parts,
    ) -> Result<Self> {
        let path = folder.join("plan.json");
        ensure!(
            !path.exists(),
            "there is a plan already: remove it, or choose another --plan ({})",
            path.display()
        );
        let first = planned.plans().first().context("there is no SAE")?;
        let rows = run::prepare(first)?.rows;
        first.input.model.fetch_weights()?;
        let batch_rows = first.input.machine.batch_rows;
        let batch_rows = batch_rows.unwrap_or(BATCH_TOKENS / first.input.rule.seq_len).max(1);
        for plan in planned.plans_mut() {
            plan.input.model.weights_on_hub = None;
            plan.input.machine.batch_rows = Some(batch_rows);
        }
        let n_batches = rows.n_rows().div_ceil(batch_rows);
        let parts = parts(n_batches, n_features(planned.plans()));
        ensure!(
            parts.n_shards <= n_batches,
            "--shards is {}, expected at most {n_batches}: the corpus has so many batches of {batch_rows} rows",
            parts.n_shards
        );
        ensure!(
            parts.n_merges <= n_features(planned.plans()),
            "--merges is {}, expected at most {}: so many features are computed",
            parts.n_merges,
            n_features(planned.plans())
        );
        let sums = sums_bytes(planned.plans());
        let n_pieces = (SUMS_BYTES / sums.max(1)).clamp(1, MAX_PIECES);
        let file = PlanFile {
            tool: tool(),
            folder: env::current_dir().context("could not tell the current folder")?,
            parts,
            n_pieces,
            n_rows: rows.n_rows(),
            planned,
        };
        let json = serde_json::to_vec_pretty(&file)?;
        let this = Self { folder: folder.to_owned(), hash: hash(&json), file };
        make_folders(folder).with_context(|| format!("could not make the folder ({})", folder.display()))?;
        rows.write(&this.folder.join("rows"), this.mark("rows", "0"))?;
        // Last: a folder with a plan is whole.
        let mut file = OutputFile::replacing(path.clone())?;
        file.write_all(&json).with_context(|| format!("could not write ({})", path.display()))?;
        file.finish()?;
        Ok(this)
    }

    /// The same with no more parts than there are batches and features.
    pub fn create_with_at_most(folder: &Path, planned: Planned, most: Parts) -> Result<Self> {
        Self::create_with(folder, planned, |n_batches, n_features| Parts {
            n_shards: most.n_shards.min(n_batches),
            n_merges: most.n_merges.min(n_features),
        })
    }

    /// Opens the plan in `folder`, and goes to the folder in which its paths begin.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("plan.json");
        let reading =
            || format!("could not read the plan: make one with `compute plan` ({})", path.display());
        let json = fs::read(&path).with_context(reading)?;
        let folder = fs::canonicalize(folder).with_context(reading)?;
        let file: PlanFile = serde_json::from_slice(&json).with_context(reading)?;
        ensure!(
            file.tool == tool(),
            "the plan was made by {}, this is {}: use one program for all parts ({})",
            file.tool,
            tool(),
            path.display()
        );
        ensure!(!file.planned.plans().is_empty(), "the plan has no SAE ({})", path.display());
        env::set_current_dir(&file.folder)
            .with_context(|| format!("could not go to the plan's folder ({})", file.folder.display()))?;
        Ok(Self { folder, hash: hash(&json), file })
    }

    /// From now on computes on `device` instead of the plan's.
    pub fn compute_on(&mut self, device: &str) {
        for plan in self.file.planned.plans_mut() {
            device.clone_into(&mut plan.input.machine.device);
        }
    }

    /// What the plan will take, for people: parts, and bytes on the disk.
    pub fn about(&self) -> Result<String> {
        let (plan, mut out) = (self.plan(), String::new());
        let (seq_len, parts) = (plan.input.rule.seq_len, self.parts());
        let batch_rows = plan.input.machine.batch_rows.unwrap_or(1);
        writeln!(out, "plan      {} ({})", &self.hash[..12], self.folder.display())?;
        writeln!(out, "corpus    {} rows of {seq_len} tokens", self.n_rows())?;
        let n_batches = self.n_batches();
        writeln!(out, "shards    {}, of {n_batches} batches of {batch_rows} rows", parts.n_shards)?;
        writeln!(out, "merges    {}, of {} features", parts.n_merges, n_features(self.plans()))?;
        let kept = plan.effects && plan.needs.sequences.is_some() && !plan.recompute_resid;
        let resid = if kept { 4 * plan.input.model_config.d_model as usize } else { 0 };
        let sums = sums_bytes(self.plans());
        let n_pieces: usize = (0..parts.n_shards).map(|shard| self.pieces(shard).len()).sum();
        let sums = if plan.needs.correlated_neurons > 0 { sums * n_pieces } else { 0 };
        let stated: Option<f64> = self.plans().iter().map(|plan| plan.input.sae_config.stated_l0).sum();
        let n_active = stated.map_or(String::new(), |l0| {
            format!(", {} at the L0 that its publisher states", text((8e6 * l0) as usize))
        });
        writeln!(
            out,
            "disk      a million tokens take {} of last residuals and 8 MB for each feature active at a position{n_active}; \
             sums take {}",
            text(1_000_000 * resid),
            text(sums)
        )?;
        writeln!(out, "next      compute shard --plan {} --index 0", self.folder.display())?;
        Ok(out)
    }

    /// Removes the plan with all that its parts left, once its output is whole; what is not this program's stays.
    pub fn remove(&self) -> io::Result<()> {
        let remove = |name: &str| match fs::remove_file(self.folder.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
        // The plan first, since one that is there must have its rows; the request last, since it says whose the rest is.
        remove("plan.json")?;
        for part in ["shards", "merges"] {
            remove_folder(&self.folder.join(part))?;
        }
        remove("rows")?;
        remove("request.json")?;
        // It stays where something else is in it.
        fs::remove_dir(&self.folder).or(Ok(()))
    }

    /// What is planned.
    pub fn planned(&self) -> &Planned {
        &self.file.planned
    }

    /// A plan for each SAE; all read the same rows.
    pub fn plans(&self) -> &[Plan] {
        self.file.planned.plans()
    }

    /// The first of them: model and text are those of all.
    pub fn plan(&self) -> &Plan {
        &self.plans()[0]
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How it is cut.
    pub fn parts(&self) -> Parts {
        self.file.parts
    }

    /// Rows of the corpus.
    pub fn n_rows(&self) -> usize {
        self.file.n_rows
    }

    fn n_batches(&self) -> usize {
        self.file.n_rows.div_ceil(self.plan().input.machine.batch_rows.unwrap_or(1))
    }

    /// The batches of a shard, piece by piece.
    pub fn pieces(&self, shard: usize) -> Vec<Range<usize>> {
        let batches = share(self.n_batches(), self.file.parts.n_shards, shard);
        let n = self.file.n_pieces.min(batches.len());
        (0..n)
            .map(|i| share(batches.len(), n, i))
            .map(|r| batches.start + r.start..batches.start + r.end)
            .collect()
    }

    /// What a merge computes: plans, each with indices of its chosen features.
    pub fn features(&self, merge: usize) -> Vec<(&Plan, Range<usize>)> {
        let all = share(n_features(self.plans()), self.file.parts.n_merges, merge);
        let (mut first, mut parts) = (0, Vec::new());
        for plan in self.plans() {
            let end = first + plan.features.len();
            let part = all.start.clamp(first, end)..all.end.clamp(first, end);
            if !part.is_empty() {
                parts.push((plan, part.start - first..part.end - first));
            }
            first = end;
        }
        parts
    }

    /// Path of what a piece of a shard leaves.
    pub fn piece_path(&self, shard: usize, piece: usize) -> PathBuf {
        self.folder.join("shards").join(format!("{shard:05}-{piece}"))
    }

    /// Path of how fast that was computed.
    pub fn pace_path(&self, shard: usize, piece: usize) -> PathBuf {
        self.folder.join("shards").join(format!("{shard:05}-{piece}.pace"))
    }

    /// Rows of a shard's piece.
    pub fn piece_rows(&self, shard: usize, piece: usize) -> usize {
        let batch_rows = self.plan().input.machine.batch_rows.unwrap_or(1);
        let rows = |batches: &Range<usize>| {
            (batches.end * batch_rows).min(self.file.n_rows) - batches.start * batch_rows
        };
        self.pieces(shard).get(piece).map_or(0, rows)
    }

    /// Path of how well the SAE fits, which the first shard measures.
    pub fn health_path(&self) -> PathBuf {
        self.folder.join("shards").join("health")
    }

    /// Path of the features that a merge leaves.
    pub fn merge_path(&self, merge: usize) -> PathBuf {
        self.folder.join("merges").join(format!("{merge:05}"))
    }

    /// What the file `name` of `kind` is marked with.
    pub fn mark(&self, kind: &str, name: &str) -> Mark {
        Mark { kind: kind.to_owned(), name: name.to_owned(), plan: self.hash.clone() }
    }

    /// The mark of a piece, computed on a kind of device: others compute other bits.
    pub fn piece_mark(&self, shard: usize, piece: usize, machine: &Machine) -> Mark {
        self.mark("shard", &format!("{shard}, piece {piece}, on {}", machine.device_name()))
    }

    /// The rows, with what belongs to them.
    pub fn corpus(&self) -> Result<Corpus> {
        let rows = Rows::open(&self.folder.join("rows"), &self.mark("rows", "0"))?;
        let tokenizer = Tokenizer::of_model(&self.plan().input.tokenizer)?;
        let prompts = run::tokenize_prompts(self.plan(), tokenizer.as_ref())?;
        Ok(Corpus { tokenizer, rows, prompts })
    }

    /// What all shards left, joined.
    pub fn pass_output(&self, machine: &Machine) -> Result<PassOutput> {
        let budget = MemoryBudget::new(0);
        let mut all: Option<PassOutput> = None;
        for shard in 0..self.file.parts.n_shards {
            for piece in 0..self.pieces(shard).len() {
                let path = self.piece_path(shard, piece);
                ensure!(
                    path.exists(),
                    "shard {shard} is not done: run `compute shard --index {shard}` ({})",
                    path.display()
                );
                let output = PassOutput::open(&path, &self.piece_mark(shard, piece, machine), &budget)?;
                match &mut all {
                    Some(all) => all.append(output)?,
                    None => all = Some(output),
                }
            }
        }
        all.context("the plan has no shards")
    }
}

/// Features that all plans compute.
fn n_features(plans: &[Plan]) -> usize {
    plans.iter().map(|plan| plan.features.len()).sum()
}

/// Bytes of the sums that neurons' correlations need.
fn sums_bytes(plans: &[Plan]) -> usize {
    let sums = |plan: &Plan| PRODUCT_BYTES * plan.features.len() * plan.input.sae_config.d_in as usize;
    plans.iter().map(sums).sum()
}

/// Part `i` of `0..n` cut into `n_parts` that differ by one at most.
fn share(n: usize, n_parts: usize, i: usize) -> Range<usize> {
    n * i / n_parts..n * (i + 1) / n_parts
}

fn hash(json: &[u8]) -> String {
    format!("{:x}", Sha256::digest(json))
}
