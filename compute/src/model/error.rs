//! Why a model cannot be read or run.

use std::path::PathBuf;

use tch::TchError;

use crate::weights::{WeightsError, first_line};
use checkpoints::model::ConfigError;

/// Why a model could not be read or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its weights are wrong.
    #[error("could not load the model: {0}")]
    Weights(WeightsError),
    /// Its config is wrong, or has no such hook point.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A folder without weights.
    #[error("could not load the model: no *.safetensors, pytorch_model.bin or model_final.pth in the folder, which has {} ({})", if has.is_empty() { "nothing" } else { has }, path.display())]
    NoWeights {
        /// The names of the files that are there.
        has: String,
        /// The folder.
        path: PathBuf,
    },
    /// Shards without an index, of which one is not there.
    #[error("could not load the model: shard {missing} of {n_shards} is missing, and so is model.safetensors.index.json; download the model again ({})", path.display())]
    MissingShard {
        /// The first that is missing, from 1.
        missing: u32,
        /// How many the others' names say there are.
        n_shards: u32,
        /// The folder.
        path: PathBuf,
    },
    /// A weight that the family does not have.
    #[error("could not load the model: its weights have \"{name}\", which nothing in its config.json stands for: does the config belong to these weights? ({})", path.display())]
    Unread {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A hook point from which nothing linear leads to the residual stream.
    #[error(
        "nothing linear leads from \"{hook}\" to the residual stream: effects need a hook_resid_*, hook_attn_out, hook_mlp_out, attn.hook_z or mlp.hook_post"
    )]
    NoWriteMatrix {
        /// The hook point.
        hook: String,
    },
    /// Tokens that the model cannot take.
    #[error("{0}")]
    Tokens(String),
    /// A hook gave back an activation of another shape.
    #[error("the replacement at \"{hook}\" has shape {got:?}, expected {expected:?}")]
    Replacement {
        /// The hook point.
        hook: String,
        /// The replacement's shape.
        got: Vec<i64>,
        /// The activation's shape.
        expected: Vec<i64>,
    },
    /// libtorch refused, usually for want of memory.
    #[error("libtorch could not run the model: {}", first_line(.0))]
    Torch(TchError),
}

// Not by `#[from]`: the texts already say the causes, and a chain of causes would say them again.
impl From<WeightsError> for ModelError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

impl From<TchError> for ModelError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}
