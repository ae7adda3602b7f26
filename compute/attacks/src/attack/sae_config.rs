//! Tries any text as the config of an SAE, beside weights that fit; the first byte chooses the format.

use std::path::Path;
use std::sync::LazyLock;

use checkpoints::sae::{DictionaryClass, SaeFiles, SaeFormat};

use super::good;
use crate::folder::with_files;
use crate::verdict::{Outcome, judged, outcome};

/// What lies in a folder of a format: the config's name, the weights' name, the format.
const CASES: [(&str, &str, SaeFormat); 11] = [
    ("cfg.json", "sae_weights.safetensors", SaeFormat::SaeLens),
    ("cfg.json", "sae.safetensors", SaeFormat::Sparsify),
    ("config.json", "sae_weights.safetensors", SaeFormat::LlamaScope),
    ("hyperparams.json", "checkpoints/final.safetensors", SaeFormat::LlamaScope),
    ("config.json", "params.safetensors", SaeFormat::GemmaScope),
    ("config.json", "ae.pt", SaeFormat::DictionaryLearning(None)),
    ("25_cfg.json", "25.pt", SaeFormat::SaeVis),
    ("config.yaml", "layer_3.safetensors", SaeFormat::PerLayerTranscoder),
    ("config.yaml", "W_enc_3.safetensors", SaeFormat::CrossLayerTranscoder),
    ("activation_scaler.json", "sae_weights.safetensors", SaeFormat::SaeLens),
    ("config.json", "ae.pt", SaeFormat::DictionaryLearning(Some(DictionaryClass::CrossCoder))),
];

/// Weights that hold what every format looks for: `d_in` is 4, `d_sae` 4.
static WEIGHTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let square = ["W_enc", "W_dec", "encoder.weight", "W_enc_3"];
    let vectors = ["b_enc", "b_dec", "encoder.bias", "decoder.bias", "threshold", "log_jumprelu_threshold"];
    let more = ["b_gate", "b_mag", "r_mag", "b_enc_3", "b_dec_3", "latent_bias", "pre_bias", "topk_threshold"];
    let mut tensors: Vec<(&str, &[usize])> = square.iter().map(|name| (*name, &[4, 4][..])).collect();
    tensors.extend(vectors.iter().chain(&more).map(|name| (*name, &[4][..])));
    tensors.extend([("W_dec_3", &[4, 2, 4][..]), ("decoder.weight", &[4, 4])]);
    good::safetensors(&tensors)
});

pub fn attack(bytes: &[u8]) -> Outcome {
    let (case, config) = bytes.split_first().map_or((0, bytes), |(case, rest)| (usize::from(*case), rest));
    let (config_name, weights_name, format) = CASES[case % CASES.len()];
    let good = br#"{"architecture":"standard","normalize_activations":"expected_average_only_in"}"#;
    let mut files = vec![(config_name, config), (weights_name, WEIGHTS.as_slice())];
    match config_name {
        "activation_scaler.json" => files.push(("cfg.json", good)),
        "config.yaml" => files.push(("W_dec_3.safetensors", &WEIGHTS)),
        _ => {}
    }
    let folder = weights_name.split_once('/').map_or("sae", |_| "sae/checkpoints");
    if folder == "sae" {
        return with_files("sae", &files, |folder| open(&folder.join(weights_name), format));
    }
    // The weights lie one folder deeper than the config.
    with_files("scope/checkpoints", &[("final.safetensors", &WEIGHTS)], |_| {
        with_files("scope", &[(config_name, config)], |folder| open(folder, format))
    })
}

fn open(path: &Path, format: SaeFormat) -> Outcome {
    let _recognised = judged(SaeFiles::open(path, None));
    outcome(judged(SaeFiles::open(path, Some(format))).map(|files| use_all(&files)))
}

/// Asks for what a program asks of an opened SAE.
pub fn use_all(files: &SaeFiles) {
    let config = &files.config;
    assert!(config.d_in >= 0 && config.d_sae >= 0 && config.d_out >= 0, "a width is below 0: {config:?}");
    let _text = (config.description(), config.is_signed(), config.architecture.needs_all_features());
    let _json = serde_json::to_string(config);
}

pub fn seeds() -> Vec<Vec<u8>> {
    let fixtures = "compute/tests/fixtures";
    let case = |case: u8, path: &str| [&[case], good::fixture(&format!("{fixtures}/{path}")).as_slice()].concat();
    let text = |case: u8, text: &str| [&[case], text.as_bytes()].concat();
    let clt = "hub_saes/cross_layer_transcoder_layer/hub/mntss/clt-llama-3.2-1b-524k/config.yaml";
    vec![
        text(0, r#"{"architecture":"jumprelu","d_in":4,"d_sae":4,"metadata":{"hook_name":"blocks.2.hook_resid_pre","prepend_bos":true,"seqpos_slice":[null,3]},"exclude_special_tokens":[1,2]}"#),
        text(0, r#"{"architecture":"matching_pursuit","max_iterations":3,"residual_threshold":0.1,"apply_b_dec_to_input":false,"normalize_activations":"layer_norm"}"#),
        text(0, r#"{"architecture":"topk","activation_fn_kwargs":{"k":2.0},"model_from_pretrained_kwargs":{"center_writing_weights":true}}"#),
        text(0, r#"{"architecture":"gated","rescale_acts_by_decoder_norm":false}"#),
        text(0, r#"{"architecture":"batchtopk","rescale_acts_by_decoder_norm":true}"#),
        text(1, r#"{"k":2,"num_latents":0,"d_in":4,"signed":false,"transcode":true,"skip_connection":false}"#),
        text(2, r#"{"act_fn":"jumprelu","d_model":4,"hook_point_in":"blocks.1.hook_resid_post","hook_point_out":"x"}"#),
        text(3, r#"{"dataset_average_activation_norm":{"in":3.0,"out":2.5},"jump_relu_threshold":0.5,"d_model":4,"d_sae":4,"hook_point_in":"a","hook_point_out":"b"}"#),
        text(4, r#"{"architecture":"jump_relu","model_name":"m","l0":12.5,"hf_hook_point_in":"model.layers.3.output","hf_hook_point_out":"model.layers.3.input","type":"transcoder"}"#),
        text(5, r#"{"trainer":{"dict_class":"JumpReluAutoEncoder","activation_dim":4,"dict_size":4,"lm_name":"m","submodule_name":"resid_post_layer_3"},"buffer":{"ctx_len":128}}"#),
        text(6, r#"{"act_name":"blocks.0.mlp.hook_post","model_name":"gelu-1l","seq_len":128}"#),
        case(7, clt),
        case(8, clt),
        text(9, r#"{"scaling_factor":2.5}"#),
    ]
}
