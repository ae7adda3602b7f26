//! `compute export`: a bundle as one file, for a reader's disk.
//!
//! A `.saevis` is opened by the page; an HTML file is the page with the bundle in it.

use std::{
    io::{BufWriter, IntoInnerError, Write},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    bundle::{archive, html},
    interrupt,
    output::OutputFile,
};

/// Options of `compute export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// File to write; by default the bundle's name with .saevis or .html
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write one HTML file with viewer and bundle inside, which needs no server
    #[arg(long)]
    pub html: bool,
    /// Folder of the built page, for --html
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    pub page: PathBuf,
    /// Replace a file that is not an exported bundle or page
    #[arg(long)]
    pub force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl ExportArgs {
    /// Writes the bundle as one file.
    pub fn run(&self) -> Result<()> {
        let (extension, kind) = if self.html { ("html", html::PAGE) } else { ("saevis", archive::ARCHIVE) };
        let out = self.out.clone().unwrap_or_else(|| self.bundle.with_extension(extension));
        interrupt::listen()?;
        let file = BufWriter::new(OutputFile::create(&out, kind, self.force)?);
        let mut file = if self.html {
            html::page(&self.bundle, &self.page, file)?
        } else {
            archive::archive(&self.bundle, file)?
        };
        let writing = || format!("could not write ({})", out.display());
        file.flush().with_context(writing)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error).with_context(writing)?;
        let _placed = interrupt::held_off();
        interrupt::check()?;
        let n_bytes = file.finish()?;
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(std::io::stderr(), "{:.2} MB ({})", n_bytes as f64 / 1e6, out.display())
                .unwrap_or_default();
        }
        Ok(())
    }
}
