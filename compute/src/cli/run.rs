//! `compute run`: from a model, SAEs and a corpus to a bundle, or of several SAEs to a site.

use anyhow::Result;
use clap::Args;

use crate::{
    hub,
    plan::{Plan, RunOptions, SitePlan},
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
        let mut progress = Progress::new(self.quiet);
        let saes = hub::find_saes(&self.options.input.saes)?;
        if saes.len() == 1 {
            let mut plan = Plan::new(&self.options)?;
            plan.input.corpus.quiet = self.quiet;
            return run::bundle(&plan, &mut progress);
        }
        let mut site = SitePlan::new(&self.options, &saes)?;
        site.plans.iter_mut().for_each(|plan| plan.input.corpus.quiet = self.quiet);
        run::site(&site, &mut progress)
    }
}
