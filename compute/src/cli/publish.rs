//! `compute publish`: a bundle or a site on the hub.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Result;
use bytesize::ByteSize;
use clap::Args;

use crate::{
    hub, interrupt,
    publish::{CardOptions, Publication},
    terminal,
};

/// Options of `compute publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Folder of the bundle, or of a site
    pub folder: PathBuf,
    /// The data set's repository: owner/name, with @branch and :folder where wanted; a new one is made
    pub repository: String,
    /// Make a new repository private
    #[arg(long)]
    pub private: bool,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What its card says
    #[command(flatten)]
    pub card: CardOptions,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl PublishArgs {
    /// Sends what the repository lacks, and says how to open it.
    pub fn run(&self) -> Result<()> {
        if self.quiet {
            hub::be_quiet();
        }
        interrupt::listen()?;
        let publication = Publication::read(&self.folder)?;
        let how = (self.private, self.dry_run);
        let (changes, address) = publication.publish(&self.repository, &self.card, how)?;
        if self.quiet {
            return Ok(());
        }
        let bytes = ByteSize(changes.sent.iter().map(|(_, bytes)| bytes).sum()).display().si();
        let (done, removed) =
            if self.dry_run { ("would be sent", "would be removed") } else { ("sent", "removed") };
        let mut said = String::new();
        if self.dry_run {
            for (path, _) in &changes.sent {
                writeln!(said, "send      {path}")?;
            }
            for path in &changes.removed {
                writeln!(said, "remove    {path}")?;
            }
        }
        let (n_sent, n_same, n_removed) = (changes.sent.len(), changes.n_same, changes.removed.len());
        writeln!(
            said,
            "files     {n_sent} {done} ({bytes}), {n_same} were there already, {n_removed} {removed}"
        )?;
        writeln!(said, "open      ?bundle={address}")?;
        terminal::print(&said)
    }
}
