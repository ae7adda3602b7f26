//! The ways a bundle can be wrong.

use std::fmt::Display;

use thiserror::Error;

use crate::text::escape;

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
        "bundle {}: expected {expected} bytes, got {got} ({})",
        if got < expected { "is truncated" } else { "has a file that is too long" },
        shown(path)
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
    #[error(
        "bundle is damaged: checksum {got:08x}, expected {expected:08x}; fetch it again ({})",
        shown(path)
    )]
    Checksum {
        /// CRC-32 by the manifest.
        expected: u32,
        /// CRC-32 of what was read.
        got: u32,
        /// Path inside the bundle.
        path: String,
    },
    /// The bytes do not decode.
    #[error("could not read the bundle: {} ({})", shown(reason), shown(path))]
    Decode {
        /// What the decoder said.
        reason: String,
        /// Path inside the bundle.
        path: String,
    },
    /// The values decode but contradict one another.
    #[error("bundle contradicts itself: {} ({})", shown(reason), shown(path))]
    Invalid {
        /// Which values, and how.
        reason: String,
        /// Path inside the bundle.
        path: String,
    },
    /// The manifest does not list the file.
    #[error("bundle has no {}: {}", shown(what), shown(have))]
    Missing {
        /// What was asked for.
        what: String,
        /// What there is instead.
        have: String,
    },
}

/// A contradiction between values of one file; the file's reader adds the path.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{}", shown(.0))]
pub struct Invalid(pub String);

/// Text that a file holds, as part of a message: on one line, without what a terminal would obey, and of bearable length.
///
/// Every message passes what it quotes through this. What is shown already stays as it is.
pub fn shown(text: impl Display) -> String {
    bearable(&text)
}

/// One for all kinds of text: the page holds it once.
#[inline(never)]
fn bearable(text: &dyn Display) -> String {
    const MOST_BYTES: usize = 1000;
    /// A decoder says at the end where it was.
    const AT_END: usize = 200;
    let text = escape(text.to_string().as_bytes());
    if text.len() <= MOST_BYTES {
        return text;
    }
    let begin = text.floor_char_boundary(MOST_BYTES - AT_END - '…'.len_utf8());
    let end = text.ceil_char_boundary(text.len() - AT_END);
    format!("{}…{}", &text[..begin], &text[end..])
}

/// Fails with `reason` unless `holds`.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid(reason())) }
}
