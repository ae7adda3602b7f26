//! Why a config cannot be read, or a hook point not be found.

use std::path::PathBuf;

use shared::error::shown;

/// Why a config could not be read, or has no such hook point.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No `config.json`, or one that cannot be read.
    #[error("could not load the model: {} ({})", shown(reason), shown(path.display()))]
    Config {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A setting that is not read.
    #[error("could not load the model: its config says {} {}, expected {expected} ({})", shown(what), shown(got), shown(path.display()))]
    Unsupported {
        /// Which setting.
        what: String,
        /// Its value, as JSON.
        got: String,
        /// The values that are read.
        expected: String,
        /// The file.
        path: PathBuf,
    },
    /// A hook point that the model does not have.
    #[error("no hook point \"{}\": {}{hint}", shown(name), shown(has))]
    NoHookPoint {
        /// What was asked for.
        name: String,
        /// What there is instead, or why it cannot be there.
        has: String,
        /// The one most like it, as a question; empty where none is near.
        hint: String,
    },
}
