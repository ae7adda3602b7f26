//! A run that this machine computes in parts: one that was stopped goes on from what it left, and several devices share
//! the work. The bundle has the bytes of a run in one piece with the same `--batch-rows`.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::manifest::Manifest;

use super::{Parts, PlanFolder, devices, finish, merge, shard};
use crate::{
    corpus::CorpusFile,
    interrupt,
    output::{Lock, OutputFile, hidden, lock_folder, make_folders, resolve},
    plan::{Plan, Planned},
    progress::Progress,
    run::{Machine, provenance::tool},
};

/// Parts of the corpus and of the features, where there are not more devices: enough that little is lost by a stop.
const SHARDS: usize = 2;
const MERGES: usize = 4;
/// Files whose state is noted, at most, of each thing that is read.
const MAX_FILES: usize = 10_000;

/// What a run reads and is to do; parts of another are not gone on from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Request {
    tool: String,
    folder: PathBuf,
    planned: Value,
    files: Vec<FileState>,
}

/// What tells whether a file is still the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct FileState {
    path: PathBuf,
    bytes: u64,
    /// When it was changed, nanoseconds since 1970.
    changed: u128,
}

/// The folder beside an output in which a run in parts keeps what it has, until the output is whole.
#[derive(Debug)]
pub struct LocalRun {
    path: PathBuf,
    request: Request,
}

impl LocalRun {
    /// The run that is planned, where it was begun; its parts are beside its output.
    pub fn begun(planned: &mut Planned) -> Result<Option<Self>> {
        let path = parts_path(planned.out())?;
        if !path.exists() {
            return Ok(None);
        }
        clear(&path)?;
        let this = Self::new(planned)?;
        Ok(this.left().is_some_and(|left| left == this.request).then_some(this))
    }

    /// The run that is planned, once its weights are fetched.
    pub fn new(planned: &mut Planned) -> Result<Self> {
        let path = parts_path(planned.out())?;
        for plan in planned.plans_mut() {
            plan.input.model.fetch_weights()?;
            plan.input.model.weights_on_hub = None;
        }
        let mut files = Vec::new();
        for plan in planned.plans() {
            for read in paths(plan) {
                list(read, &mut files)?;
            }
        }
        files.sort();
        files.dedup();
        let folder = env::current_dir().context("could not tell the current folder")?;
        Ok(Self {
            path,
            request: Request { tool: tool(), folder, planned: serde_json::to_value(planned)?, files },
        })
    }

    /// Computes what is not there yet, on each of `devices` a part at a time, or where there is none on the plan's own; then the
    /// output, and removes the parts.
    pub fn run(
        self,
        planned: Planned,
        devices: &[String],
        progress: &mut Progress,
    ) -> Result<(PlanFolder, Vec<Manifest>)> {
        interrupt::listen()?;
        let _lock = self.claim()?;
        let folder = self.open(planned, devices.len())?;
        let Parts { n_shards, n_merges } = folder.parts();
        if devices.len() > 1 {
            devices::side_by_side("shard", n_shards, &folder, devices, progress)?;
            devices::side_by_side("merge", n_merges, &folder, devices, progress)?;
        } else {
            shard::compute(&folder, 0..n_shards, progress)?;
            merge::compute(&folder, 0..n_merges, progress)?;
        }
        let manifests = finish::compute(&folder, progress)?;
        folder.remove().with_context(|| format!("could not remove the parts ({})", self.path.display()))?;
        Ok((folder, manifests))
    }

    /// The request whose parts are there.
    fn left(&self) -> Option<Request> {
        serde_json::from_slice(&fs::read(request_path(&self.path)).ok()?).ok()
    }

    /// Takes the folder for this process.
    fn claim(&self) -> Result<File> {
        let at = self.path.display();
        let failed = || format!("could not write to the folder of the run's parts ({at})");
        make_folders(&self.path).with_context(failed)?;
        let Lock::Here(lock) = lock_folder(&self.path).with_context(failed)? else {
            bail!("another `compute` is computing this run: wait for it ({at})")
        };
        fs::remove_file(hidden(&request_path(&self.path))).unwrap_or_default();
        let is_empty = self.path.read_dir().with_context(failed)?.next().is_none();
        match self.left() {
            Some(left) if left == self.request => return Ok(lock),
            Some(left) => bail!("{}: remove them, or choose another --out ({at})", self.difference(&left)),
            None => {
                ensure!(is_empty, "the folder for the run's parts holds something else: remove it ({at})");
            }
        }
        let mut file = OutputFile::replacing(request_path(&self.path))?;
        file.write_all(&serde_json::to_vec_pretty(&self.request)?).with_context(failed)?;
        file.finish()?;
        Ok(lock)
    }

    /// Why parts that are there are not this run's.
    fn difference(&self, left: &Request) -> String {
        let Request { tool, folder, planned, files } = left;
        let own = &self.request;
        if *tool != own.tool {
            return format!("the parts that are there were made by {tool}, this is {}", own.tool);
        }
        if (folder, planned) != (&own.folder, &own.planned) {
            return "the parts that are there are of a run with other options".to_owned();
        }
        let changed = own.files.iter().find(|file| !files.contains(file));
        match changed {
            Some(file) => {
                format!("{} has changed since the parts that are there were made", file.path.display())
            }
            None => "a file was removed since the parts that are there were made".to_owned(),
        }
    }

    fn open(&self, mut planned: Planned, n_devices: usize) -> Result<PlanFolder> {
        if self.path.join("plan.json").exists() {
            return PlanFolder::open(&self.path);
        }
        let machine = Machine::open(&planned.plans().first().context("there is no SAE")?.input)?;
        for plan in planned.plans_mut() {
            plan.input.machine.batch_rows = Some(machine.batch_rows);
        }
        let most = Parts { n_shards: n_devices.max(SHARDS), n_merges: n_devices.max(MERGES) };
        PlanFolder::create_with_at_most(&self.path, planned, most)
    }
}

fn request_path(parts: &Path) -> PathBuf {
    parts.join("request.json")
}

/// Removes what a run left that was killed before it had written its request, and the folder if it then is empty.
fn clear(parts: &Path) -> Result<()> {
    let looking = || format!("could not look into the folder of the run's parts ({})", parts.display());
    if let Lock::Here(_lock) = lock_folder(parts).with_context(looking)? {
        fs::remove_file(hidden(&request_path(parts))).unwrap_or_default();
        fs::remove_dir(parts).unwrap_or_default();
    }
    Ok(())
}

/// Where the parts of the run that writes to `out` are.
fn parts_path(out: &Path) -> Result<PathBuf> {
    let mut path = resolve(out)?;
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".parts");
    path.set_file_name(name);
    Ok(path)
}

/// What a plan reads; files of a corpus on the hub do not change.
fn paths(plan: &Plan) -> impl Iterator<Item = &Path> {
    let input = &plan.input;
    let sae_b = plan.sae_b.iter().map(|(sae, _)| sae.path.as_path());
    let data = input.data.files.iter().filter_map(CorpusFile::on_this_disk);
    [input.model.path.as_path(), &input.tokenizer, &input.sae.path].into_iter().chain(sae_b).chain(data)
}

/// Adds the state of the file at `path`, or of all in the folder there.
fn list(path: &Path, files: &mut Vec<FileState>) -> Result<()> {
    let reading = || format!("could not read ({})", path.display());
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    if found.is_dir() {
        for entry in path.read_dir().with_context(reading)? {
            ensure!(
                files.len() < MAX_FILES,
                "too many files to go on from a stop: give the SAE's own folder ({})",
                path.display()
            );
            list(&entry.with_context(reading)?.path(), files)?;
        }
    } else {
        let changed = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |at| at.as_nanos());
        files.push(FileState { path: path.to_owned(), bytes: found.len(), changed });
    }
    Ok(())
}
