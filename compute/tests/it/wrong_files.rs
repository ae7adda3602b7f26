//! Files that are wrong: each gives one clear line, and none a panic.

use std::fs;
use std::path::Path;

use crate::written::{Item, fixture, npy, randn, safetensors, torch_save, zip, zip_of, zip64};
use compute::model::{Model, ModelConfig};
use compute::sae::{Sae, SaeConfig, SaeFormat};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// The error's text: one line, not empty.
fn line<T>(result: Result<T, impl std::fmt::Display>) -> String {
    let Err(error) = result else { panic!("a wrong file was read") };
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains('\n') && text.len() < 600, "{text}");
    text
}

fn load(path: &Path) -> String {
    line(Sae::load(path, None, Device::Cpu))
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

/// A SAELens folder; `change` edits the config and the tensors.
fn sae_lens(change: impl Fn(&mut Value, &mut Vec<(&str, Tensor)>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut cfg =
        json!({ "architecture": "standard", "d_in": 8, "d_sae": 20, "hook_name": "blocks.0.hook_resid_pre" });
    let mut tensors = vec![
        ("W_enc", randn(&[8, 20], 1)),
        ("W_dec", randn(&[20, 8], 2)),
        ("b_enc", randn(&[20], 3)),
        ("b_dec", randn(&[8], 4)),
    ];
    change(&mut cfg, &mut tensors);
    fs::write(folder.path().join("cfg.json"), cfg.to_string()).unwrap();
    let tensors: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    safetensors(&folder.path().join("sae_weights.safetensors"), &tensors);
    folder
}

#[test]
fn the_right_folder_is_read() {
    let folder = sae_lens(|_, _| {});
    assert!(Sae::load(folder.path(), None, Device::Cpu).is_ok());
}

#[test]
fn a_transposed_matrix_is_named_with_both_shapes() {
    let folder = sae_lens(|_, tensors| tensors[0].1 = randn(&[20, 8], 1));
    let says = [
        "could not load the SAE",
        "\"W_enc\" has shape [20, 8]",
        "[d_in, d_sae] = [8, 20]",
        "is it transposed?",
    ];
    assert_says(&load(folder.path()), &says);
}

#[test]
fn a_missing_tensor_is_named_with_those_that_exist() {
    let folder = sae_lens(|_, tensors| drop(tensors.remove(2)));
    assert_says(&load(folder.path()), &["no tensor \"b_enc\"", "\"W_dec\"", "sae_weights.safetensors"]);
}

#[test]
fn a_wrong_width_is_refused() {
    let folder = sae_lens(|cfg, _| cfg["d_in"] = json!(9));
    assert_says(&load(folder.path()), &["has shape [8, 20], expected [d_in, d_sae] = [9, 20]"]);
    let folder = sae_lens(|_, tensors| tensors[3].1 = randn(&[7], 1));
    assert_says(&load(folder.path()), &["\"b_dec\" has shape [7], expected [d_out] = [8]"]);
}

#[test]
fn nan_and_infinite_weights_are_refused() {
    for value in [f64::NAN, f64::INFINITY] {
        let folder = sae_lens(|_, tensors| drop(tensors[1].1.get(3).fill_(value)));
        assert_says(&load(folder.path()), &["\"W_dec\" holds NaN or infinite values"]);
    }
}

#[test]
fn unknown_settings_are_refused_with_the_known_ones() {
    let folder = sae_lens(|cfg, _| cfg["architecture"] = json!("spline"));
    assert_says(&load(folder.path()), &["architecture \"spline\"", "jumprelu", "cfg.json"]);
    let folder = sae_lens(|cfg, _| cfg["architecture"] = json!("temporal"));
    assert_says(&load(folder.path()), &["a temporal SAE", "earlier tokens", "cfg.json"]);
    let folder = sae_lens(|cfg, _| cfg["normalize_activations"] = json!("sideways"));
    assert_says(&load(folder.path()), &["normalize_activations \"sideways\"", "layer_norm"]);
    let folder = sae_lens(|cfg, _| cfg["activation_fn_str"] = json!("tanh-relu"));
    assert_says(&load(folder.path()), &["activation_fn \"tanh-relu\"", "relu, topk"]);
    let folder = sae_lens(|cfg, _| cfg["hook_head_index"] = json!(3));
    assert_says(&load(folder.path()), &["hook_head_index \"3\""]);
    let folder = sae_lens(|cfg, _| cfg["activation_fn_str"] = json!("topk"));
    assert_says(&load(folder.path()), &["a topk SAE without k"]);
    let folder = sae_lens(|_, tensors| {
        tensors.push(("scaling_factor", Tensor::ones([20], (Kind::Float, Device::Cpu)) * 2.0));
    });
    assert_says(&load(folder.path()), &["\"scaling_factor\"", "not all ones"]);
}

#[test]
fn a_feature_beyond_the_dictionary_is_refused() {
    let folder = sae_lens(|_, _| {});
    let error = line(Sae::load_features(folder.path(), None, Device::Cpu, &[3, 20]));
    assert_eq!(error, "no feature 20: the SAE has 0 to 19");
}

#[test]
fn a_path_without_an_sae_says_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&load(folder.path()), &["no known format", "an empty folder", "--sae-format"]);
    fs::write(folder.path().join("notes.txt"), "x").unwrap();
    assert_says(&load(folder.path()), &["notes.txt"]);
    let error = line("sealens".parse::<SaeFormat>());
    assert_says(&error, &["no SAE format \"sealens\"", "sae-lens", "llama-scope"]);
    let other = folder.path().join("other.pt");
    torch_save(&other, &Item::Dict(vec![("fc.weight", Item::Tensor(&randn(&[2, 2], 1)))]));
    assert_says(&load(&other), &["no known format", "fc.weight"]);
}

/// Every prefix of a file, and the file with each of its bytes changed, is an error or an SAE.
fn every_prefix(bytes: &[u8], file: &Path, path: &Path) {
    let step = (bytes.len() / 400).max(1);
    let ends = (0..bytes.len().min(300)).chain((300..bytes.len()).step_by(step));
    for end in ends {
        fs::write(file, &bytes[..end]).unwrap();
        line(Sae::load(path, None, Device::Cpu));
    }
    let mut changed = bytes.to_vec();
    for at in (0..bytes.len()).step_by((bytes.len() / 1500).max(1)) {
        changed[at] ^= 0xA5;
        fs::write(file, &changed).unwrap();
        if let Err(error) = Sae::load(path, None, Device::Cpu) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        changed[at] = bytes[at];
    }
}

#[test]
fn safetensors_cut_short_or_changed_anywhere() {
    let folder = sae_lens(|_, _| {});
    let file = folder.path().join("sae_weights.safetensors");
    let bytes = fs::read(&file).unwrap();
    every_prefix(&bytes, &file, folder.path());
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_says(&load(folder.path()), &["truncated", "expected", "got"]);
}

#[test]
fn torch_files_cut_short_or_changed_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("25.pt");
    let tensors = [randn(&[3, 5], 1), randn(&[5, 3], 2), randn(&[5], 3), randn(&[3], 4)];
    let names = ["W_enc", "W_dec", "b_enc", "b_dec"];
    torch_save(&file, &Item::Dict(names.into_iter().zip(tensors.iter().map(Item::Tensor)).collect()));
    every_prefix(&fs::read(&file).unwrap(), &file, &file);
    let real = fs::read(fixture(
        "saes/gpt2_small_saes_pt/final_sparse_autoencoder_tiny_blocks.2.hook_resid_pre_64.pt",
    ));
    every_prefix(&real.unwrap(), &file, &file);
}

#[test]
fn npz_cut_short_or_changed_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("params.npz");
    every_prefix(&fs::read(fixture("saes/gemma_scope/params.npz")).unwrap(), &file, &file);
}

fn pickled(pickle: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evil.pt");
    fs::write(&file, zip(&[("archive/data.pkl".to_owned(), pickle.to_vec())])).unwrap();
    load(&file)
}

#[test]
fn a_call_in_a_pickle_is_never_made() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("ran");
    for call in ["cposix\nsystem\n", "cos\nsystem\n", "cbuiltins\nexec\n", "csubprocess\nPopen\n"] {
        let command = format!("touch {}", proof.display());
        let length = (command.len() as u32).to_le_bytes();
        let pickle = [b"\x80\x02", call.as_bytes(), b"(X", &length, command.as_bytes(), b"tR."].concat();
        assert_says(&pickled(&pickle), &["no known format: no tensors", "evil.pt"]);
    }
    let stacked = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.";
    assert_says(&pickled(stacked), &["no known format: no tensors"]);
    assert!(!proof.exists());
}

#[test]
fn pickles_that_would_exhaust_memory_or_the_stack_are_refused() {
    // A tuple in a tuple in a tuple, a million deep.
    let mut deep = b"\x80\x02)".to_vec();
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    pickled(&deep);
    // A dict of a dict of a dict.
    let mut nested = b"\x80\x02".to_vec();
    nested.extend(b"}X\x01\0\0\0a".repeat(100_000));
    nested.extend(b"N");
    nested.extend(b"s".repeat(100_000));
    nested.push(b'.');
    assert_says(&pickled(&nested), &["nests deeper"]);
    // Each dict holds the one before ten times.
    let mut laughs = b"\x80\x02}q\x00".to_vec();
    for level in 0..11u8 {
        laughs.extend(b"}(");
        for key in 0..10u8 {
            laughs.extend([b'X', 1, 0, 0, 0, b'a' + key, b'h', level]);
        }
        laughs.extend([b'u', b'q', level + 1]);
    }
    laughs.push(b'.');
    pickled(&laughs);
    pickled(b"\x80\x02X\xff\xff\xff\xff.");
    pickled(b"\x80\x02r\xff\xff\xff\xff.");
    pickled(b"\x80\x02\x8b\xff\xff\xff\xff.");
    pickled(b"");
}

#[test]
fn zip_bombs_are_refused_by_their_declared_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("params.npz");
    let write = |declared: u32, content: &[u8]| {
        let mut packed = Vec::new();
        let mut encoder = flate2::read::DeflateEncoder::new(content, flate2::Compression::best());
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        fs::write(&file, zip_of(&[("W_enc.npy".to_owned(), 8, declared, packed)])).unwrap();
        load(&file)
    };
    // Declares two gigabytes.
    assert_says(&write(2_000_000_000, &npy(&randn(&[4, 4], 1))), &["unpacks from", "refused"]);
    // Declares what its header needs and holds a hundred times that.
    let mut content = npy(&randn(&[4, 4], 1));
    let declared = content.len() as u32;
    content.resize(content.len() * 100, 0);
    let names = ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"];
    let shapes: [&[i64]; 5] = [&[4, 4], &[4, 4], &[4], &[4], &[4]];
    let mut members = Vec::new();
    for (name, shape) in names.iter().zip(shapes) {
        let plain = npy(&randn(shape, 2));
        members.push((format!("{name}.npy"), 0, plain.len() as u32, plain));
    }
    let mut packed = Vec::new();
    let mut encoder = flate2::read::DeflateEncoder::new(content.as_slice(), flate2::Compression::best());
    std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
    members[0] = ("W_enc.npy".to_owned(), 8, declared, packed);
    fs::write(&file, zip_of(&members)).unwrap();
    assert_says(&load(&file), &["declares", "unpacks to"]);
}

#[test]
fn archives_beyond_four_gigabytes_are_read_and_cut_short_like_any() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("params.npz");
    let mut members = Vec::new();
    let shapes: [(&str, &[i64]); 5] =
        [("W_enc", &[3, 5]), ("W_dec", &[5, 3]), ("b_enc", &[5]), ("b_dec", &[3]), ("threshold", &[5])];
    for (name, shape) in shapes {
        members.push((format!("{name}.npy"), npy(&randn(shape, 2))));
    }
    let bytes = zip64(&members);
    fs::write(&file, &bytes).unwrap();
    assert_eq!(Sae::load(&file, None, Device::Cpu).unwrap().config().d_sae, 5);
    every_prefix(&bytes, &file, &file);
}

#[test]
fn a_pickle_from_before_torch_1_6_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.pt");
    fs::write(&file, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert_says(&load(&file), &["before torch 1.6", "torch.save it again"]);
}

/// A copy of a model's fixture whose config is edited.
fn model(family: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture("models").join(family);
    fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn load_model(folder: &Path) -> String {
    line(Model::load(folder, Device::Cpu, Kind::Float))
}

#[test]
fn models_that_are_not_read_say_so() {
    let folder = model("gpt2", |config| config["model_type"] = json!("mamba"));
    assert_says(&load_model(folder.path()), &["model_type \"mamba\"", "gpt2, gpt_neo", "config.json"]);
    let folder =
        model("llama", |config| config["rope_scaling"] = json!({ "rope_type": "dynamic", "factor": 2.0 }));
    assert_says(&load_model(folder.path()), &["rope_type \"dynamic\"", "llama3"]);
    let folder = model("gpt2", |config| config["activation_function"] = json!("mish"));
    assert_says(&load_model(folder.path()), &["activation_function \"mish\""]);
    let folder = model("gpt2", |config| config["n_layer"] = json!("three"));
    assert_says(&load_model(folder.path()), &["\"three\" as \"n_layer\", expected an integer"]);
    let folder = model("gpt2", |config| config["n_layer"] = json!(-3));
    assert_says(&load_model(folder.path()), &["n_layers -3"]);
    let folder = model("gpt2", |config| config["n_head"] = json!(0));
    assert_says(&load_model(folder.path()), &["0 heads"]);
    let folder = model("gpt2", |config| config["n_layer"] = json!(4));
    assert_says(&load_model(folder.path()), &["no tensor \"transformer.h.3"]);
    let folder = model("gpt2", |config| config["n_embd"] = json!(36));
    assert_says(&load_model(folder.path()), &["has shape [97, 32], expected [d_vocab, d_model] = [97, 36]"]);
    let empty = tempfile::tempdir().unwrap();
    assert_says(&load_model(empty.path()), &["no config.json", "expected a model", "fetch the missing file"]);
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert_says(&load_model(folder.path()), &["no *.safetensors, pytorch_model.bin or model_final.pth"]);
}

#[test]
fn configs_are_read_without_weights() {
    let folder = model("gemma2", |_| {});
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let config = ModelConfig::read(folder.path()).unwrap();
    let hook = config.hook_point("blocks.2.attn.hook_z").unwrap();
    assert_eq!(config.hook_width(&hook), 64);
    let cfg = SaeConfig::read(&fixture("saes/skip_transcoder"), None).unwrap();
    assert_eq!((cfg.d_in, cfg.d_sae, cfg.d_out, cfg.transcoder), (24, 64, 20, true));
}

#[test]
fn hook_points_that_do_not_exist_are_refused_with_the_nearest() {
    let config = |family: &str| ModelConfig::read(&fixture("models").join(family)).unwrap();
    let gpt2 = line(config("gpt2").hook_point("blocks.1.hook_resid_prex"));
    assert_says(
        &gpt2,
        &[
            "no hook point \"blocks.1.hook_resid_prex\"",
            "did you mean \"blocks.1.hook_resid_pre\"?",
            "mlp.hook_post",
        ],
    );
    let beyond = line(config("gpt2").hook_point("blocks.3.hook_resid_pre"));
    assert_says(&beyond, &["has blocks 0 to 2", "did you mean"]);
    let parallel = line(config("gpt_neox").hook_point("blocks.1.hook_resid_mid"));
    assert_says(&parallel, &["no hook point", "nothing lies between them"]);
    assert!(!parallel.contains("did you mean"));
    line(config("llama").hook_point("hook_pos_embed"));
    line(config("gpt2").hook_point("blocks.0.mlp.hook_pre_linear"));
    line(config("gpt2").hook_point("blocks..hook_resid_pre"));
    line(config("gpt2").hook_point(""));
}
