//! Tries any bytes as the layer of explanations.

use shared::explanations::{Explanation, ExplanationScore, Explanations};

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let explanations = good::read::<Explanations>(Schema::Three, bytes);
    if let Some(explanations) = &explanations {
        for explanation in explanations.explanations.iter().take(8) {
            assert!(!explanations.of(explanation.feature).is_empty(), "an explanation is not found");
        }
        good::comes_back(explanations);
    }
    outcome(explanations)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let explanation = |feature| Explanation {
        feature,
        text: "words after “".to_owned(),
        author: Some("someone".to_owned()),
        method: Some("human".to_owned()),
        date: None,
        scores: vec![ExplanationScore { test: "detection".to_owned(), value: 0.75, judge: None }],
    };
    vec![good::written(&Explanations { explanations: vec![explanation(2), explanation(2), explanation(7)] })]
}
