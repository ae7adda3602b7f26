//! The `compute` command.

use std::process::ExitCode;

use clap::Parser;
use compute::{
    backend::{memory, oom},
    cli::{Cli, Command},
    export, inspect, labels, layout,
};

fn main() -> ExitCode {
    memory::share_between_threads();
    let command = Cli::parse().command;
    let done = oom::guard(|| match command {
        Command::Run(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Dump(command) => command.run(),
        Command::Export(args) => export::export(&args),
        Command::Label(args) => labels::label(&args),
        Command::Layout(args) => layout::layout(&args),
        Command::Saes(args) => args.run(),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compute: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// What is wrong and why. A cause that the error before it quotes is left out, and so are libtorch's lines of where in its
/// C++ code it was.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let cause = cause.lines().next().unwrap_or_default();
        if !line.contains(cause) {
            line = if line.is_empty() { cause.to_owned() } else { format!("{line}: {cause}") };
        }
    }
    line
}
