//! A whole bundle as one JSON document: the same values as the files, for other programs.
//!
//! Values are those that the bundle's files hold, so that a bundle made of the document has the same bytes. What follows
//! from them is left out: the index of features. Columns stay columns: [`crate::decimals::Decimals`] hold whole
//! numbers of units of the last decimal, and where a list is documented as stepwise, the steps.

use serde::{Deserialize, Serialize};

use crate::{
    corpus::CorpusChunk,
    explanations::Explanations,
    feature::Feature,
    labels::Labels,
    manifest::Manifest,
    prompt::Prompt,
    roles::{ChunkRoles, RoleStats},
    vocab::Vocab,
};

/// A whole bundle. Members stand in this order, the manifest first; layers that a bundle lacks are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// What the bundle says of itself. `blocks`, `layers` and `files` say how the bundle was stored; a bundle that is made of
    /// the document has its own.
    pub manifest: Manifest,
    /// The tokens by id: text, or a list of bytes where they are no text.
    #[cfg_attr(feature = "json-schema", schemars(with = "Vec<TokenSchema>"))]
    pub vocab: Vocab,
    /// The corpus, in chunks of `manifest.rows_per_chunk` rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corpus: Vec<CorpusChunk>,
    /// The features that `manifest.features` counts, ascending.
    pub features: Vec<Feature>,
    /// The prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
    /// The layer `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The layer `explanations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanations: Option<Explanations>,
    /// The layer `roles`, in the corpus' chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<ChunkRoles>>,
    /// The layer `role_stats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_stats: Option<RoleStats>,
}

/// A token in JSON.
#[cfg(feature = "json-schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `Vocab` writes")]
enum TokenSchema {
    Text(String),
    Bytes(Vec<u8>),
}

#[cfg(feature = "json-schema")]
impl Document {
    /// JSON Schema (draft 2020-12) of the document, made from the types.
    pub fn json_schema() -> serde_json::Value {
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        let mut schema = settings.into_generator().into_root_schema_for::<Self>().to_value();
        schema["title"] = "sae-vis bundle".into();
        schema
    }
}
