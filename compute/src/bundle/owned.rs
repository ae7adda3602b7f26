//! Which files of a folder are a bundle's: only they are replaced or removed.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use shared::{manifest::SchemaVersion, paths};

use crate::output::make_folders;

/// Bytes of the longest manifest that is read: one of 600,000 files.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// Where labels wait in a bundle until they take their places.
pub const WAITING_LABELS: [&str; 2] = [".sae-vis-labels", ".sae-vis-labels.new"];

/// What every version of the schema says of its files.
#[derive(Deserialize)]
struct AnyManifest {
    #[serde(rename = "schema")]
    _schema: SchemaVersion,
    tool: String,
    files: Vec<AnyFile>,
}

#[derive(Deserialize)]
struct AnyFile {
    path: String,
    #[serde(default)]
    shared: bool,
}

impl AnyManifest {
    fn read(json: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(json).ok()?;
        let inside = manifest.files.iter().all(|file| file.shared || paths::is_inside(&file.path));
        (manifest.tool.starts_with("sae-vis") && inside).then_some(manifest)
    }
}

/// Whether `json` is the manifest of a bundle of any version.
pub fn is_manifest(json: &[u8]) -> bool {
    AnyManifest::read(json).is_some()
}

/// The files of a bundle, as its manifest lists them, and the folders that they lie in.
#[derive(Debug)]
pub struct OwnFiles {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl OwnFiles {
    /// By the manifest in `folder`; `None` where there is none, or none that this program wrote.
    pub fn of(folder: &Path) -> Option<Self> {
        let manifest = AnyManifest::read(&manifest_bytes(folder).ok()?)?;
        let own = manifest.files.into_iter().filter(|file| !file.shared);
        let mut files: BTreeSet<PathBuf> = own.map(|file| file.path.into()).collect();
        let folders = files.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
        files.insert(PathBuf::from(paths::MANIFEST));
        Some(Self { files, folders })
    }

    /// Moves what is not the bundle's from its folder `from` to the folder `to`, under the same names.
    ///
    /// A name that `to` has already is given an ending.
    pub fn move_others(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_others_in(Path::new(""), from, to)
    }

    fn move_others_in(&self, folder: &Path, from: &Path, to: &Path) -> io::Result<()> {
        for entry in fs::read_dir(from.join(folder))? {
            let entry = entry?;
            let (path, is_folder) = (folder.join(entry.file_name()), entry.file_type()?.is_dir());
            if is_folder && self.folders.contains(&path) {
                self.move_others_in(&path, from, to)?;
            } else if is_folder && !waits(&entry.file_name()) || !is_folder && !self.files.contains(&path) {
                make_folders(&to.join(folder))?;
                fs::rename(entry.path(), free_name(&to.join(path)))?;
            }
        }
        Ok(())
    }
}

/// Fails where `out` holds something that a bundle must not replace.
pub fn check_replaceable(out: &Path) -> Result<()> {
    let at = out.display();
    match fs::metadata(out) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => bail!("could not use the output's path: {e} ({at})"),
        Ok(found) => ensure!(found.is_dir(), "the output is not a folder: choose another --out ({at})"),
    }
    let is_empty = out.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        is_empty || OwnFiles::of(out).is_some(),
        "will not replace a folder that holds something else than a bundle: choose another --out ({at})"
    );
    Ok(())
}

/// The manifest of the bundle in `folder`, as it is stored.
pub fn manifest_bytes(folder: &Path) -> io::Result<Vec<u8>> {
    let path = folder.join(paths::MANIFEST);
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut json = Vec::new();
    File::open(path)?.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut json)?;
    if json.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_MANIFEST_BYTES} bytes")));
    }
    Ok(json)
}

fn waits(name: &OsStr) -> bool {
    WAITING_LABELS.iter().any(|waiting| name == *waiting)
}

/// `path`, or where something is there the first free name that begins with it.
fn free_name(path: &Path) -> PathBuf {
    let mut n = 1;
    let mut free = path.to_owned();
    while free.symlink_metadata().is_ok() {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".kept-{n}"));
        free = path.with_file_name(name);
        n += 1;
    }
    free
}
