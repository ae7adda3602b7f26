//! Where a bundle's files lie.
//!
//! | path | type |
//! |---|---|
//! | `manifest.json` | [`crate::manifest::Manifest`], JSON |
//! | `vocab.bin` | [`crate::vocab::Vocab`] |
//! | `corpus/NNNN.bin` | [`crate::corpus::CorpusChunk`] |
//! | `features/index.bin` | [`crate::index::FeatureIndex`] |
//! | `features/NNNN.bin` | [`crate::feature::FeatureBlock`] |
//! | `prompts/index.bin` | [`crate::prompt::PromptIndex`] |
//! | `prompts/NNNN.bin` | [`crate::prompt::Prompt`] |
//! | `layers/…` | what [`crate::layers`] says of each layer |

/// The manifest.
pub const MANIFEST: &str = "manifest.json";
/// What lists the bundles of a site, in its folder: [`crate::site::Site`], JSON.
pub const SITE: &str = "site.json";
/// The vocabulary.
pub const VOCAB: &str = "vocab.bin";
/// The table over all features.
pub const INDEX: &str = "features/index.bin";
/// The list of prompts.
pub const PROMPTS: &str = "prompts/index.bin";

/// Corpus chunk `i`.
pub fn chunk(i: usize) -> String {
    format!("corpus/{i:04}.bin")
}

/// Block `i` of features.
pub fn block(i: usize) -> String {
    format!("features/{i:04}.bin")
}

/// Prompt `i`.
pub fn prompt(i: usize) -> String {
    format!("prompts/{i:04}.bin")
}

/// Whether `path` stays below the folder that it is relative to, on every system: plain names between `/`.
pub fn is_inside(path: &str) -> bool {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(['\\', ':']) && !name.chars().any(char::is_control)
    };
    path.split('/').all(is_name)
}
