//! `compute export`: a bundle as one file, for a reader's disk.
//!
//! A `.saevis` is opened by the page; an HTML file is the page with the bundle in it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::bundle::{archive::archive, html::page};

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
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Writes the bundle as one file.
pub fn export(args: &ExportArgs) -> Result<()> {
    let extension = if args.html { "html" } else { "saevis" };
    let out = args.out.clone().unwrap_or_else(|| args.bundle.with_extension(extension));
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("could not write to the output's folder ({})", folder.display()))?;
    if args.html {
        file.write_all(page(&args.bundle, &args.page)?.as_bytes())
    } else {
        archive(&args.bundle, &mut file).map(drop)?;
        Ok(())
    }
    .and_then(|()| file.flush())
    .with_context(|| format!("could not write ({})", out.display()))?;
    let n_bytes = file.as_file().metadata()?.len();
    // A temporary file is its owner's alone; what is exported is as readable as any other.
    #[cfg(unix)]
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(&out).with_context(|| format!("could not write ({})", out.display()))?;
    if !args.quiet {
        eprintln!("{:.2} MB ({})", n_bytes as f64 / 1e6, out.display());
    }
    Ok(())
}
