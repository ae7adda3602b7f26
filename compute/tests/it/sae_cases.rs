//! SAE files that were once misread, against numbers computed from their formats' definitions.

use std::path::{Path, PathBuf};

use crate::written::{Item, fixture, max_abs, randn, safetensors, torch_save};
use compute::sae::{ExcludedTokens, Sae, SaeConfig, SaeFormat};
use compute::weights::{Select, Weights};
use serde_json::json;
use tch::{Device, Kind, Tensor};

const TOLERANCE: f64 = 1e-4;

fn case(path: &str) -> PathBuf {
    fixture("sae_cases").join(path)
}

fn read(file: &Path, name: &str) -> Tensor {
    Weights::open(file).unwrap().read(name, Select::All, Kind::Float, Device::Cpu).unwrap()
}

/// Encodes and decodes `x` as `expected` says.
fn matches_with(sae: &str, format: Option<SaeFormat>, expected: &str) -> SaeConfig {
    let (path, expected) = (case(sae), case(expected));
    let loaded = Sae::load(&path, format, Device::Cpu).unwrap();
    let x = read(&expected, "x");
    let acts = loaded.encode(&x).unwrap();
    assert!(max_abs(&acts, &read(&expected, "acts")) <= TOLERANCE, "{sae} acts");
    if Weights::open(&expected).unwrap().has("out") {
        assert!(
            max_abs(&loaded.decode(&acts, &x).unwrap(), &read(&expected, "out")) <= TOLERANCE,
            "{sae} out"
        );
    }
    loaded.config().clone()
}

fn matches(sae: &str, expected: &str) -> SaeConfig {
    matches_with(sae, None, expected)
}

/// One line that says every part.
fn refused(path: &Path, parts: &[&str]) {
    let text = SaeConfig::read(path, None).unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

#[test]
fn a_safetensors_header_may_begin_as_an_old_pickle_does() {
    for length in ["384", "640"] {
        matches(
            &format!("safetensors-header-length/{length}"),
            "safetensors-header-length/expected.safetensors",
        );
    }
    let tokens = Weights::open(&case("safetensors-header-length/tokens.safetensors")).unwrap();
    let name = tokens.names().next().unwrap().to_owned();
    assert_eq!(tokens.shape(&name).unwrap(), [32, 64]);
}

#[test]
fn every_header_length_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let tensor = randn(&[2], 1);
    let mut bytes = Vec::new();
    for pad in 0..1600 {
        if pad == 0 {
            safetensors(&file, &[("x", &tensor)]);
            bytes = std::fs::read(&file).unwrap();
        } else {
            // Spaces after the header are part of it, as writers pad it.
            let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 1;
            bytes[..8].copy_from_slice(&header_len.to_le_bytes());
            bytes.insert(8 + header_len as usize - 1, b' ');
            std::fs::write(&file, &bytes).unwrap();
        }
        assert!(max_abs(&read(&file, "x"), &tensor) == 0.0, "{pad}");
    }
}

#[test]
fn the_scale_beside_a_checkpoint_is_applied() {
    let config = matches("saelens-activation-scaler/sae", "saelens-activation-scaler/expected.safetensors");
    assert_eq!(config.normalize.name(), "constant_scalar_rescale");
}

#[test]
fn a_folded_scale_is_not_applied_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = case("saelens-activation-scaler/sae");
    for file in ["cfg.json", "sae_weights.safetensors"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let write = |text: &str| std::fs::write(folder.path().join("activation_scaler.json"), text).unwrap();
    let normalize = || SaeConfig::read(folder.path(), None).map(|config| config.normalize.name());
    assert_eq!(normalize().unwrap(), "expected_average_only_in");
    write(r#"{"scaling_factor": null}"#);
    assert_eq!(normalize().unwrap(), "none");
    write(r#"{"scaling_factor": "half"}"#);
    refused(folder.path(), &["has \"half\" as \"scaling_factor\", expected a number above 0"]);
    write("[]");
    refused(folder.path(), &["the config is a list, expected an object", "activation_scaler.json"]);
}

#[test]
fn a_bias_may_be_a_row() {
    for which in ["b_dec", "b_enc"] {
        matches(&format!("saelens-bias-as-row/{which}"), "saelens-bias-as-row/expected.safetensors");
    }
}

#[test]
fn chosen_features_of_a_bias_that_is_a_row() {
    let path = case("saelens-bias-as-row/b_enc");
    let some = Sae::load_features(&path, None, Device::Cpu, &[3, 1]).unwrap();
    let expected = case("saelens-bias-as-row/expected.safetensors");
    let acts = read(&expected, "acts").index_select(1, &Tensor::from_slice(&[3i64, 1]));
    assert!(max_abs(&some.encode(&read(&expected, "x")).unwrap(), &acts) <= TOLERANCE);
}

#[test]
fn k_may_be_written_with_a_fraction_of_zero() {
    for which in ["new", "old"] {
        matches(&format!("saelens-k-as-float/{which}"), "saelens-k-as-float/expected.safetensors");
    }
    let folder = tempfile::tempdir().unwrap();
    let from = case("saelens-k-as-float/new");
    std::fs::copy(from.join("sae_weights.safetensors"), folder.path().join("sae_weights.safetensors"))
        .unwrap();
    let text = std::fs::read_to_string(from.join("cfg.json")).unwrap();
    let mut cfg: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (k, said) in [(json!(4.5), "4.5"), (json!("4"), "\"4\""), (json!(-1), "-1"), (json!([4]), "[4]")] {
        cfg["k"] = k;
        std::fs::write(folder.path().join("cfg.json"), cfg.to_string()).unwrap();
        refused(folder.path(), &[&format!("has {said} as \"k\", expected a whole number above 0")]);
    }
}

#[test]
fn decoder_norms_are_applied_as_the_library_applies_them() {
    for class in ["jumprelu", "gated", "autoencoder"] {
        let folder = format!("dictionary-learning-decoder-norm/{class}");
        let config = matches(&folder, &format!("{folder}/expected.safetensors"));
        assert_eq!(config.hook.as_deref(), Some("blocks.0.hook_resid_post"));
        assert_eq!(config.rescale_by_decoder_norm, class == "autoencoder");
    }
}

#[test]
fn matryoshka_is_told_with_and_without_its_config() {
    let expected = "dictionary-learning-matryoshka/expected.safetensors";
    let with = matches("dictionary-learning-matryoshka/with-config", expected);
    assert_eq!(with.hook.as_deref(), Some("blocks.1.hook_resid_post"));
    assert_eq!(matches("dictionary-learning-matryoshka/without-config", expected).hook, None);
}

#[test]
fn topk_or_batchtopk_is_asked_for() {
    let expected = "dictionary-learning-topk-or-batchtopk/expected.safetensors";
    matches("dictionary-learning-topk-or-batchtopk/threshold_-1.0", expected);
    for threshold in ["0.5", "0.0"] {
        let folder = format!("dictionary-learning-topk-or-batchtopk/threshold_{threshold}");
        refused(
            &case(&folder),
            &["both AutoEncoderTopK and BatchTopKSAE", "--sae-format dictionary-learning:"],
        );
        let format = "dictionary-learning:AutoEncoderTopK".parse().unwrap();
        matches_with(&folder, Some(format), expected);
    }
    let text = "dictionary-learning:TopK".parse::<SaeFormat>().unwrap_err().to_string();
    assert!(text.contains("AutoEncoderTopK, BatchTopKSAE"), "{text}");
}

#[test]
fn gemma_scope_transcoders_read_and_write_elsewhere() {
    let path = "gemma-scope-transcoder/gemma-scope-2b-pt-transcoders/layer_1/width_256/average_l0_120";
    let config = SaeConfig::read(&case(path), None).unwrap();
    assert!(config.transcoder && !config.subtract_b_dec);
    assert_eq!(config.hook.as_deref(), Some("blocks.1.ln2.hook_normalized"));
    assert_eq!(config.hook_out.as_deref(), Some("blocks.1.hook_mlp_out"));
}

#[test]
fn gemma_scope_of_the_embedding_reads_the_table() {
    let path = "gemma-scope-embedding/gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6";
    let config = matches(path, "gemma-scope-embedding/expected.safetensors");
    assert_eq!(config.hook.as_deref(), Some("hook_embed"));
}

#[test]
fn weights_without_a_config_are_refused_under_any_name() {
    let named = case("weights-without-config/sae_weights.safetensors");
    let parts = ["no config", "expected the settings", "from where the weights came from", "cfg.json"];
    refused(&named, &parts);
    refused(&case("weights-without-config"), &parts);
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("weights.safetensors");
    std::fs::copy(&named, &other).unwrap();
    refused(&other, &["no config beside the weights", "--sae-format", "weights.safetensors"]);
    std::fs::copy(case("saelens-bias-as-row/b_dec/cfg.json"), folder.path().join("cfg.json")).unwrap();
    assert!(SaeConfig::read(&other, None).is_ok());
}

#[test]
fn a_pointer_in_place_of_the_weights_is_called_so() {
    refused(&case("lfs-pointer"), &["Git LFS pointer", "git lfs pull", "bytes"]);
}

#[test]
fn a_pipe_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("p.pt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&pipe, &["a pipe or device, expected a file"]);
}

#[test]
fn the_file_that_the_format_names_is_taken_among_several() {
    assert!(SaeConfig::read(&case("many-saes-in-one-place/checkpointed"), None).is_ok());
    refused(&case("many-saes-in-one-place/repository"), &["holds 4 SAEs (0.pt, 1.pt, 2.pt", "name one"]);
    refused(&case("many-saes-in-one-place/folders"), &["holds 2 SAEs (blocks.0.hook_resid_pre", "name one"]);
}

#[test]
fn settings_of_another_type_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let from = case("saelens-k-as-float/new");
    std::fs::copy(from.join("sae_weights.safetensors"), folder.path().join("sae_weights.safetensors"))
        .unwrap();
    let cfg = folder.path().join("cfg.json");
    for (text, said) in
        [("[]", "is a list"), ("-1", "is a number"), ("\"topk\"", "is text"), ("null", "is null")]
    {
        std::fs::write(&cfg, text).unwrap();
        refused(folder.path(), &[&format!("the config {said}, expected an object"), "cfg.json"]);
    }
    for (name, value, expected) in [
        ("architecture", json!(5), "text"),
        ("d_in", json!("8"), "a whole number"),
        ("apply_b_dec_to_input", json!("yes"), "true or false"),
        ("hook_name", json!(["blocks.0"]), "text"),
        ("context_size", json!(-1), "a whole number above 0"),
        ("metadata", json!(7), "an object"),
        ("model_from_pretrained_kwargs", json!(1), "an object"),
    ] {
        let mut fields = json!({ "architecture": "topk", "k": 4 });
        fields[name] = value.clone();
        std::fs::write(&cfg, fields.to_string()).unwrap();
        refused(folder.path(), &[&format!("has {value} as \"{name}\", expected {expected}")]);
    }
}

#[test]
fn settings_of_dictionary_learning_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let [enc, dec, bias, b] = [randn(&[6, 4], 1), randn(&[4, 6], 2), randn(&[6], 3), randn(&[4], 4)];
    let items = vec![
        ("encoder.weight", Item::Tensor(&enc)),
        ("encoder.bias", Item::Tensor(&bias)),
        ("decoder.weight", Item::Tensor(&dec)),
        ("bias", Item::Tensor(&b)),
    ];
    torch_save(&folder.path().join("ae.pt"), &Item::Dict(items));
    for (config, said) in [
        (json!([]), "the config is a list, expected an object"),
        (json!({ "trainer": 3 }), "has 3 as \"trainer\", expected an object with \"trainer.dict_class\""),
        (json!({ "trainer": { "dict_class": 3 } }), "has 3 as \"trainer.dict_class\", expected text"),
        (
            json!({ "trainer": { "dict_class": "Temporal" } }),
            "dict_class \"Temporal\", expected one of AutoEncoder",
        ),
    ] {
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        refused(folder.path(), &[said]);
    }
}

#[test]
fn a_scale_is_folded_into_what_a_feature_writes() {
    // A decoder row is in the units of the hook point: one more unit of a feature moves the output by it.
    let sae = Sae::load(&case("saelens-activation-scaler/sae"), None, Device::Cpu).unwrap();
    let x = randn(&[1, 8], 3);
    let acts = sae.encode(&x).unwrap();
    let mut more = acts.copy();
    more += Tensor::eye(16, (Kind::Float, Device::Cpu)).get(5);
    let moved = sae.decode(&more, &x).unwrap() - sae.decode(&acts, &x).unwrap();
    assert!(max_abs(&moved.get(0), &sae.decoder().unwrap().get(5)) <= 1e-5);
}

#[test]
fn gemma_scope_2_is_recognised_as_a_folder_and_as_a_file() {
    let folder = "gemma-scope-2/resid_post/layer_1_width_16k_l0_small";
    for path in [folder.to_owned(), format!("{folder}/params.safetensors")] {
        let config = matches(&path, "gemma-scope-2/expected.safetensors");
        assert_eq!(config.hook.as_deref(), Some("blocks.1.hook_resid_post"));
    }
}

#[test]
fn a_per_layer_transcoder_has_its_encoder_as_rows() {
    let config =
        matches("per-layer-transcoder/sae/layer_0.safetensors", "per-layer-transcoder/expected.safetensors");
    assert_eq!(config.hook.as_deref(), Some("blocks.0.ln2.hook_normalized"));
    assert_eq!(config.hook_out.as_deref(), Some("blocks.0.hook_mlp_out"));
}

/// A SAELens folder with these settings and tensors.
fn sae_lens(cfg: &serde_json::Value, tensors: &[(&str, &Tensor)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cfg.json"), cfg.to_string()).unwrap();
    safetensors(&folder.path().join("sae_weights.safetensors"), tensors);
    folder
}

#[test]
fn checkpoints_of_batchtopk_have_one_threshold() {
    let [w_enc, w_dec, b_enc, b_dec] = [randn(&[6, 9], 1), randn(&[9, 6], 2), randn(&[9], 3), randn(&[6], 4)];
    let threshold = Tensor::from(0.1f32);
    let tensors = [
        ("W_enc", &w_enc),
        ("W_dec", &w_dec),
        ("b_enc", &b_enc),
        ("b_dec", &b_dec),
        ("topk_threshold", &threshold),
    ];
    let x = randn(&[30, 6], 5);
    let z = (&x - &b_dec).matmul(&w_enc) + &b_enc;
    let norms = w_dec.square().sum_dim_intlist(-1, false, Kind::Float).sqrt();
    for (rescaled, z) in [(false, z.shallow_clone()), (true, &z * &norms)] {
        let cfg = json!({ "architecture": "batchtopk", "k": 3, "rescale_acts_by_decoder_norm": rescaled });
        let sae = Sae::load(sae_lens(&cfg, &tensors).path(), None, Device::Cpu).unwrap();
        let acts = z.relu() * z.gt(0.1);
        assert!(
            acts.gt(0.0).any().int64_value(&[]) == 1
                && z.le(0.1).logical_and(&z.gt(0.0)).any().int64_value(&[]) == 1
        );
        assert!(max_abs(&sae.encode(&x).unwrap(), &acts) <= TOLERANCE);
        let f = if rescaled { &acts / &norms } else { acts.shallow_clone() };
        assert!(max_abs(&sae.decode(&acts, &x).unwrap(), &(f.matmul(&w_dec) + &b_dec)) <= TOLERANCE);
    }
}

#[test]
fn what_a_config_states_of_its_training_is_read() {
    let tensors = [
        ("W_enc", &randn(&[2, 3], 1)),
        ("W_dec", &randn(&[3, 2], 2)),
        ("b_enc", &randn(&[3], 3)),
        ("b_dec", &randn(&[2], 4)),
    ];
    let read = |cfg: serde_json::Value| SaeConfig::read(sae_lens(&cfg, &tensors).path(), None);
    let config = read(json!({ "metadata": { "exclude_special_tokens": [0, 7], "seqpos_slice": [1, -1, null],
        "l0": 12.5, "num_dead_features": 3 } }))
    .unwrap();
    assert_eq!(config.excluded_tokens, Some(ExcludedTokens::Ids(vec![0, 7])));
    assert_eq!(config.seqpos_slice, Some([Some(1), Some(-1), None]));
    assert_eq!((config.stated_l0, config.stated_n_dead), (Some(12.5), Some(3)));
    let config = read(json!({ "exclude_special_tokens": true, "seqpos_slice": [null] })).unwrap();
    assert_eq!((config.excluded_tokens, config.seqpos_slice), (Some(ExcludedTokens::Special), None));
    let config = read(json!({ "exclude_special_tokens": false, "seqpos_slice": [9] })).unwrap();
    assert_eq!((config.excluded_tokens, config.seqpos_slice), (None, Some([None, Some(9), None])));
    for (name, value) in [("exclude_special_tokens", json!("yes")), ("seqpos_slice", json!([1, 2, 3, 4]))] {
        let text = read(json!({ name: value })).unwrap_err().to_string();
        assert!(text.contains(&format!("as \"{name}\", expected")), "{text}");
    }
}

#[test]
fn weights_of_eight_bits_are_read_as_the_numbers_that_they_stand_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let header = r#"{"a":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},"b":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[4,6]}}"#;
    let data = [0x38, 0x40, 0xB8, 0x00, 0x3C, 0xC0];
    std::fs::write(&file, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
    let values = |name: &str| Vec::<f32>::try_from(read(&file, name).view(-1)).unwrap();
    assert_eq!((values("a"), values("b")), (vec![1.0, 2.0, -1.0, 0.0], vec![1.0, -2.0]));
    let weights = Weights::open(&file).unwrap();
    let column = weights.read("a", Select::Columns(&[1]), Kind::Float, Device::Cpu).unwrap();
    assert_eq!(Vec::<f32>::try_from(column.view(-1)).unwrap(), [2.0, 0.0]);
    // NaN in eight bits is found as it is in more.
    std::fs::write(&file, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0x7F; 6]].concat())
        .unwrap();
    let weights = Weights::open(&file).unwrap();
    assert!(
        weights.read("a", Select::All, Kind::Float, Device::Cpu).unwrap_err().to_string().contains("NaN")
    );
}
