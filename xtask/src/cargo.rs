//! Starts cargo as the reader would by hand.

use harness::project::Project;
use std::{ffi::OsStr, process::Command};

/// A cargo command in the workspace's root.
///
/// `cargo xtask` hands its own environment down. The libtorch that it took from `.cargo/config.toml` is
/// taken out again, so that this cargo sees what a plain `cargo build` sees and rebuilds nothing.
pub fn cargo<S: AsRef<OsStr>>(project: &Project, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(project.root()).args(args);
    // Says that it is xtask which runs; `cargo machete` would take it for itself.
    command.env_remove("CARGO_PKG_NAME");
    if std::env::var_os("LIBTORCH").is_some_and(|value| value == project.tools().join("libtorch")) {
        command.env_remove("LIBTORCH");
    }
    command
}
