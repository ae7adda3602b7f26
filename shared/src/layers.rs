//! Layers: files that a bundle may have beside its own, and that a reader may not know.
//!
//! The manifest lists each with its name, its version and what it has one file for. A reader opens the layers that it
//! knows, in versions up to its own, and lists the others: so programs can add to the schema without breaking older
//! readers.
//!
//! | layer | files | holds |
//! |---|---|---|
//! | `labels` 1 | one | [`crate::labels::Labels`] |
//! | `explanations` 1 | one | [`crate::explanations::Explanations`] |
//! | `roles` 1 | one a corpus chunk | [`crate::roles::ChunkRoles`] |
//! | `role_stats` 1 | one | [`crate::roles::RoleStats`] |
//! | `neighbours` 1 | one a block of features | [`crate::neighbours::Neighbours`] |

use serde::{Deserialize, Serialize};

/// A layer that this build reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// The newest version that this build reads.
    pub version: u32,
    /// What it has one file for.
    pub per: Unit,
}

/// One label a feature.
pub const LABELS: Layer = Layer { name: "labels", version: 1, per: Unit::Bundle };
/// Any number of explanations a feature, with their authors and scores.
pub const EXPLANATIONS: Layer = Layer { name: "explanations", version: 1, per: Unit::Bundle };
/// Who speaks at each token of a conversation.
pub const ROLES: Layer = Layer { name: "roles", version: 1, per: Unit::Chunk };
/// Density and maximum of each feature by role.
pub const ROLE_STATS: Layer = Layer { name: "role_stats", version: 1, per: Unit::Bundle };

/// The features of other SAEs of the site that are most like each feature; nothing outside that site.
pub const NEIGHBOURS: Layer = Layer { name: "neighbours", version: 1, per: Unit::Block };

/// All layers that this build reads.
pub const KNOWN: [Layer; 5] = [LABELS, EXPLANATIONS, ROLES, ROLE_STATS, NEIGHBOURS];

/// A layer of a bundle, as its manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct LayerInfo {
    /// Its name: lower-case letters, digits and `_`.
    pub name: String,
    /// Version of its files.
    pub version: u32,
    /// What it has one file for.
    pub per: Unit,
}

/// What a layer has one file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The whole bundle: `layers/NAME.bin`.
    Bundle,
    /// The vocabulary: `layers/NAME.bin`; bundles that share one share the layer.
    Vocab,
    /// Each corpus chunk: `layers/NAME/NNNN.bin`.
    Chunk,
    /// Each block of features: `layers/NAME/NNNN.bin`.
    Block,
    /// Something that a newer version knows.
    #[serde(other)]
    Newer,
}

impl Layer {
    /// As a manifest lists it.
    pub fn info(&self) -> LayerInfo {
        LayerInfo { name: self.name.to_owned(), version: self.version, per: self.per }
    }

    /// Path of the layer's one file.
    pub fn path(&self) -> String {
        format!("layers/{}.bin", self.name)
    }

    /// Path of the layer's file for chunk or block `i`.
    pub fn path_of(&self, i: usize) -> String {
        format!("{}{i:04}.bin", self.folder())
    }

    /// The folder of a layer of several files, with its `/`.
    pub fn folder(&self) -> String {
        format!("layers/{}/", self.name)
    }
}

impl LayerInfo {
    /// Whether this build reads it.
    pub fn is_known(&self) -> bool {
        KNOWN.iter().any(|known| self.is(known))
    }

    /// Whether it is `layer`, in a version that this build reads.
    pub fn is(&self, layer: &Layer) -> bool {
        self.name == layer.name && self.per == layer.per && (1..=layer.version).contains(&self.version)
    }
}
