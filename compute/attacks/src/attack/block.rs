//! Tries any bytes as a block of features of today's schema, and shows all that a page shows of it.

use shared::feature::{Feature, FeatureBlock};
use shared::quantiles::Quantiles;
use shared::sequence::Sequences;

use super::good::{self, Schema};
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let block = good::read::<FeatureBlock>(Schema::Three, bytes);
    if let Some(block) = &block {
        show(block);
        good::comes_back(block);
    }
    outcome(block)
}

/// Everything that a page takes from a block.
pub fn show(block: &FeatureBlock) {
    for feature in block.features.iter().take(8) {
        let _numbers = (feature.stats.is_dead(), feature.stats.max_size(), feature.stats.n_positions());
        if let Some(quantiles) = &feature.quantiles {
            let values = quantiles.values();
            let _at = [0.0, 0.5, f64::NAN].map(|act| Quantiles::locate(&values, act));
        }
        for histogram in [&feature.acts_histogram, &feature.logits_histogram].into_iter().flatten() {
            let _axis = (histogram.centre(0), histogram.bin_width(), histogram.ticks());
        }
        if let Some(sequences) = &feature.sequences {
            show_sequences(feature, sequences);
        }
    }
}

fn show_sequences(feature: &Feature, sequences: &Sequences) {
    for (g, group) in sequences.groups.iter().enumerate().take(4) {
        let _share = (feature.share(group), group.kind.name());
        let examples = sequences.group_examples(g);
        assert!(examples.len() == group.n_examples as usize, "a group lacks examples");
    }
    let _bold = (sequences.bold_tokens().count(), sequences.bold_token_ids().count());
    let acts = &sequences.row_acts;
    let ids = sequences.token_ids.get(..8.min(sequences.token_ids.len())).unwrap_or_default();
    for row in acts.rows.iter().take(2).chain([&u32::MAX]) {
        let _whole = (acts.tokens(*row, 0, ids), acts.act_at(0, 0), acts.act_at(u32::MAX, u32::MAX));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = good::of_v3::<FeatureBlock>("features/0000.bin");
    let block: Option<FeatureBlock> = good::read(Schema::Three, &whole);
    let one = block.map(|mut block| {
        block.features.truncate(1);
        good::written(&block)
    });
    [Some(whole), one].into_iter().flatten().collect()
}
