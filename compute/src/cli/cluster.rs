//! `compute plan`, `shard`, `merge`, `finish`, `status` and `cluster`: a run in parts.

use std::{env, ops::Range, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};

use crate::{
    cluster::{Parts, PlanFolder, finish, merge, shard, slurm, status},
    hub,
    plan::{Planned, RunOptions},
    progress::Progress,
    run::summary,
    terminal,
};

/// Options of `compute plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What to compute
    #[command(flatten)]
    pub options: RunOptions,
    /// Folder for the plan and for what its parts leave: a new one, on a disk that all nodes see
    #[arg(long, value_name = "FOLDER")]
    pub plan: PathBuf,
    /// Parts of the corpus
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub shards: usize,
    /// Parts of the features
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub merges: usize,
}

impl PlanArgs {
    /// Writes the plan.
    pub fn run(&self) -> Result<()> {
        let parts = Parts { n_shards: self.shards, n_merges: self.merges };
        let folder = PlanFolder::create(&self.plan, Planned::new(&self.options)?, parts)?;
        terminal::print(&folder.about()?)
    }
}

/// One part of a plan.
#[derive(Debug, Args)]
pub struct PartArgs {
    /// The plan's folder
    #[arg(long, value_name = "FOLDER")]
    pub plan: PathBuf,
    /// Which part, from 0, or several such as 0..4
    #[arg(long, value_name = "I", env = "SLURM_ARRAY_TASK_ID", value_parser = indices)]
    pub index: Range<usize>,
    /// Device, where it is another one of the plan's kind
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl PartArgs {
    /// Computes a shard.
    pub fn shard(&self) -> Result<()> {
        self.part("shard", shard::compute)
    }

    /// Computes a merge.
    pub fn merge(&self) -> Result<()> {
        self.part("merge", merge::compute)
    }

    fn part(
        &self,
        name: &str,
        compute: impl Fn(&PlanFolder, Range<usize>, &mut Progress) -> Result<bool>,
    ) -> Result<()> {
        if self.quiet {
            hub::be_quiet();
        }
        let mut folder = PlanFolder::open(&self.plan)?;
        if let Some(device) = &self.device {
            folder.compute_on(device);
        }
        let computed = compute(&folder, self.index.clone(), &mut Progress::new(self.quiet))?;
        let (name, are) = if self.index.len() == 1 {
            (format!("{name} {}", self.index.start), ["is", "was"])
        } else {
            (format!("{name}s {} to {}", self.index.start, self.index.end - 1), ["are", "were"])
        };
        let said = if computed { format!("{} done", are[0]) } else { format!("{} done before", are[1]) };
        if self.quiet { Ok(()) } else { terminal::print(&format!("{name} {said}\n")) }
    }
}

/// Parses a part's number, or a range of them.
fn indices(text: &str) -> Result<Range<usize>, String> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let parsed = match text.split_once("..") {
        Some((start, end)) => number(start).zip(number(end)),
        None => number(text).and_then(|one| Some((one, one.checked_add(1)?))),
    };
    let range = parsed.map(|(start, end)| start..end).filter(|range| !range.is_empty());
    range.ok_or_else(|| "expected a number such as 3, or a range such as 0..4".to_owned())
}

/// A plan.
#[derive(Debug, Args)]
pub struct FinishArgs {
    /// The plan's folder
    #[arg(long, value_name = "FOLDER")]
    pub plan: PathBuf,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl FinishArgs {
    /// Writes the bundle.
    pub fn run(&self) -> Result<()> {
        let folder = PlanFolder::open(&self.plan)?;
        let mut progress = Progress::new(self.quiet);
        let manifests = finish::compute(&folder, &mut progress)?;
        summary::print_planned(&manifests, &progress, folder.planned())
    }
}

/// Options of `compute status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The plan's folder
    #[arg(long, value_name = "FOLDER")]
    pub plan: PathBuf,
}

impl StatusArgs {
    /// Prints which parts are done.
    pub fn run(&self) -> Result<()> {
        terminal::print(&status::table(&PlanFolder::open(&self.plan)?)?)
    }
}

/// Engines that run a plan's parts.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Write job scripts for Slurm, of the parts that are not done, and submit them if asked.
    Slurm(SlurmArgs),
}

impl ClusterCommand {
    /// Writes and submits.
    pub fn run(&self) -> Result<()> {
        let Self::Slurm(args) = self;
        args.run()
    }
}

/// Options of `compute cluster slurm`.
#[derive(Debug, Args)]
pub struct SlurmArgs {
    /// The plan's folder
    #[arg(long, value_name = "FOLDER")]
    pub plan: PathBuf,
    /// Submit the jobs, each after the one before it
    #[arg(long)]
    pub submit: bool,
    /// Submit them and return when the last has ended
    #[arg(long)]
    pub wait: bool,
    /// Partition
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// Devices of each task, such as gpu:1
    #[arg(long, value_name = "LIST")]
    pub gres: Option<String>,
    /// Time limit of each task, such as 2:00:00
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// Memory of each task, such as 32G
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<String>,
    /// Cores of each task
    #[arg(long, value_name = "N")]
    pub cpus_per_task: Option<usize>,
    /// Account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Tasks of an array that run at once, at most
    #[arg(long, value_name = "N")]
    pub array_limit: Option<usize>,
    /// Environment module to load; may be given several times
    #[arg(long = "module", value_name = "NAME")]
    pub modules: Vec<String>,
    /// Any other option of sbatch, such as --sbatch=--qos=long; may be given several times
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub others: Vec<String>,
}

impl SlurmArgs {
    fn run(&self) -> Result<()> {
        let folder = PlanFolder::open(&self.plan)?;
        let program = env::current_exe().context("could not tell where this program is")?;
        let scripts = slurm::write(&folder, &program, &self.request())?;
        if scripts.is_empty() {
            return terminal::print("all parts are done\n");
        }
        for script in &scripts {
            terminal::print(&format!("{}\n", script.path.display()))?;
        }
        if !self.submit && !self.wait {
            return Ok(());
        }
        let jobs = slurm::submit(&scripts, self.wait)?;
        for (script, job) in scripts.iter().zip(&jobs) {
            terminal::print(&format!("{} is job {job}\n", script.name))?;
        }
        if self.wait {
            terminal::print(&status::table(&folder)?)?;
            ensure!(
                status::is_finished(&folder),
                "not all parts ended well: the same command submits them again"
            );
        }
        Ok(())
    }

    fn request(&self) -> slurm::Request {
        let cores = self.cpus_per_task.map(|n| n.to_string());
        let named = [
            ("partition", &self.partition),
            ("gres", &self.gres),
            ("time", &self.time),
            ("mem", &self.mem),
            ("cpus-per-task", &cores),
            ("account", &self.account),
        ];
        let named =
            named.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        slurm::Request {
            options: named.chain(self.others.iter().cloned()).collect(),
            array_limit: self.array_limit,
            modules: self.modules.clone(),
        }
    }
}
