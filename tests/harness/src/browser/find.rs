//! Finds a Chromium.

use std::path::PathBuf;
use thiserror::Error;

/// Names under which distributions install the browser.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// No Chromium or Chrome on `PATH`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "no Chromium found on PATH: run `cargo xtask test`, which installs it, or install the package chromium"
)]
pub struct MissingChromium;

/// The executable of Chromium or Chrome on `PATH`.
pub fn chromium() -> Result<PathBuf, MissingChromium> {
    BROWSERS.iter().find_map(|name| on_path(name)).ok_or(MissingChromium)
}

/// The executable that a shell would start for `name`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &std::path::Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_not_on_the_path() {
        assert_eq!(on_path("no-program-has-this-name"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_is_on_the_path() {
        assert!(on_path("sh").is_some());
    }
}
