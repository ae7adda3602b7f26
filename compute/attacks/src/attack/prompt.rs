//! Tries any bytes as a prompt of today's schema, and shows all that a page shows of it.

use shared::prompt::{Metric, Prompt};

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let prompt = good::read::<Prompt>(Schema::Three, bytes);
    if let Some(prompt) = &prompt {
        show(prompt);
        good::comes_back(&Prompt { newer_metrics: Vec::new(), ..prompt.clone() });
    }
    outcome(prompt)
}

/// Everything that a page takes from a prompt.
pub fn show(prompt: &Prompt) {
    for feature in prompt.features.iter().take(8) {
        let tokens = prompt.tokens(feature.feature);
        assert!(tokens.is_some_and(|tokens| tokens.len() == prompt.token_ids.len()), "a token has no view");
    }
    for metric in Metric::ALL {
        for position in (0..prompt.token_ids.len()).take(4) {
            let scores = prompt.scores_at(metric, position).iter().take(4);
            let _texts: Vec<String> = scores.map(|score| score.text(metric)).collect();
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![good::of_v3::<Prompt>("prompts/0000.bin")]
}
