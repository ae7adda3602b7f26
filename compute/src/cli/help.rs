//! `compute man` and `compute completions`: what the command line says of itself, for manual pages and shells.

use std::{fs, io, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use crate::terminal;

/// Options of `compute completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script that completes commands and options.
    pub fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "compute", &mut script);
        terminal::print(&String::from_utf8(script)?)
    }
}

/// Options of `compute man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages, one a command
    pub folder: PathBuf,
}

impl ManArgs {
    /// Writes `compute.1`, `compute-run.1` and so on, where they replace those that are there.
    pub fn run(&self) -> Result<()> {
        let writing = || format!("could not write the manual pages ({})", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(writing)?;
        let written: io::Result<()> = clap_mangen::generate_to(Cli::command(), &self.folder);
        written.with_context(writing)
    }
}
