//! Files of named tensors, read lazily: the header first, a tensor's bytes when it is asked for.
//!
//! `model` and `sae` both read from here, so it lies below them. Two minutes to read: [`Weights`] is the
//! whole interface; each other file knows one container.
//!
//! | container | file | what is read |
//! |---|---|---|
//! | safetensors, sharded or single | `safetensors.rs` | the header, then positioned reads |
//! | torch.save (zip) | `torch_file.rs`, `pickle.rs` | the pickle as plain data (nothing is ever executed), then positioned reads |
//! | `.npz`, `.npy` | `npz.rs` | each member's `.npy` header, then positioned reads or inflation |
//! | zip itself | `archive.rs` | the central directory, with limits |
//!
//! Bytes go to the device in pieces of [`PIECE_BYTES`], converted to the kind that is kept on the way, so
//! reading needs no more than the kept tensors and one piece. Every tensor that is read is checked for
//! NaN and infinities, because an SAE with one NaN weight shows nothing but NaN later on.

mod archive;
mod entry;
mod error;
mod npz;
mod pickle;
mod safetensors;
mod torch_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

pub use entry::PIECE_BYTES;
use entry::{Entry, Opened};
pub use error::{WeightsError, first_line};

/// Which part of a matrix to read.
#[derive(Clone, Copy, Debug)]
pub enum Select<'a> {
    /// The whole tensor, of any rank.
    All,
    /// These rows (first axis), in this order.
    Rows(&'a [i64]),
    /// These columns (second axis of two), in this order.
    Columns(&'a [i64]),
}

/// A value beside the tensors, as pickles carry them (`activation: "TopK"`).
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
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
    plain: BTreeMap<String, Plain>,
}

impl Weights {
    /// Opens one file; its container is recognised from its first bytes, not from its name.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let opened = Opened::open(path)?;
        let start = opened.read(0, opened.len.min(8))?;
        if start.starts_with(b"PK") {
            let members = archive::members(&opened)?;
            if members.keys().any(|name| name.ends_with("data.pkl")) {
                let (entries, plain) = torch_file::entries(&opened, &members)?;
                return Ok(Self { path: path.to_owned(), entries, plain });
            }
            let entries = npz::entries(&opened, &members)?;
            return Ok(Self { path: path.to_owned(), entries, plain: BTreeMap::new() });
        }
        if start.starts_with(b"\x93NUMPY") {
            let entries = npz::single(&opened)?;
            return Ok(Self { path: path.to_owned(), entries, plain: BTreeMap::new() });
        }
        if start.first() == Some(&0x80)
            && start.get(1).is_some_and(|version| *version <= 5)
            && !safetensors::begins(&opened)?
        {
            return Err(WeightsError::LegacyTorch { path: path.to_owned() });
        }
        if let Some(size) = lfs_pointer(&opened)? {
            return Err(WeightsError::LfsPointer { size, path: path.to_owned() });
        }
        let entries = safetensors::entries(&opened)?;
        Ok(Self { path: path.to_owned(), entries, plain: BTreeMap::new() })
    }

    /// Opens every shard that a Hugging Face index file (`model.safetensors.index.json`) names.
    pub fn open_index(index: &Path) -> Result<Self, WeightsError> {
        let shards = safetensors::shards(index)?;
        let folder = index.parent().unwrap_or_else(|| Path::new("."));
        let mut all = Self { path: index.to_owned(), entries: BTreeMap::new(), plain: BTreeMap::new() };
        for shard in shards {
            all.entries.extend(Self::open(&folder.join(shard))?.entries);
        }
        Ok(all)
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
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The number type in which a tensor is stored, if it exists.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.entries.get(name).map(|entry| entry.kind)
    }

    /// A value beside the tensors, by its dotted path (`activation_state_dict.k`).
    pub fn plain(&self, name: &str) -> Option<&Plain> {
        self.plain.get(name)
    }

    /// All values beside the tensors.
    pub fn plains(&self) -> impl Iterator<Item = (&str, &Plain)> {
        self.plain.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The two widths of a matrix, or an error that names it.
    pub fn matrix(&self, name: &str) -> Result<(i64, i64), WeightsError> {
        match self.entry(name)?.shape.as_slice() {
            [rows, columns] => Ok((*rows, *columns)),
            got => Err(WeightsError::Rank { name: name.to_owned(), got: got.to_vec(), path: self.at(name) }),
        }
    }

    /// Checks a shape; `axes` names its axes, as in `[d_in, d_sae]`.
    pub fn expect(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<(), WeightsError> {
        let got = &self.entry(name)?.shape;
        if got == shape {
            return Ok(());
        }
        let transposed = got.len() == 2 && got.iter().rev().eq(shape);
        Err(WeightsError::Shape {
            name: name.to_owned(),
            got: got.clone(),
            axes,
            expected: shape.to_vec(),
            transposed,
            path: self.at(name),
        })
    }

    /// Reads a tensor, or part of one, as `kind` onto `device`.
    pub fn read(
        &self,
        name: &str,
        select: Select<'_>,
        kind: Kind,
        device: Device,
    ) -> Result<Tensor, WeightsError> {
        self.entry(name)?.read(name, select, kind, device)
    }

    /// All elements of a small tensor, row by row.
    pub fn values(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let tensor = self.read(name, Select::All, Kind::Double, Device::Cpu)?.f_reshape([-1]);
        let values = tensor.and_then(Vec::<f64>::try_from);
        values.map_err(|source| WeightsError::Torch { name: name.to_owned(), source })
    }

    /// Takes leading axes of width 1 from a tensor's shape: `[1, d]` becomes `[d]`.
    pub fn drop_leading_ones(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            let ones = entry.shape.iter().take_while(|width| **width == 1).count();
            let ones = ones.min(entry.shape.len().saturating_sub(1));
            entry.shape.drain(..ones);
            if let Some(strides) = &mut entry.strides {
                strides.drain(..ones);
            }
        }
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

    fn entry(&self, name: &str) -> Result<&Entry, WeightsError> {
        self.entries.get(name).ok_or_else(|| WeightsError::Missing {
            name: name.to_owned(),
            has: self.some_names(),
            path: self.path.clone(),
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.entries.get(name).map_or_else(|| self.path.clone(), |entry| entry.file.path.clone())
    }

    fn some_names(&self) -> String {
        const SHOWN: usize = 8;
        let mut shown: Vec<String> = self.names().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
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
fn lfs_pointer(file: &Opened) -> Result<Option<String>, WeightsError> {
    const MAX_BYTES: u64 = 1024;
    if file.len > MAX_BYTES {
        return Ok(None);
    }
    let bytes = file.read(0, file.len)?;
    let text = String::from_utf8_lossy(&bytes);
    let size = text.lines().find_map(|line| line.strip_prefix("size "));
    Ok(size.filter(|_| text.starts_with("version https://git-lfs")).map(str::to_owned))
}
