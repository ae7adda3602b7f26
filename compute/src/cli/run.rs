//! `compute run`: from a model, SAEs and a corpus to a bundle, or of several SAEs to a site.

use anyhow::Result;
use clap::Args;

use crate::{
    cluster::{LocalRun, devices},
    hub,
    plan::{Planned, RunOptions},
    progress::Progress,
    run::{self, summary},
};

/// Options of `compute run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to compute
    #[command(flatten)]
    pub options: RunOptions,
    /// Keep what is computed in a folder beside the output, OUT.parts, until that is whole: the same command goes on from it
    /// after a stop. Without this option it goes on too where that folder is there
    #[arg(long)]
    pub resume: bool,
    /// Devices of this machine that share the work, such as cuda:0,cuda:1; each computes parts of it in a process of its own
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "device")]
    pub devices: Vec<String>,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl RunArgs {
    /// Computes the bundle, or the site.
    pub fn run(&self) -> Result<()> {
        if self.quiet {
            hub::be_quiet();
        }
        let mut planned = Planned::new(&self.options)?;
        devices::check(&self.devices)?;
        for plan in planned.plans_mut() {
            plan.input.corpus.quiet = self.quiet;
            if let Some(first) = self.devices.first() {
                plan.input.machine.device.clone_from(first);
            }
        }
        let mut progress = Progress::new(self.quiet);
        let in_parts = self.resume || !self.devices.is_empty();
        let local =
            if in_parts { Some(LocalRun::new(&mut planned)?) } else { LocalRun::begun(&mut planned)? };
        if let Some(local) = local {
            let (folder, manifests) = local.run(planned, &self.devices, &mut progress)?;
            return summary::print_planned(&manifests, &progress, folder.planned());
        }
        match planned {
            Planned::Bundle(plan) => run::bundle(&plan, &mut progress),
            Planned::Site(site) => run::site(&site, &mut progress),
        }
    }
}
