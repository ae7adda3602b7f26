//! Tries any text as a bundle's manifest, of every schema version, and asks what programs ask of it.

use shared::layers;
use shared::manifest::Manifest;

use super::good;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    outcome(judged(Manifest::from_json(bytes)).map(|manifest| use_all(&manifest)))
}

pub fn use_all(manifest: &Manifest) {
    for feature in manifest.feature_ids().take(16).chain([0, u32::MAX]) {
        assert!(judged(manifest.block_of(feature)).is_none_or(|block| block < manifest.blocks.len()));
    }
    let _counts = (manifest.n_features(), manifest.n_chunks(), manifest.total_bytes(), manifest.dataset.n_tokens());
    let _places = (manifest.chunk_of(0), manifest.chunk_of(u32::MAX), manifest.labels_path());
    let _texts = (manifest.dataset.origin(0), manifest.dataset.origin(u32::MAX), manifest.health.loss_recovered());
    let _says = (manifest.has_own_token_ids(), manifest.has_rows(), manifest.has_effects(), manifest.is_alone());
    let _layers = (layers::KNOWN.map(|layer| manifest.has_layer(&layer)), manifest.newer_layers().count());
    let _file = judged(manifest.file("no such file"));
    if let Some(shared) = &manifest.shared {
        let _folder = (judged(shared.in_site("a")), judged(shared.in_site("")), judged(shared.in_site("a/b")));
    }
    let alone = judged(manifest.alone().to_json());
    assert!(alone.is_some_and(|json| Manifest::from_json(&json).is_ok()), "what is written is not read");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let of = |version: &str| good::fixture(&format!("tests/fixtures/bundles/{version}/postcard/manifest.json"));
    let today = |mut manifest: Manifest| {
        manifest.schema.major = shared::manifest::MAJOR;
        manifest.to_json().unwrap_or_default()
    };
    let newest = good::V2.clone().map(today).unwrap_or_default();
    vec![of("2.0"), of("2.1"), newest]
}
