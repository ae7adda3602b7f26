//! Files of named tensors, read lazily: the header first, a tensor's bytes when they are asked for.
//!
//! [`Weights`] and [`Entry`] are the whole interface; each other file knows one container.
//!
//! | container | file | what is read |
//! |---|---|---|
//! | safetensors, sharded or single | `safetensors.rs` | the header, then positioned reads |
//! | torch.save (zip) | `torch_file.rs`, `pickle.rs` | the pickle as plain data (nothing is ever executed), then positioned reads |
//! | `.npz`, `.npy` | `npz.rs` | each member's `.npy` header, then positioned reads or inflation |
//! | zip itself | `archive.rs` | the central directory, with limits |
//!
//! Every length in a file is checked against the file's own length before memory is taken for it; what unpacks is
//! limited by its declared length, and that by what is packed.

mod archive;
mod dtype;
mod entry;
mod error;
mod file;
mod npz;
mod pickle;
mod safetensors;
mod torch_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dtype::Dtype;
pub use entry::Entry;
pub use error::WeightsError;
pub use file::InputFile;

/// A value beside the tensors, as pickles carry them (`activation: "TopK"`).
#[derive(Clone, Debug, PartialEq)]
pub enum PickleValue {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// The name of a class or function, never imported.
    Name(String),
}

/// Named tensors in one or more files; headers are read, data is not.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    values: BTreeMap<String, PickleValue>,
}

impl Weights {
    /// Opens one file; its container is recognised from its first bytes, not from its name.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::from_file(&InputFile::open(path)?)
    }

    /// The same for a file that is open, or in memory.
    pub fn from_file(file: &Arc<InputFile>) -> Result<Self, WeightsError> {
        let path = file.path().to_owned();
        let start = file.read(0, file.len().min(8))?;
        let mut values = BTreeMap::new();
        let entries = if start.starts_with(b"PK") {
            let members = archive::members(file)?;
            if members.keys().any(|name| name.ends_with("data.pkl")) {
                let (entries, found) = torch_file::entries(file, &members)?;
                values = found;
                entries
            } else {
                npz::entries(file, &members)?
            }
        } else if start.starts_with(b"\x93NUMPY") {
            npz::single(file)?
        } else if safetensors::begins(file)? {
            safetensors::entries(file)?
        } else if matches!(start.as_slice(), [0x80, ..=5, ..]) {
            return Err(WeightsError::LegacyTorch { path });
        } else if let Some(size) = lfs_pointer(file)? {
            return Err(WeightsError::LfsPointer { size, path });
        } else {
            safetensors::entries(file)?
        };
        Ok(Self { path, entries, values })
    }

    /// Opens every shard that a Hugging Face index file (`model.safetensors.index.json`) names.
    pub fn open_index(index: &Path) -> Result<Self, WeightsError> {
        let shards = safetensors::shards(index)?;
        let folder = index.parent().unwrap_or_else(|| Path::new("."));
        let mut all = Self { path: index.to_owned(), entries: BTreeMap::new(), values: BTreeMap::new() };
        for shard in shards {
            all.extend(Self::open(&folder.join(shard))?);
        }
        Ok(all)
    }

    /// Adds the tensors of another file.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// The file or index that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether a tensor of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A tensor's shape, if it exists.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.entries.get(name).map(Entry::shape)
    }

    /// The type of a tensor's elements, if it exists.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.entries.get(name).map(Entry::dtype)
    }

    /// A value beside the tensors, by its dotted path (`activation_state_dict.k`).
    pub fn value(&self, name: &str) -> Option<&PickleValue> {
        self.values.get(name)
    }

    /// One tensor, or an error that names those that there are.
    pub fn entry(&self, name: &str) -> Result<&Entry, WeightsError> {
        self.entries.get(name).ok_or_else(|| WeightsError::Missing {
            name: name.to_owned(),
            has: self.some_names(),
            path: self.path.clone(),
        })
    }

    /// All elements of a small tensor, row by row.
    pub fn values(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        self.entry(name)?.values()
    }

    /// The two widths of a matrix, or an error that names it.
    pub fn matrix(&self, name: &str) -> Result<(i64, i64), WeightsError> {
        match self.entry(name)?.shape() {
            [rows, columns] => Ok((*rows, *columns)),
            got => {
                let (name, got, path) = (name.to_owned(), got.to_vec(), self.at(name));
                Err(WeightsError::Axes { name, got, expected: 2, path })
            }
        }
    }

    /// The three widths of a tensor of three axes, or an error that names it.
    pub fn cube(&self, name: &str) -> Result<[i64; 3], WeightsError> {
        match self.entry(name)?.shape() {
            [a, b, c] => Ok([*a, *b, *c]),
            got => {
                let (name, got, path) = (name.to_owned(), got.to_vec(), self.at(name));
                Err(WeightsError::Axes { name, got, expected: 3, path })
            }
        }
    }

    /// Checks a shape; `axes` names its axes, as in `[d_in, d_sae]`.
    pub fn expect(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<(), WeightsError> {
        let got = self.entry(name)?.shape();
        if got == shape {
            return Ok(());
        }
        let transposed = got.len() == 2 && got.iter().rev().eq(shape);
        Err(WeightsError::Shape {
            name: name.to_owned(),
            got: got.to_vec(),
            axes,
            expected: shape.to_vec(),
            transposed,
            path: self.at(name),
        })
    }

    /// Keeps only the tensors whose name starts with `prefix`, without it.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        let entries = std::mem::take(&mut self.entries);
        self.entries = entries
            .into_iter()
            .filter_map(|(name, entry)| Some((name.strip_prefix(prefix)?.to_owned(), entry)))
            .collect();
        self
    }

    /// Takes leading axes of width 1 from a tensor's shape: `[1, d]` becomes `[d]`.
    pub fn drop_leading_ones(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.drop_leading_ones();
        }
    }

    /// Makes one axis of a tensor's first two: `[n, d, d_sae]` becomes `[n d, d_sae]`.
    pub fn merge_leading_axes(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.merge_leading_axes();
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.entries.get(name).map_or_else(|| self.path.clone(), |entry| entry.file().path().to_owned())
    }

    fn some_names(&self) -> String {
        const SHOWN: usize = 8;
        let mut shown: Vec<String> = self.names().take(SHOWN).map(|name| format!("{name:?}")).collect();
        if shown.is_empty() {
            return "no tensors".to_owned();
        }
        if self.entries.len() > SHOWN {
            shown.push(format!("and {} more", self.entries.len() - SHOWN));
        }
        shown.join(", ")
    }
}

/// The size that a Git LFS pointer gives for the file that it stands for, where the file is such a pointer.
fn lfs_pointer(file: &InputFile) -> Result<Option<String>, WeightsError> {
    const MAX_BYTES: u64 = 1024;
    if file.len() > MAX_BYTES {
        return Ok(None);
    }
    let bytes = file.read(0, file.len())?;
    let text = String::from_utf8_lossy(&bytes);
    let size = text.lines().find_map(|line| line.strip_prefix("size "));
    let digits = |size: &&str| size.len() < 24 && size.bytes().all(|byte| byte.is_ascii_digit());
    Ok(size.filter(digits).filter(|_| text.starts_with("version https://git-lfs")).map(str::to_owned))
}
