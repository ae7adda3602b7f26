//! Which files make up a corpus: one, a folder's, those of a glob, or a data set's on the hub.

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    CorpusError, CorpusKind,
    split::{Choice, default_files, split_of},
};

/// A corpus: its files in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The name that it is known by.
    pub name: String,
    /// What was named on the command line.
    pub given: PathBuf,
    /// The files, in order.
    pub files: Vec<CorpusFile>,
    /// What the reader should know of the choice: what is left out.
    pub notes: Vec<String>,
}

/// A file of a corpus.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CorpusFile {
    /// Its path, as it is shown.
    pub name: String,
    /// Its length, where it is known.
    pub bytes: Option<u64>,
    location: Location,
}

/// Where a file is. In a plan, where it lies once it is fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "PathBuf", from = "PathBuf")]
enum Location {
    Disk(PathBuf),
    Elsewhere(Arc<dyn Fetch>),
}

/// A file that is fetched when it is read.
pub trait Fetch: Debug + Send + Sync {
    /// Puts it on the disk, where it is not there yet.
    fn fetch(&self) -> Result<PathBuf, String>;

    /// Where it lies then.
    fn path(&self) -> PathBuf;
}

impl From<Location> for PathBuf {
    fn from(location: Location) -> Self {
        match location {
            Location::Disk(path) => path,
            Location::Elsewhere(file) => file.path(),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Disk(path)
    }
}

/// Files beside data that are none.
const METADATA: [&str; 9] = [
    "state.json",
    "dataset_info.json",
    "dataset_dict.json",
    "dataset_infos.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
];
/// Folders in folders that are looked into.
const MAX_DEPTH: usize = 6;
/// Files that are looked at.
const MAX_FILES: usize = 1_000_000;
/// Names in a note, at most.
const SHOWN: usize = 4;

impl CorpusFile {
    /// A file on the disk.
    pub fn on_disk(path: PathBuf) -> Self {
        let bytes = fs::metadata(&path).ok().map(|data| data.len());
        Self { name: path.to_string_lossy().into_owned(), bytes, location: Location::Disk(path) }
    }

    /// A file that is fetched when it is read.
    pub fn elsewhere(name: String, bytes: Option<u64>, fetch: Arc<dyn Fetch>) -> Self {
        Self { name, bytes, location: Location::Elsewhere(fetch) }
    }

    /// What it holds, by its name.
    pub fn kind(&self) -> Result<CorpusKind, CorpusError> {
        CorpusKind::of(Path::new(&self.name))
    }

    /// Whether it has to be fetched, or had to.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self.location, Location::Elsewhere(_))
    }

    /// Its path, where it was on the disk from the first.
    pub fn on_this_disk(&self) -> Option<&Path> {
        match &self.location {
            Location::Disk(path) => Some(path),
            Location::Elsewhere(_) => None,
        }
    }

    /// Its path on the disk, fetched if need be.
    pub fn path(&self) -> Result<PathBuf, CorpusError> {
        match &self.location {
            Location::Disk(path) => Ok(path.clone()),
            Location::Elsewhere(file) => file.fetch().map_err(|reason| CorpusError::Fetch { reason }),
        }
    }
}

/// Whether a file of this name is read where its folder is named.
pub fn is_data(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    !METADATA.contains(&file) && !file.starts_with('.') && CorpusKind::of(Path::new(name)).is_ok()
}

impl Source {
    /// The corpus that a path names: a file, a folder, or a glob such as `pile/*.jsonl.zst`.
    pub fn on_disk(given: &Path, name: String) -> Result<Self, CorpusError> {
        let read = |cause| CorpusError::Read { cause, path: given.to_owned() };
        let mut notes = Vec::new();
        let paths = if given.is_dir() {
            folder(given, &mut notes)?
        } else if given.exists() {
            CorpusKind::of(given)?;
            vec![given.to_owned()]
        } else if let Some(pattern) = given.to_str().filter(|text| text.contains(['*', '?', '['])) {
            matching(pattern, given, &mut notes)?
        } else {
            return Err(read(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")));
        };
        let files = paths.into_iter().map(CorpusFile::on_disk).collect();
        Ok(Self { name, given: given.to_owned(), files, notes })
    }
}

fn matching(pattern: &str, given: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, CorpusError> {
    let nothing = |reason: String| CorpusError::Nothing { reason, path: given.to_owned() };
    let mut found = Vec::new();
    let mut others = Vec::new();
    for path in glob::glob(pattern).map_err(|e| nothing(e.to_string()))? {
        let path = path.map_err(|e| CorpusError::Read { cause: e.into(), path: given.to_owned() })?;
        let kept = path.is_file() && CorpusKind::of(&path).is_ok();
        if kept { found.push(path) } else { others.push(file_name(&path)) }
    }
    if found.is_empty() {
        return Err(nothing(format!("no file of a known format{}", listed(", only ", &others))));
    }
    notes.extend(left_out(&others));
    found.sort();
    Ok(found)
}

/// The files of a folder; of the folders in it where it has none itself.
fn folder(given: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, CorpusError> {
    let read = |cause| CorpusError::Read { cause, path: given.to_owned() };
    let (mut found, mut others, mut folders) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(given).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = file_name(&path);
        if path.is_dir() {
            folders.push(format!("{name}/"));
        } else if path.is_file() && is_data(&name) {
            found.push(path);
        } else if !METADATA.contains(&name.as_str()) {
            others.push(name);
        }
    }
    if found.is_empty() {
        return below(given, others, notes);
    }
    found.sort();
    others.extend(folders);
    others.retain(|name| !name.starts_with('.'));
    notes.extend(left_out(&others));
    let mut splits: Vec<&str> = found.iter().filter_map(|path| split_of(&file_name(path))).collect();
    splits.sort_unstable();
    splits.dedup();
    if splits.len() > 1 {
        notes.push(format!(
            "reads the splits {} together: name a file or a glob to read one",
            splits.join(" and ")
        ));
    }
    Ok(found)
}

/// The files of a data set that lies in a folder's folders.
fn below(
    given: &Path,
    mut others: Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>, CorpusError> {
    let mut names = Vec::new();
    walk(given, "", 0, &mut names);
    names.retain(|name| is_data(name));
    names.sort();
    let nothing = |reason: String| CorpusError::Nothing { reason, path: given.to_owned() };
    if names.is_empty() {
        others.sort();
        return Err(nothing(format!("no file of a known format{}", listed(", only ", &others))));
    }
    let Choice { files, note } = default_files(&names).map_err(nothing)?;
    notes.extend(note);
    Ok(files.iter().map(|name| given.join(name)).collect())
}

/// All files below a folder, by their paths in it.
pub fn walk(root: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(prefix)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let path = entry.path();
        if names.len() >= MAX_FILES {
            return;
        }
        if path.is_file() {
            names.push(name);
        } else if path.is_dir() && depth < MAX_DEPTH && !entry.file_name().to_string_lossy().starts_with('.')
        {
            walk(root, &name, depth + 1, names);
        }
    }
}

/// The own name of a file or folder, or the one on the hub of what lies in its cache: a bundle tells what was read, not
/// where it is kept, which may hold its reader's name.
pub fn end_of(path: &Path) -> String {
    // `.` and `..` have the name of the folder that they stand for.
    let path = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    };
    let parts: Vec<_> = path.components().filter_map(|c| c.as_os_str().to_str()).collect();
    let in_cache = parts.iter().enumerate().find_map(|(i, part)| {
        let repo = ["models--", "datasets--"].iter().find_map(|kind| part.strip_prefix(kind))?;
        let inside =
            (parts.get(i + 1) == Some(&"snapshots")).then(|| parts.get(i + 3..).unwrap_or_default())?;
        let name = repo.replace("--", "/");
        Some(if inside.is_empty() { name } else { format!("{name}:{}", inside.join("/")) })
    });
    in_cache.unwrap_or_else(|| file_name(&path))
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn listed(before: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{before}{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn left_out(others: &[String]) -> Option<String> {
    let mut others = others.to_vec();
    others.sort();
    (!others.is_empty()).then(|| format!("left out{}", listed(": ", &others)))
}
