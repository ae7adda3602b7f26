//! Puts labels and explanations into a bundle that is there.
//!
//! They and the manifest that lists them are several files. All are written into a hidden folder of the bundle first; once
//! that has its name they are moved to their places one by one, by this process or, where it is killed, by the next
//! command on the bundle. In between the manifest lists neither, so that a reader finds a whole bundle at any moment.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Error, Result, bail};
use serde_json::Value;
use shared::{
    bundle::encode,
    explanations::{Explanation, Explanations},
    labels::Labels,
    layers::{EXPLANATIONS, LABELS, Layer},
    manifest::{FileInfo, MAJOR, MINOR, Manifest, SchemaVersion},
    paths,
};

use super::{
    owned::WAITING_LABELS,
    reader::{Bundle, folder_manifest},
};
use crate::{
    interrupt,
    output::{Lock, lock_folder, make_folders, parent, sync_folder},
};

/// A bundle whose labels are changed, by this process alone.
#[derive(Debug)]
pub struct Relabelling {
    folder: PathBuf,
    /// The manifest, as it is stored.
    json: Vec<u8>,
    manifest: Manifest,
    _lock: File,
}

impl Relabelling {
    /// Opens the bundle in `folder` and locks it.
    pub fn begin(folder: &Path) -> Result<Self> {
        super::settle(folder)?;
        Bundle::check_folder(folder)?;
        let at = folder.display();
        interrupt::listen()?;
        let lock = match lock_folder(folder).with_context(|| format!("could not open the bundle ({at})"))? {
            Lock::Here(lock) => lock,
            Lock::Elsewhere => bail!("another `compute` changes this bundle: wait for it ({at})"),
        };
        place_waiting(folder)?;
        let json = folder_manifest(folder)?;
        let manifest = Manifest::from_json(&json)?;
        Ok(Self { folder: folder.to_owned(), json, manifest, _lock: lock })
    }

    /// Whether the bundle has `feature`.
    pub fn has_feature(&self, feature: u32) -> bool {
        self.manifest.has_feature(feature)
    }

    /// Puts `labels` in place of those that the bundle has.
    pub fn put(self, labels: &Labels) -> Result<()> {
        let files = [(LABELS, encode(labels, self.manifest.labels_path())?)];
        self.write(&files)
    }

    /// Adds `labels` to those that the bundle has, in place of those of the same features, and `explanations` that it has
    /// not. Returns how many of each it has then; a bundle of schema 2 has no explanations.
    pub fn merge(self, labels: &Labels, explanations: &[Explanation]) -> Result<(usize, usize)> {
        let bundle = Bundle::open(&self.folder)?;
        let old = bundle.labels()?;
        let new = labels.features.iter().copied().zip(labels.texts.iter().cloned());
        let all: BTreeMap<u32, String> = old.features.into_iter().zip(old.texts).chain(new).collect();
        let (features, texts) = all.into_iter().unzip();
        let labels = Labels { features, texts };
        let mut files = vec![(LABELS, encode(&labels, self.manifest.labels_path())?)];
        let mut all = bundle.explanations()?.explanations;
        if !self.manifest.is_v2() {
            for explanation in explanations {
                if !all.contains(explanation) {
                    all.push(explanation.clone());
                }
            }
            all.sort_by_key(|explanation| explanation.feature);
            let explanations = Explanations { explanations: all.clone() };
            files.push((EXPLANATIONS, encode(&explanations, EXPLANATIONS.path())?));
        }
        self.write(&files)?;
        Ok((labels.features.len(), all.len()))
    }

    /// Puts the files of layers in place of those that the bundle has.
    fn write(self, files: &[(Layer, (FileInfo, Vec<u8>))]) -> Result<()> {
        let manifest =
            |listed| Ok::<_, Error>((paths::MANIFEST, listing(&self.json, &self.manifest, files, listed)?));
        let mut steps = Vec::new();
        if files.iter().any(|(layer, _)| self.manifest.has_layer(layer)) {
            steps.push(manifest(false)?);
        }
        steps.extend(files.iter().map(|(_, (info, bytes))| (info.path.as_str(), bytes.clone())));
        steps.push(manifest(true)?);

        let [waiting, making] = WAITING_LABELS.map(|name| self.folder.join(name));
        let writing = || format!("could not write to the bundle ({})", self.folder.display());
        if let Err(e) = write_steps(&making, &steps) {
            fs::remove_dir_all(&making).unwrap_or_default();
            return Err(e).with_context(writing);
        }
        let _placed = interrupt::held_off();
        fs::rename(&making, &waiting).and_then(|()| sync_folder(&self.folder)).with_context(writing)?;
        place_waiting(&self.folder)
    }
}

/// Moves labels to their places that a process had ready and was killed.
///
/// Does nothing where another process is at work on the bundle.
pub fn settle(folder: &Path) -> Result<()> {
    if folder.join(WAITING_LABELS[0]).exists()
        && let Ok(Lock::Here(_lock)) = lock_folder(folder)
    {
        let _placed = interrupt::held_off();
        place_waiting(folder)?;
    }
    Ok(())
}

/// Writes the files of `steps`, named by their order and their paths.
fn write_steps(folder: &Path, steps: &[(&str, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir(folder)?;
    for (i, (path, bytes)) in steps.iter().enumerate() {
        let mut file = File::create_new(folder.join(format!("{i}+{}", path.replace('/', "+"))))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    sync_folder(folder)
}

/// The path in the bundle of the file of a step.
fn target(name: &str) -> Option<String> {
    let path = name.split_once('+')?.1.replace('+', "/");
    let is_layer = [LABELS, EXPLANATIONS].iter().any(|layer| path == layer.path());
    (path == paths::MANIFEST || is_layer || path.starts_with("features/labels.")).then_some(path)
}

fn place_waiting(bundle: &Path) -> Result<()> {
    let [waiting, making] = WAITING_LABELS.map(|name| bundle.join(name));
    let exchange = || {
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        if !waiting.exists() {
            return Ok(());
        }
        let mut names: Vec<_> = fs::read_dir(&waiting)?
            .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        names.sort();
        for name in names {
            let Some(path) = target(&name) else { continue };
            let to = bundle.join(path);
            make_folders(parent(&to))?;
            if let Ok(old) = fs::metadata(&to) {
                fs::set_permissions(waiting.join(&name), old.permissions())?;
            }
            fs::rename(waiting.join(&name), &to)?;
            sync_folder(parent(&to))?;
        }
        fs::remove_dir_all(&waiting)
    };
    exchange().with_context(|| format!("could not put labels into the bundle ({})", bundle.display()))
}

/// The minor version of schema 2 that has labels.
const V2_MINOR: u32 = 1;

/// The manifest `json` that lists the `files` of layers, or does not.
///
/// It is changed as JSON: what a newer program wrote into it stays, and so does an older version's form.
fn listing(
    json: &[u8],
    manifest: &Manifest,
    files: &[(Layer, (FileInfo, Vec<u8>))],
    listed: bool,
) -> Result<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(json)?;
    let mut list = |member: &str, key: &str, entry: Value| {
        let entries = value[member].as_array().cloned().unwrap_or_default();
        let others = entries.into_iter().filter(|other| other[key] != entry[key]);
        let own = listed.then(|| entry.clone());
        value[member] = others.chain(own).collect();
    };
    for (layer, (file, _)) in files {
        list("files", "path", serde_json::to_value(file)?);
        if !manifest.is_v2() {
            list("layers", "name", serde_json::to_value(layer.info())?);
        }
    }
    if manifest.is_v2() {
        value["schema"]["minor"] = V2_MINOR.into();
    }
    let bytes = serde_json::to_vec_pretty(&value)?;
    let SchemaVersion { major, minor } = manifest.schema;
    let current = !manifest.is_v2() && (major, minor) <= (MAJOR, MINOR);
    Ok(if current { Manifest::from_json(&bytes)?.to_json()? } else { bytes })
}
