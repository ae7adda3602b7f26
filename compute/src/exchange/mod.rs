//! Bundles for other programs in their own formats, and of other programs' files.
//!
//! [`write_json`] and [`read_json`] are the whole bundle as one document; [`write_neuronpedia`] writes what Neuronpedia takes in, [`write_graph_features`] what attribution graphs fetch, each into a
//! [`NewFolder`]. [`import_neuronpedia`], [`import_sae_vis`] and [`import_page`] make bundles of what others wrote.

mod folder;
mod graph_features;
mod import;
mod json;
mod neuronpedia;

use anyhow::Result;
use shared::{
    feature::{Feature, FeatureBlock},
    paths,
    sequence::Example,
    vocab::Vocab,
};

use crate::{bundle::Bundle, interrupt};

pub use folder::NewFolder;
pub use graph_features::write_graph_features;
pub use import::{Import, Subject, import_neuronpedia, import_page, import_sae_vis};
pub use json::{JSON_BUNDLE, read_json, write_json};
pub use neuronpedia::write_neuronpedia;

/// The features of a bundle, block by block.
fn blocks(bundle: &Bundle) -> impl Iterator<Item = Result<Vec<Feature>>> + '_ {
    (0..bundle.manifest.blocks.len()).map(|i| {
        interrupt::check()?;
        Ok(bundle.file::<FeatureBlock>(&paths::block(i))?.features)
    })
}

/// The token's own text, which other programs expect: nothing escaped, and `�` for bytes that are no character.
fn token(vocab: &Vocab, token_id: u32) -> String {
    String::from_utf8_lossy(vocab.bytes_of(token_id)).into_owned()
}

/// Index of the bold token in an example's window.
fn bold_index(example: &Example) -> usize {
    example.tokens.iter().position(|token| token.position == example.position).unwrap_or(0)
}
