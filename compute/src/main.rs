//! The `compute` command.

use std::io::Write as _;

use clap::Parser;
use compute::{
    backend::{memory, oom},
    cli::{Cli, Command},
    interrupt, terminal,
};
use signal_hook::low_level;

fn main() {
    memory::share_between_threads();
    let command = Cli::try_parse().map(|cli| cli.command);
    let status = match command {
        Ok(command) => done(&command),
        Err(error) => {
            // Help and version are such errors too. Where nobody listens, the status tells.
            error.print().unwrap_or_default();
            error.exit_code()
        }
    };
    std::io::stdout().flush().unwrap_or_default();
    // Without the destructors of libtorch, which take longer than many a command: nothing of theirs is on the disk.
    low_level::exit(status);
}

/// Does what `command` says; returns the status to exit with.
fn done(command: &Command) -> i32 {
    let done = oom::guard(|| match command {
        Command::Run(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Shard(args) => args.shard(),
        Command::Merge(args) => args.merge(),
        Command::Finish(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Cluster(command) => command.run(),
        Command::Check(args) => args.run(),
        Command::Inspect(args) => args.run(),
        Command::Dump(command) => command.run(),
        Command::Export(args) => args.run(),
        Command::Import(args) => args.run(),
        Command::Prompt(args) => args.run(),
        Command::Serve(args) => args.run(),
        Command::Publish(args) => args.run(),
        Command::Label(args) => args.run(),
        Command::Layout(args) => args.run(),
        Command::Saes(args) => args.run(),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(),
    });
    match (interrupt::status(), done) {
        (Some(status), _) => status,
        (None, Ok(())) => 0,
        (None, Err(error)) => {
            terminal::print_error(&error);
            1
        }
    }
}
