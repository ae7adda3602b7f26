//! Why a model cannot be read or run.

use std::path::PathBuf;

use tch::TchError;

use crate::weights::{WeightsError, first_line};

/// Why a model could not be read or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its weights are wrong.
    #[error("could not load the model: {0}")]
    Weights(#[from] WeightsError),
    /// No `config.json`, or one that cannot be read.
    #[error("could not load the model: {reason} ({})", path.display())]
    Config {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A kind of model that is not read.
    #[error("could not load the model: its config says {what} \"{got}\", expected one of {expected} ({})", path.display())]
    Unsupported {
        /// Which setting.
        what: &'static str,
        /// Its value.
        got: String,
        /// The values that are read.
        expected: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A folder without weights.
    #[error("could not load the model: no *.safetensors, pytorch_model.bin or model_final.pth in the folder ({})", path.display())]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// A hook point that the model does not have.
    #[error("no hook point \"{name}\": {has}; did you mean \"{nearest}\"?")]
    NoHookPoint {
        /// What was asked for.
        name: String,
        /// What there is instead.
        has: String,
        /// The one most like it.
        nearest: String,
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
    Torch(#[from] TchError),
}
