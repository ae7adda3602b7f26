//! Finds what the tests run against: the built page, its bundle, and `compute`.
//!
//! `cargo xtask test` builds them first. Under a plain `cargo test` on a fresh checkout they are missing, and the tests
//! then fail and say so, rather than pass without having looked.

use anyhow::{Context as _, Result, bail};
use harness::{project::Project, serve::Server};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder with the built page: `$SAE_VIS_PAGE`, or `dist`.
pub fn page() -> Result<PathBuf> {
    let folder = env::var_os("SAE_VIS_PAGE").map_or_else(|| Project::here().dist(), PathBuf::from);
    existing(folder, "index.html", "the page is not built")
}

/// The demo's bundle: `$SAE_VIS_BUNDLE`, or `dist/bundle`.
pub fn bundle() -> Result<PathBuf> {
    let folder = env::var_os("SAE_VIS_BUNDLE").map_or_else(|| Project::here().bundle(), PathBuf::from);
    existing(folder, "manifest.json", "the demo's bundle is not made")
}

/// The release build of `compute`.
pub fn compute() -> Result<PathBuf> {
    let program = Project::here().compute();
    if !program.is_file() {
        bail!("compute is not built: run `cargo xtask test` ({})", program.display());
    }
    Ok(program)
}

/// Serves a folder on a free port of this machine until the value is dropped.
pub fn serve(folder: &Path) -> Result<Server> {
    Server::start(folder, 0).context("could not serve the page")
}

/// The folder, where it holds `file`.
fn existing(folder: PathBuf, file: &str, complaint: &str) -> Result<PathBuf> {
    if !folder.join(file).is_file() {
        bail!("{complaint}: run `cargo xtask test` ({})", folder.join(file).display());
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_makes_it() {
        let error = existing("nowhere".into(), "index.html", "the page is not built").unwrap_err();
        assert_eq!(error.to_string(), "the page is not built: run `cargo xtask test` (nowhere/index.html)");
    }
}
