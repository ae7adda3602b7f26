//! Bundles on disk: how they are read, written, and made into one file.
//!
//! A run hands what it computed to a [`BackgroundWriter`], whose [`BundleWriter`] encodes and writes it into an
//! [`OutputFolder`]; `publish` puts the finished folder in its place. [`Bundle`] reads what was written, [`archive`] and
//! [`html`] make one file of it, [`Relabelling`] changes its labels, [`add_prompts`] its prompts; [`subset`] makes a part of it. A [`SiteFolder`] holds several
//! bundles, whose [`SharedFiles`] are on the disk once.

pub mod archive;
mod background;
mod blocks;
mod files;
mod folder;
pub mod html;
mod owned;
mod prompts;
mod publish;
mod reader;
mod relabel;
mod shared_files;
mod site;
mod subset;
mod writer;

use std::path::Path;

use anyhow::Result;

pub use background::BackgroundWriter;
pub use files::{FileWriter, rows_per_chunk};
pub use folder::{OutputFolder, check as check_output};
pub use prompts::add_prompts;
pub use reader::{Bundle, read_manifest};
pub use relabel::Relabelling;
pub use shared_files::SharedFiles;
pub use site::{SiteFolder, read_site};
pub use subset::subset;
pub use writer::BundleWriter;

/// Finishes or undoes what a process that was killed had begun to do to the bundle in `folder`.
fn settle(folder: &Path) -> Result<()> {
    folder::settle(folder)?;
    relabel::settle(folder)
}
