//! The `compute` command.

use std::process::ExitCode;

use clap::Parser;
use compute::{
    args::{Cli, Command},
    check, dump, export, fitting, inspect, labels, layout, run,
    run::memory,
};

fn main() -> ExitCode {
    memory::share_between_threads();
    let command = Cli::parse().command;
    let done = fitting::whole(|| match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Dump(command) => dump::dump(&command),
        Command::Export(args) => export::export(&args),
        Command::Label(args) => labels::label(&args),
        Command::Layout(args) => layout::layout(&args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compute: {error:#}");
            ExitCode::FAILURE
        }
    }
}
