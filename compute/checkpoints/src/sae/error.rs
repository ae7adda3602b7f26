//! Why an SAE cannot be read.

use std::path::PathBuf;

use shared::error::shown;

use crate::containers::WeightsError;

/// Why an SAE could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SaeError {
    /// Its weights are wrong.
    #[error("could not load the SAE: {0}")]
    Weights(Box<WeightsError>),
    /// Its config is missing or cannot be read.
    #[error("could not load the SAE: {} ({})", shown(reason), shown(path.display()))]
    Config {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A setting with a value that is not read.
    #[error("could not load the SAE: its config says {what} \"{}\", expected one of {expected} ({})", shown(got), shown(path.display()))]
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
    /// A kind of SAE whose features are not a function of one position.
    #[error("could not load the SAE: a temporal SAE, whose features depend on all earlier tokens of a row, which is not read ({})", shown(path.display()))]
    Temporal {
        /// The config or the folder.
        path: PathBuf,
    },
    /// A folder of SAEs, where one is wanted.
    #[error("could not load the SAE: the folder holds {} SAEs ({}): name one, such as {} ({})", names.len(), shown(first(names)), shown(path.join(&names[0]).display()), shown(path.display()))]
    Many {
        /// Files or folders in it.
        names: Vec<String>,
        /// The folder.
        path: PathBuf,
    },
    /// Weights whose config is missing.
    #[error("could not load the SAE: no config beside the weights (cfg.json, config.json) says how it encodes: put it there, or name the format with --sae-format ({})", shown(path.display()))]
    NoConfig {
        /// The weights.
        path: PathBuf,
    },
    /// A format whose files do not say which class of its library they are.
    #[error("could not load the SAE: {} ({})", shown(reason), shown(path.display()))]
    Ambiguous {
        /// What cannot be told, and what settles it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// No format fits the files.
    #[error("could not load the SAE: no known format: {}; expected {expected}; name it with --sae-format ({})", shown(found), shown(path.display()))]
    UnknownFormat {
        /// What is there.
        found: String,
        /// What would be recognised.
        expected: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// A format name that does not exist.
    #[error("no SAE format \"{}\": expected one of {expected}", shown(got))]
    NoSuchFormat {
        /// What was asked for.
        got: String,
        /// The formats.
        expected: String,
    },
}

// Not by `#[from]`: the text already says the cause, and a chain of causes would say it again.
impl From<WeightsError> for SaeError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

/// The first names of a list, for a message.
pub(super) fn first(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
