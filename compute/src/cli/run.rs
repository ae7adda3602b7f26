//! `compute run`: from a model, SAEs and a corpus to a bundle, or of several SAEs to a site.

use anyhow::Result;
use clap::Args;

use crate::{
    hub,
    plan::{Planned, RunOptions},
    progress::Progress,
    run,
};

/// Options of `compute run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to compute
    #[command(flatten)]
    pub options: RunOptions,
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
        for plan in planned.plans_mut() {
            plan.input.corpus.quiet = self.quiet;
        }
        let mut progress = Progress::new(self.quiet);
        match planned {
            Planned::Bundle(plan) => run::bundle(&plan, &mut progress),
            Planned::Site(site) => run::site(&site, &mut progress),
        }
    }
}
