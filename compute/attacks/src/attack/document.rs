//! Tries any text as a whole bundle in one JSON document.

use shared::document::Document;
use shared::error::shown;

use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    outcome(judged(serde_json::from_slice::<Document>(bytes).map_err(shown)).map(|document| {
        let ids: Vec<u32> = document.corpus.iter().flat_map(|chunk| &chunk.token_ids).copied().take(64).collect();
        let _texts = document.vocab.texts(&ids);
    }))
}

pub fn seeds() -> Vec<Vec<u8>> {
    use super::good::{self, Schema};
    use shared::{labels::Labels, manifest::MAJOR};
    use shared::{corpus::CorpusChunk, feature::FeatureBlock, prompt::Prompt, vocab::Vocab};
    let file = |path: &str| good::of_v2(path);
    let block: Option<FeatureBlock> = good::read(Schema::Two, &file("features/0000.bin"));
    let chunk: Option<CorpusChunk> = good::read(Schema::Two, &file("corpus/0000.bin"));
    let prompt: Option<Prompt> = good::read(Schema::Two, &file("prompts/0000.bin"));
    let vocab: Option<Vocab> = good::read(Schema::Two, &file("vocab.bin"));
    let (Some(mut manifest), Some(block), Some(vocab)) = (good::V2.clone(), block, vocab) else {
        return Vec::new();
    };
    manifest.schema.major = MAJOR;
    manifest.features.truncate(1);
    manifest.features.iter_mut().for_each(|range| range.end = range.start + 1);
    let document = Document {
        manifest,
        vocab,
        corpus: chunk.into_iter().collect(),
        features: block.features.into_iter().take(1).collect(),
        prompts: prompt.into_iter().collect(),
        labels: Some(Labels { features: vec![4], texts: vec!["words".to_owned()] }),
        explanations: None,
        roles: None,
        role_stats: None,
    };
    serde_json::to_vec(&document).into_iter().collect()
}
