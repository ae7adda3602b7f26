//! A checkpoint folder's weights, read with every shape checked.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::model::error::ModelError;
use crate::weights::{Select, Weights};

/// Open weights, and how they are to be kept.
#[derive(Debug)]
pub struct Checkpoint {
    /// One file, an index's shards, or shards without an index.
    files: Vec<Weights>,
    /// Put before every name.
    prefix: String,
    kind: Kind,
    device: Device,
    /// Full names of the tensors that were read.
    read: RefCell<BTreeSet<String>>,
}

/// What older checkpoints carry beside weights: masks and rotary frequencies, which are made anew.
const BUFFERS: [&str; 6] = [
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    "rotary_emb.inv_freq",
    ".embed_positions",
];

impl Checkpoint {
    /// Opens a folder's weights; the first prefix under which `embed` lies is taken.
    pub fn open(
        folder: &Path,
        prefixes: &[&str],
        embed: &str,
        device: Device,
        kind: Kind,
    ) -> Result<Self, ModelError> {
        let files = open_weights(folder)?;
        let has = |name: &str| files.iter().any(|file| file.has(name));
        let prefix = prefixes.iter().find(|prefix| has(&format!("{prefix}{embed}.weight")));
        let prefix = prefix.or(prefixes.first()).map_or_else(String::new, |prefix| (*prefix).to_owned());
        Ok(Self { files, prefix, kind, device, read: RefCell::default() })
    }

    /// Reads a tensor under the prefix.
    pub fn tensor(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<Tensor, ModelError> {
        self.outside(&format!("{}{name}", self.prefix), axes, shape)
    }

    /// Reads a tensor whose name does not carry the prefix.
    pub fn outside(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<Tensor, ModelError> {
        self.take(name, axes, shape, self.kind, self.device)
    }

    /// Reads packed bytes under the prefix, onto the CPU.
    pub fn bytes(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<Tensor, ModelError> {
        self.take(&format!("{}{name}", self.prefix), axes, shape, Kind::Uint8, Device::Cpu)
    }

    /// Whether a tensor is there, under the prefix.
    pub fn has(&self, name: &str) -> bool {
        let name = format!("{}{name}", self.prefix);
        self.files.iter().any(|file| file.has(&name))
    }

    /// Refuses a layer's weights that nothing read: the checkpoint is of another kind than its config says,
    /// and its numbers would be wrong.
    pub fn refuse_unread(&self, layers: &str) -> Result<(), ModelError> {
        let read = self.read.borrow();
        let layers = format!("{}{layers}.", self.prefix);
        let unread = self.files.iter().flat_map(|file| file.names().map(move |name| (file, name))).find(
            |(_, name)| {
                let buffer = BUFFERS.iter().any(|buffer| name.ends_with(buffer));
                name.starts_with(&layers) && !buffer && !read.contains(*name)
            },
        );
        match unread {
            None => Ok(()),
            Some((file, name)) => {
                Err(ModelError::Unread { name: name.to_owned(), path: file.path().to_owned() })
            }
        }
    }

    fn take(
        &self,
        name: &str,
        axes: &'static str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor, ModelError> {
        // Where no file has it, the first says what it has.
        let file = self.files.iter().find(|file| file.has(name)).or(self.files.first());
        let file = file.ok_or_else(|| ModelError::NoWeights { has: String::new(), path: PathBuf::new() })?;
        file.expect(name, axes, shape)?;
        self.read.borrow_mut().insert(name.to_owned());
        Ok(file.read(name, Select::All, kind, device)?)
    }
}

fn open_weights(folder: &Path) -> Result<Vec<Weights>, ModelError> {
    for index in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        if folder.join(index).is_file() && !folder.join("model.safetensors").is_file() {
            return Ok(vec![Weights::open_index(&folder.join(index))?]);
        }
    }
    for single in ["model.safetensors", "pytorch_model.bin", "model_final.pth"] {
        if folder.join(single).is_file() {
            return Ok(vec![Weights::open(&folder.join(single))?]);
        }
    }
    let names = names(folder);
    let shards: Vec<&String> = names.iter().filter(|name| shard(name).is_some()).collect();
    let Some((_, n_shards)) = shards.first().and_then(|name| shard(name)) else {
        return Err(ModelError::NoWeights { has: names.join(", "), path: folder.to_owned() });
    };
    let missing = (1..=n_shards).find(|n| !shards.iter().any(|name| shard(name) == Some((*n, n_shards))));
    if let Some(missing) = missing {
        return Err(ModelError::MissingShard { missing, n_shards, path: folder.to_owned() });
    }
    shards.into_iter().map(|name| Ok(Weights::open(&folder.join(name))?)).collect()
}

/// The names of the files in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Number and count of `model-00001-of-00002.safetensors`.
fn shard(name: &str) -> Option<(u32, u32)> {
    let name = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
    let (number, count) = name.split_once("-of-")?;
    Some((number.parse().ok()?, count.parse().ok()?))
}
