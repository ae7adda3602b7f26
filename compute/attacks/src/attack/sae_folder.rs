//! Tries any set of files as an SAE's folder: each is a byte that chooses its name, two of length, and its bytes.

use checkpoints::sae::{SaeFiles, SaeFormat};

use super::{good, sae_config};
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

const NAMES: [&str; 14] = [
    "cfg.json",
    "config.json",
    "sae_weights.safetensors",
    "sae.safetensors",
    "params.npz",
    "params.safetensors",
    "hyperparams.json",
    "ae.pt",
    "config.yaml",
    "conf.yaml",
    "latest_ckpt.safetensors",
    "SAE-l3.pth",
    "layer_3.safetensors",
    "activation_scaler.json",
];

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, mut rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    while let [name, low, high, more @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let name = NAMES[usize::from(*name) % NAMES.len()];
        if files.iter().all(|(other, _)| *other != name) {
            files.push((name, &more[..len]));
        }
        rest = &more[len..];
    }
    // Every second choice leaves the format to be recognised.
    let format = (first % 2 == 1).then(|| SaeFormat::ALL[first / 2 % SaeFormat::ALL.len()]);
    with_files("folder", &files, |folder| {
        outcome(judged(SaeFiles::open(folder, format)).map(|files| sae_config::use_all(&files)))
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let fixtures = "compute/tests/fixtures/sae_cases";
    let file = |name: u8, bytes: &[u8]| [&[name], &(bytes.len() as u16).to_le_bytes()[..], bytes].concat();
    let of = |path: &str| good::fixture(&format!("{fixtures}/{path}"));
    let old = "saelens-k-as-float/old";
    let sae_lens = [
        vec![0],
        file(0, &of(&format!("{old}/cfg.json"))),
        file(2, &of(&format!("{old}/sae_weights.safetensors"))),
    ];
    let gated = [vec![0], file(7, &of("dictionary-learning-decoder-norm/gated/ae.pt"))];
    let gemma = good::safetensors(&[
        ("w_enc", &[4, 4]),
        ("b_enc", &[4]),
        ("w_dec", &[4, 4]),
        ("b_dec", &[4]),
        ("threshold", &[4]),
    ]);
    let gemma = [vec![7], file(5, &gemma), file(1, br#"{"architecture":"jump_relu","l0":5}"#)];
    vec![sae_lens.concat(), gated.concat(), gemma.concat()]
}
