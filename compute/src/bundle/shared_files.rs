//! What bundles of a site share: the text that they were computed from, once on the disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use shared::{
    layers::LayerInfo,
    manifest::{FileInfo, Manifest},
    shared_folder::SharedFolder,
};

use super::{FileWriter, owned::manifest_bytes};
use crate::output::{hidden, make_folders, remove_folder, sync_folder, sync_folders, system::exchange};

/// The folder of a site in which shared folders lie, each named by what it holds.
const SHARED: &str = "shared";
/// Digits of such a name.
const DIGITS: usize = 32;

/// A shared folder, as its bundles list it.
#[derive(Debug, Clone)]
pub struct SharedFiles {
    /// The folder, as seen from a bundle.
    pub(super) folder: SharedFolder,
    /// Layers in it.
    pub(super) layers: Vec<LayerInfo>,
    /// Its files.
    pub(super) files: Vec<FileInfo>,
}

impl SharedFiles {
    /// Has `write` write files, and puts them into a folder of the site whose name says what it holds.
    ///
    /// Bundles lie in the site's own folder; no other process may write the site meanwhile.
    pub fn write(site: &Path, write: impl FnOnce(&mut FileWriter) -> Result<()>) -> Result<Self> {
        let above = site.join(SHARED);
        let new = hidden(&above.join("new"));
        let failed = || format!("could not write to the site ({})", above.display());
        // What a process that was killed had written.
        remove_folder(&new).with_context(failed)?;
        make_folders(&new).with_context(failed)?;
        let mut writer = FileWriter::new(new.clone());
        write(&mut writer)?;
        let FileWriter { layers, mut files, .. } = writer;
        let name = name_of(&files);
        let out = above.join(&name);
        let place = || {
            sync_folders(&new)?;
            match fs::rename(&new, &out) {
                // The same files are there, unless someone changed them.
                Err(_) if out.is_dir() => match exchange(&new, &out) {
                    Err(e) if e.kind() == io::ErrorKind::Unsupported => {}
                    exchanged => exchanged?,
                },
                renamed => renamed?,
            }
            sync_folder(&above)?;
            remove_folder(&new)
        };
        place().with_context(failed)?;
        for file in &mut files {
            file.shared = true;
        }
        let folder = SharedFolder::try_from(format!("../{SHARED}/{name}"));
        Ok(Self { folder: folder.context("the shared folder's name")?, layers, files })
    }
}

/// Removes the site's shared folders that none of the bundles in `bundles` reads.
pub fn prune(site: &Path, bundles: &[PathBuf]) -> Result<()> {
    let above = site.join(SHARED);
    let reads = |folder: &PathBuf| {
        let manifest = Manifest::from_json(&manifest_bytes(folder).ok()?).ok()?;
        Some(manifest.shared?.folder().to_owned())
    };
    let read: Vec<String> = bundles.iter().filter_map(reads).collect();
    let failed = || format!("could not tidy the site ({})", above.display());
    for entry in fs::read_dir(&above).into_iter().flatten() {
        let name = entry.with_context(failed)?.file_name().to_string_lossy().into_owned();
        let is_ours = name.len() == DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_ours && !read.contains(&format!("{SHARED}/{name}")) {
            remove_folder(&above.join(name)).with_context(failed)?;
        }
    }
    Ok(())
}

/// A name that says what the files hold.
fn name_of(files: &[FileInfo]) -> String {
    let mut hash = Sha256::new();
    for FileInfo { path, bytes, decoded_bytes, crc32, .. } in files {
        hash.update(format!("{path} {bytes} {decoded_bytes} {crc32}\n"));
    }
    let mut name = format!("{:x}", hash.finalize());
    name.truncate(DIGITS);
    name
}
