//! Tries any bytes as a file of weights: safetensors, torch's ZIP of a pickle, `.npz`, `.npy`, told by their first bytes.

use std::path::Path;

use checkpoints::{InputFile, Weights};

use super::good;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let file = InputFile::from_memory(Path::new("weights"), bytes.to_vec());
    outcome(judged(Weights::from_file(&file)).map(use_all))
}

/// Reads what the file is said to hold, by each way that a format of SAEs reads it.
pub fn use_all(mut weights: Weights) {
    let names: Vec<String> = weights.names().take(16).map(str::to_owned).collect();
    for name in &names {
        let _rows = judged(weights.matrix(name));
        let _axes = judged(weights.cube(name));
        let _fits = judged(weights.expect(name, "[d_in, d_sae]", &[4, 8]));
        let values = judged(weights.values(name));
        let Some(entry) = judged(weights.entry(name)) else { continue };
        assert!(values.is_none_or(|values| values.len() == entry.n_elements()), "{name} has other values");
        let _bytes = judged(entry.storage());
        if entry.is_stored() && entry.n_elements() > 0 {
            let mut last = vec![0; entry.dtype().n_bytes()];
            let _last = judged(entry.fill(entry.n_elements() - 1, &mut last));
            let _value = (entry.dtype().value(&last), entry.dtype().is_finite(&last));
        }
        weights.drop_leading_ones(name);
        weights.merge_leading_axes(name);
        let _bytes = judged(weights.values(name));
    }
    let _missing = judged(weights.entry("no such tensor"));
    let _below = weights.below("state_dict.");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let folder = "compute/tests/fixtures/sae_cases";
    let members: [(&str, &[u8]); 2] = [("archive/data.pkl", &good::pickle()), ("archive/data/0", &[0; 16])];
    vec![
        good::safetensors(&[("W_enc", &[2, 3]), ("b", &[3])]),
        good::zip(&members, false),
        good::zip(&members, true),
        good::npy(),
        good::zip(&[("W_enc.npy", &good::npy()), ("b.npy", &good::npy())], false),
        good::zip(&[("W_enc.npy", &good::npy())], true),
        good::fixture(&format!("{folder}/dictionary-learning-matryoshka/with-config/ae.pt")),
        good::fixture(&format!("{folder}/dictionary-learning-decoder-norm/gated/ae.pt")),
        good::fixture(&format!("{folder}/saelens-k-as-float/new/sae_weights.safetensors")),
        good::fixture(&format!("{folder}/gemma-scope-transcoder/ids.npy")),
    ]
}
