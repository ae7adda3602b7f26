//! Developer commands: `cargo xtask demo`, `test`, `site`, `wheel`, `screenshots`, `bench`.
//!
//! Read in this order: `args` (what can be asked), then `demo` and `test`, whose bodies read as the list of what
//! they do; `setup` has what they fetch, `page` the page's build, `bundle` the run of `compute`.
#![expect(clippy::print_stdout, reason = "these commands talk to the developer at the terminal")]

mod apt;
mod args;
mod bench;
mod builds;
mod bundle;
mod cargo;
mod demo;
mod layers;
mod page;
mod python;
mod screenshots;
mod setup;
mod site;
mod steps;
mod test;

use args::{Args, Command};
use clap::Parser as _;
use harness::project::Project;
use std::process::ExitCode;

fn main() -> ExitCode {
    let project = Project::here();
    let result = match Args::parse().command {
        Command::Demo(args) => demo::run(&project, &args),
        Command::Test => test::run(&project),
        Command::Slurm => test::slurm(&project),
        Command::Wheel(args) => python::run(&project, &args),
        Command::Site(args) => site::run(&project, &args),
        Command::Screenshots => screenshots::run(&project),
        Command::Bench(args) => bench::run(&project, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever RUST_BACKTRACE says: what failed is told by its step and its program.
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
