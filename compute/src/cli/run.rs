//! `compute run`: from a model, SAEs and a corpus to a bundle.

use anyhow::Result;
use clap::Args;

use crate::{
    hub,
    plan::{Plan, RunOptions},
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
    /// Computes the bundle.
    pub fn run(&self) -> Result<()> {
        if self.quiet {
            hub::be_quiet();
        }
        let mut plan = Plan::new(&self.options)?;
        plan.input.corpus.quiet = self.quiet;
        run::bundle(&plan, &mut Progress::new(self.quiet))
    }
}
