//! The ways a bundle can be wrong.

use thiserror::Error;

/// Why a bundle, or a file of one, cannot be used. The path comes last, as in every message of this project.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// The manifest's major version is not this reader's.
    #[error(
        "bundle schema is version {found}, this build reads version {reads}: {} (manifest.json)",
        if found > reads { "open it with a newer viewer" } else { "run `compute` again to write it anew" }
    )]
    Version {
        /// Major version in the manifest.
        found: u32,
        /// Major version that this build reads.
        reads: u32,
    },
    /// The files are JSON, which schema 2 had as a choice.
    #[error(
        "the bundle's files are JSON, which is read no more: run `compute` again to write it anew (manifest.json)"
    )]
    JsonFiles,
    /// A file is not as long as the manifest says.
    #[error(
        "bundle {}: expected {expected} bytes, got {got} ({path})",
        if got < expected { "is truncated" } else { "has a file that is too long" }
    )]
    Truncated {
        /// Length by the manifest.
        expected: u64,
        /// Length found.
        got: u64,
        /// Path inside the bundle.
        path: String,
    },
    /// A file's bytes are not those that were written.
    #[error("bundle is damaged: checksum {got:08x}, expected {expected:08x}; fetch it again ({path})")]
    Checksum {
        /// CRC-32 by the manifest.
        expected: u32,
        /// CRC-32 of what was read.
        got: u32,
        /// Path inside the bundle.
        path: String,
    },
    /// The bytes do not decode.
    #[error("could not read the bundle: {reason} ({path})")]
    Decode {
        /// What the decoder said.
        reason: String,
        /// Path inside the bundle.
        path: String,
    },
    /// The values decode but contradict one another.
    #[error("bundle contradicts itself: {reason} ({path})")]
    Invalid {
        /// Which values, and how.
        reason: String,
        /// Path inside the bundle.
        path: String,
    },
    /// The manifest does not list the file.
    #[error("bundle has no {what}: {have}")]
    Missing {
        /// What was asked for.
        what: String,
        /// What there is instead.
        have: String,
    },
}

/// A contradiction between values of one file; the file's reader adds the path.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{0}")]
pub struct Invalid(pub String);

/// Fails with `reason` unless `holds`.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid(reason())) }
}
