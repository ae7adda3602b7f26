//! Tries any bytes as the weights of an SAE, beside good configs; the first byte chooses the format.

use checkpoints::sae::{DictionaryClass, SaeFiles, SaeFormat};

use super::{good, sae_config};
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

/// The weights' name and the format that they are opened as; `None` is for recognising it.
fn cases() -> Vec<(&'static str, Option<SaeFormat>)> {
    let mut cases = vec![
        ("sae_weights.safetensors", Some(SaeFormat::SaeLens)),
        ("sae.safetensors", Some(SaeFormat::Sparsify)),
        ("params.npz", Some(SaeFormat::GemmaScope)),
        ("ae.pt", None),
        ("ae.pt", Some(SaeFormat::SaeVis)),
        ("ae.pt", Some(SaeFormat::Gpt2SmallSaes)),
        ("ae.pt", Some(SaeFormat::OpenAi)),
        ("ae.pt", Some(SaeFormat::Linear)),
        ("SAE-Res-X-W4-L0_2.sae.pt", Some(SaeFormat::QwenScope)),
        ("layer_3.safetensors", Some(SaeFormat::PerLayerTranscoder)),
        ("W_enc_3.safetensors", Some(SaeFormat::CrossLayerTranscoder)),
    ];
    cases.extend(DictionaryClass::ALL.map(|class| ("ae.pt", Some(SaeFormat::DictionaryLearning(Some(class))))));
    cases
}

pub fn attack(bytes: &[u8]) -> Outcome {
    let (case, weights) = bytes.split_first().map_or((0, bytes), |(case, rest)| (usize::from(*case), rest));
    let cases = cases();
    let (name, format) = cases[case % cases.len()];
    let cfg = br#"{"architecture":"jumprelu","k":2}"#;
    let decoder = good::safetensors(&[("W_dec_3", &[4, 2, 4])]);
    let mut files: Vec<(&str, &[u8])> = vec![(name, weights)];
    match format {
        Some(SaeFormat::SaeLens | SaeFormat::Sparsify) => files.push(("cfg.json", cfg)),
        Some(SaeFormat::CrossLayerTranscoder) => files.push(("W_dec_3.safetensors", &decoder)),
        _ => {}
    }
    with_files("weights", &files, |folder| {
        outcome(judged(SaeFiles::open(&folder.join(name), format)).map(|files| sae_config::use_all(&files)))
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let fixtures = "compute/tests/fixtures/sae_cases";
    let case = |case: u8, path: &str| [&[case], good::fixture(&format!("{fixtures}/{path}")).as_slice()].concat();
    let made = |case: u8, tensors: &[(&str, &[usize])]| [&[case], good::safetensors(tensors).as_slice()].concat();
    let square: &[usize] = &[4, 4];
    vec![
        made(0, &[("W_enc", square), ("b_enc", &[4]), ("W_dec", square), ("b_dec", &[1, 4]), ("threshold", &[4])]),
        made(1, &[("encoder.weight", square), ("encoder.bias", &[4]), ("W_dec", square), ("b_dec", &[4])]),
        made(2, &[("W_enc", square), ("b_enc", &[4]), ("W_dec", square), ("b_dec", &[4]), ("threshold", &[1])]),
        made(6, &[("encoder.weight", square), ("latent_bias", &[4]), ("decoder.weight", square), ("pre_bias", &[4])]),
        made(9, &[("W_enc", square), ("b_enc", &[4]), ("W_dec", square), ("b_dec", &[4])]),
        made(10, &[("W_enc_3", square), ("b_enc_3", &[4]), ("b_dec_3", &[4])]),
        made(18, &[("encoder.weight", &[2, 2, 4]), ("encoder.bias", &[4]), ("decoder.weight", &[2, 4, 2]), ("decoder.bias", &[2, 2])]),
        case(3, "dictionary-learning-matryoshka/with-config/ae.pt"),
        case(13, "dictionary-learning-decoder-norm/gated/ae.pt"),
        case(17, "dictionary-learning-decoder-norm/jumprelu/ae.pt"),
        case(11, "dictionary-learning-decoder-norm/autoencoder/ae.pt"),
    ]
}
