//! What `config.json` may say: rotary settings in every form, older and newer names, settings of another type.
//! Each config stands beside a fixture's weights, so the fixture's numbers are still the oracle.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use compute::model::{Ffn, Model, ModelConfig, RopeScaling};
use compute::weights::{Select, Weights};
use serde_json::{Value, json};
use tch::{Device, Kind};

use crate::written::{fixture, max_abs};

fn config(family: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture("models").join(family).join("config.json")).unwrap()).unwrap()
}

/// A folder with this config and a fixture's weights.
fn folder(family: &str, config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let weights = fixture("models").join(family).join("model.safetensors");
    fs::copy(weights, folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// Largest error of the logits against the fixture's.
fn error(family: &str, config: &Value) -> f64 {
    let folder = folder(family, config);
    let model = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
    let expected = Weights::open(&fixture("models").join(family).join("expected.safetensors")).unwrap();
    let read = |name, kind| expected.read(name, Select::All, kind, Device::Cpu).unwrap();
    let resid = model.forward(&read("tokens", Kind::Int64), &mut ()).unwrap();
    max_abs(&model.head().logits(&resid).unwrap(), &read("logits", Kind::Float))
}

fn refusal(family: &str, config: &Value) -> String {
    let folder = folder(family, config);
    ModelConfig::read(folder.path()).unwrap_err().to_string()
}

/// Replaces these fields; null removes one.
fn with(mut config: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn rotary_settings_are_read_in_every_form() {
    let old = config("llama3_rope");
    let scaling = old["rope_scaling"].clone();
    let theta = old["rope_theta"].clone();
    let mut both = scaling.clone();
    both["rope_theta"] = theta.clone();
    let mut older = scaling.clone();
    older["type"] = older["rope_type"].take();
    let none = json!({ "rope_theta": null, "rope_scaling": null });
    for (form, fields) in [
        ("null beside rope_scaling", json!({ "rope_parameters": null })),
        ("empty beside rope_scaling", json!({ "rope_parameters": {} })),
        ("the base beside rope_scaling", json!({ "rope_parameters": { "rope_theta": theta } })),
        ("the type's older name", json!({ "rope_scaling": older })),
        ("all in one", with(none.clone(), &json!({ "rope_parameters": both }))),
        ("per layer type", with(none.clone(), &json!({ "rope_parameters": { "full_attention": both } }))),
        (
            "per layer type, the base outside",
            json!({ "rope_scaling": null, "rope_parameters": { "full_attention": scaling } }),
        ),
    ] {
        let error = error("llama3_rope", &with(old.clone(), &fields));
        assert!(error <= 1e-4, "{form}: {error}");
    }
}

#[test]
fn rotary_settings_that_are_not_understood_are_refused() {
    let old = config("llama3_rope");
    for (fields, says) in [
        (json!({ "rope_parameters": { "rope_theta": 10_000.0 } }), "10000 and 500000 as \"rope_theta\""),
        (
            json!({ "rope_parameters": { "sliding_attention": {} } }),
            "none for its layers of type full_attention",
        ),
        (json!({ "rope_parameters": { "sliding_attention": {}, "factor": 2.0 } }), "mixes"),
        (json!({ "rope_scaling": { "rope_type": "dynamic", "factor": 2.0 } }), "rope_type \"dynamic\""),
        (json!({ "rope_scaling": { "rope_type": "linear" } }), "without \"factor\""),
        (
            json!({ "rope_scaling": { "rope_type": "linear", "factor": "8" } }),
            "\"8\" as \"rope_scaling.factor\"",
        ),
        (json!({ "rope_scaling": { "mrope_section": [1, 2, 3] } }), "rope_scaling.mrope_section [1,2,3]"),
        (json!({ "rope_scaling": 8.0 }), "8.0 as \"rope_scaling\", expected an object"),
        (json!({ "rope_theta": [1] }), "[1] as \"rope_theta\", expected a number"),
        (json!({ "rope_theta": 0 }), "more than 0"),
        (json!({ "partial_rotary_factor": 1.5 }), "rotates 12 of 8"),
    ] {
        let text = refusal("llama3_rope", &with(old.clone(), &fields));
        assert!(text.contains(says), "{fields}: {text}");
    }
}

#[test]
fn gemma_3_is_read_as_older_and_newer_transformers_write_it() {
    let new = config("gemma3");
    let older = json!({ "rope_parameters": null, "rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0,
        "rope_scaling": { "rope_type": "linear", "factor": 8.0 }, "layer_types": null,
        "sliding_window_pattern": 3, "_sliding_window_pattern": null, "torch_dtype": "float32", "dtype": null });
    assert!(error("gemma3", &with(new.clone(), &older)) <= 1e-4);
    // The bases are Gemma 3's own where none is named.
    let silent = with(older.clone(), &json!({ "rope_theta": null, "rope_local_base_freq": null }));
    assert!(error("gemma3", &with(new.clone(), &silent)) <= 1e-4);
    let other = with(older, &json!({ "rope_local_base_freq": 100.0 }));
    assert!(error("gemma3", &with(new.clone(), &other)) > 1e-3);
    let text = refusal("gemma3", &with(new.clone(), &json!({ "use_bidirectional_attention": true })));
    assert!(text.contains("use_bidirectional_attention true, expected false"), "{text}");
    let text = refusal("gemma3", &with(new, &json!({ "layer_types": ["full_attention"] })));
    assert!(text.contains("1 \"layer_types\" for 4 layers"), "{text}");
}

/// A multimodal checkpoint's text_config leaves out what is Gemma 3's default.
#[test]
fn a_text_config_may_leave_out_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({ "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
        "num_hidden_layers": 34, "rope_scaling": { "factor": 8.0, "rope_type": "linear" }, "sliding_window": 1024 });
    let config = json!({ "model_type": "gemma3", "eos_token_id": [1, 106], "text_config": text });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let read = ModelConfig::read(folder.path()).unwrap();
    assert_eq!((read.n_heads, read.n_kv_heads, read.d_head, read.d_vocab), (8, 4, 256, 262_208));
    assert_eq!((read.bos_token_id, read.eos_token_id, read.tied), (Some(2), Some(1), true));
    let windows: Vec<_> = read.layers.iter().map(|layer| layer.attention.window).collect();
    assert_eq!((windows[4], windows[5], windows[6]), (Some(1024), None, Some(1024)));
    let rope = |n: usize| read.layers[n].attention.rope.clone().unwrap();
    assert_eq!((rope(5).scaling, rope(4).scaling), (RopeScaling::Linear(8.0), RopeScaling::None));
    assert!((rope(5).theta - 1e6).abs() < 1.0 && (rope(4).theta - 1e4).abs() < 1.0);
}

#[test]
fn settings_that_change_numbers_and_are_not_read_are_refused() {
    for (family, fields, says) in [
        ("phi", json!({ "qk_layernorm": true }), "qk_layernorm true, expected false"),
        ("opt", json!({ "do_layer_norm_before": false }), "do_layer_norm_before false, expected true"),
        ("opt", json!({ "word_embed_proj_dim": 16 }), "word_embed_proj_dim 16, expected 32"),
        ("gpt_oss", json!({ "hidden_act": "gelu" }), "hidden_act \"gelu\""),
        (
            "llama",
            json!({ "layer_types": ["full_attention", "linear_attention", "full_attention"] }),
            "layer_types",
        ),
        ("llama", json!({ "quantization_config": { "quant_method": "gptq" } }), "quant_method \"gptq\""),
        ("gpt_oss", json!({ "quantization_config": { "quant_method": "fp8" } }), "quant_method \"fp8\""),
        (
            "qwen2",
            json!({ "layer_types": ["sliding_attention", "full_attention", "full_attention"] }),
            "sliding_window",
        ),
        ("qwen3_moe", json!({ "num_experts_per_tok": 7 }), "7 of 6 experts"),
        ("gptj", json!({ "rotary_dim": 3 }), "an even number up to 8"),
        ("gpt_neo", json!({ "attention_layers": ["global", "weird", "global", "local"] }), "\"weird\""),
        ("gpt2", json!({ "n_head": 5 }), "5 heads for a width of 32"),
    ] {
        let text = refusal(family, &with(config(family), &fields));
        assert!(text.contains(says), "{family}: {text}");
    }
}

#[test]
fn gpt_neos_kinds_of_attention_may_be_folded() {
    let mut folded = config("gpt_neo");
    folded.as_object_mut().unwrap().remove("attention_layers");
    assert!(error("gpt_neo", &folded) <= 1e-4);
    folded["attention_types"] = json!([[["global"], 4]]);
    assert!(error("gpt_neo", &folded) > 1e-3);
}

/// TransformerLens writes -1 where a setting follows from others.
#[test]
fn transformer_lens_leaves_settings_to_follow_from_others() {
    let read = |fields: &Value| {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({ "n_layers": 2, "d_model": 32, "n_heads": -1, "d_head": 8, "d_mlp": null, "d_vocab": 97,
            "n_ctx": 64, "act_fn": "gelu", "d_vocab_out": -1, "attn_scale": -1.0, "tokenizer_name": "owner/name" });
        fs::write(folder.path().join("config.json"), with(config, fields).to_string()).unwrap();
        ModelConfig::read(folder.path()).map_err(|error| error.to_string())
    };
    let config = read(&json!({})).unwrap();
    assert!(matches!(config.layers[1].ffn, Ffn::Mlp(mlp) if mlp.d_mlp == 128));
    assert_eq!((config.n_heads, config.tokenizer_name.as_deref()), (4, Some("owner/name")));
    assert!((config.layers[0].attention.scale - 8f64.powf(-0.5)).abs() < 1e-12);
    let scaled = read(&json!({ "attn_scale": 2.0, "scale_attn_by_inverse_layer_idx": true })).unwrap();
    assert!((scaled.layers[1].attention.scale - 0.25).abs() < 1e-12);
    for setting in ["gated_mlp", "use_local_attn", "shortformer_pos"] {
        let text = read(&json!({ setting: true })).unwrap_err();
        assert!(text.contains(&format!("{setting} true, expected false")), "{text}");
    }
    assert!(read(&json!({ "positional_embedding_type": "rotary" })).unwrap_err().contains("\"rotary\""));
}

#[test]
fn quantization_that_the_family_is_published_in_is_read() {
    let mxfp4 = json!({ "quantization_config": { "quant_method": "mxfp4", "modules_to_not_convert": [] } });
    let folder = folder("gpt_oss", &with(config("gpt_oss"), &mxfp4));
    let read = ModelConfig::read(folder.path()).unwrap();
    assert!(matches!(read.layers[0].ffn, Ffn::Moe(moe) if moe.n_experts == 4));
}

#[test]
fn a_config_that_is_no_object_is_refused() {
    for (text, says) in
        [("[]", "config is [], expected a JSON object"), ("7", "config is 7"), ("{", "not JSON")]
    {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), text).unwrap();
        let error = ModelConfig::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// All fields of the fixtures' configs that change no number that is computed here.
const WITHOUT_EFFECT: [&str; 32] = [
    "architectures",
    "attention_dropout",
    "attention_types", // attention_layers says it too
    "attn_pdrop",
    "cache_implementation",
    "classifier_dropout",
    "dropout",
    "dtype",
    "embd_pdrop",
    "embed_dropout",
    "hidden_act", // Gemma's first configs say the wrong one
    "hidden_dropout",
    "init_std",
    "initializer_range",
    "layerdrop",
    "max_window_layers",                // without a window
    "original_max_position_embeddings", // without LongRoPE
    "output_router_logits",
    "pad_token_id",
    "pretraining_tp",
    "reorder_and_upcast_attn",
    "resid_dropout",
    "resid_pdrop",
    "router_aux_loss_coef",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

#[test]
fn a_field_of_another_type_is_named() {
    let (mut checked, mut without_effect) = (0, BTreeSet::new());
    for family in fs::read_dir(fixture("models")).unwrap() {
        let family = family.unwrap().file_name().to_string_lossy().into_owned();
        let whole = config(&family);
        let nested = whole.get("text_config").cloned();
        let inside = if nested.is_some() { "text_config." } else { "" };
        let fields = nested.unwrap_or(whole.clone());
        for (name, value) in fields.as_object().unwrap() {
            let wrong = if value.is_object() { json!(7) } else { json!({ "a": { "b": 1 } }) };
            let mut odd = whole.clone();
            if inside.is_empty() {
                odd[name] = wrong;
            } else {
                odd["text_config"][name] = wrong;
            }
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("config.json"), odd.to_string()).unwrap();
            checked += 1;
            match ModelConfig::read(folder.path()) {
                Ok(_) => drop(without_effect.insert(name.clone())),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(name.as_str()), "{family} {name}: {error}");
                }
            }
        }
    }
    assert_eq!(without_effect.into_iter().collect::<Vec<_>>(), WITHOUT_EFFECT);
    assert!(checked > 400, "only {checked} fields");
}

#[test]
fn folders_that_are_none_are_called_so() {
    let read = |path: &Path| ModelConfig::read(path).unwrap_err().to_string();
    let text = read(&fixture("models/llama/model.safetensors"));
    assert!(text.contains("this is a file, expected a folder with config.json and weights"), "{text}");
    let text = read(&fixture("saes/standard"));
    assert!(text.contains("this looks like an SAE; are --model and --sae swapped?"), "{text}");
}
