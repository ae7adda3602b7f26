//! Checkpoints in other shapes than the fixtures'. Each folder is
//! written here from a fixture's weights, so the fixture's numbers are still the oracle.

use std::fs;
use std::path::Path;

use crate::model_hooks::Seen;
use crate::written::{Item, fixture, max_abs, randn, safetensors, torch_save};
use compute::model::Model;
use compute::weights::{Select, Weights};
use serde_json::json;
use tch::{Device, Kind, Tensor};

pub fn read(weights: &Weights, name: &str, kind: Kind) -> Tensor {
    weights.read(name, Select::All, kind, Device::Cpu).unwrap()
}

fn all(family: &str) -> Vec<(String, Tensor)> {
    let weights = Weights::open(&fixture("models").join(family).join("model.safetensors")).unwrap();
    weights.names().map(|name| (name.to_owned(), read(&weights, name, Kind::Float))).collect()
}

/// Largest error of the logits against the fixture's.
fn error(family: &str, folder: &Path, kind: Kind) -> f64 {
    let model = Model::load(folder, Device::Cpu, kind).unwrap();
    let expected = Weights::open(&fixture("models").join(family).join("expected.safetensors")).unwrap();
    let resid = model.forward(&read(&expected, "tokens", Kind::Int64), &mut ()).unwrap();
    max_abs(&model.head().logits(&resid).unwrap(), &read(&expected, "logits", Kind::Float))
}

fn copy_config(family: &str, folder: &Path) {
    fs::copy(fixture("models").join(family).join("config.json"), folder.join("config.json")).unwrap();
}

#[test]
fn a_sharded_checkpoint_is_read_through_its_index() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("llama", folder.path());
    let tensors = all("llama");
    let mut map = serde_json::Map::new();
    for (n, half) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let shard = format!("model-0000{}-of-00002.safetensors", n + 1);
        let half: Vec<(&str, &Tensor)> = half.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        for (name, _) in &half {
            map.insert((*name).to_owned(), json!(shard));
        }
        safetensors(&folder.path().join(shard), &half);
    }
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    assert!(error("llama", folder.path(), Kind::Float) <= 1e-4);
    fs::write(&index, json!({ "weight_map": { "x": "../../etc/passwd" } }).to_string()).unwrap();
    let text = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert!(text.contains("is not a plain file name"), "{text}");
}

#[test]
fn names_without_the_prefix_and_half_precision_on_disk_are_read() {
    for (kind, tolerance) in [(Kind::Float, 1e-4), (Kind::Half, 0.02), (Kind::BFloat16, 0.2)] {
        let folder = tempfile::tempdir().unwrap();
        copy_config("gpt2", folder.path());
        let tensors: Vec<(String, Tensor)> = all("gpt2")
            .into_iter()
            .map(|(name, tensor)| (name.replace("transformer.", ""), tensor.to_kind(kind)))
            .collect();
        let tensors: Vec<(&str, &Tensor)> = tensors.iter().map(|(n, tensor)| (n.as_str(), tensor)).collect();
        safetensors(&folder.path().join("model.safetensors"), &tensors);
        assert!(error("gpt2", folder.path(), Kind::Float) <= tolerance, "{kind:?}");
    }
}

#[test]
fn weights_kept_in_bf16_give_nearly_the_same_logits() {
    for family in fs::read_dir(fixture("models")).unwrap() {
        let family = family.unwrap().file_name().into_string().unwrap();
        // Where two experts are nearly as good, rounding decides which a token goes through.
        let tolerance = if family == "gpt_oss" || family == "qwen3_moe" { 1.0 } else { 0.3 };
        let error = error(&family, &fixture("models").join(&family), Kind::BFloat16);
        assert!(error <= tolerance, "{family}: {error}");
    }
}

#[test]
fn weights_of_eight_bits_on_disk_are_read() {
    let (eight, rounded) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, kind) in [(&eight, Kind::Float8e4m3fn), (&rounded, Kind::Float)] {
        copy_config("qwen3", folder.path());
        let tensors: Vec<(String, Tensor)> = all("qwen3")
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_kind(Kind::Float8e4m3fn).to_kind(kind)))
            .collect();
        let tensors: Vec<(&str, &Tensor)> = tensors.iter().map(|(n, tensor)| (n.as_str(), tensor)).collect();
        safetensors(&folder.path().join("model.safetensors"), &tensors);
    }
    let (eight, rounded) =
        (error("qwen3", eight.path(), Kind::Float), error("qwen3", rounded.path(), Kind::Float));
    assert!((eight - rounded).abs() <= 1e-6 && rounded > 1e-3, "{eight} {rounded}");
}

#[test]
fn pytorch_model_bin_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("qwen2", folder.path());
    let tensors = all("qwen2");
    let items = tensors.iter().map(|(name, tensor)| (name.as_str(), Item::Tensor(tensor))).collect();
    torch_save(&folder.path().join("pytorch_model.bin"), &Item::Dict(items));
    assert!(error("qwen2", folder.path(), Kind::Float) <= 1e-4);
}

/// GPT-2's weights as TransformerLens names and shapes them.
fn transformer_lens(act_fn: &str, extra: Vec<(String, Tensor)>) -> tempfile::TempDir {
    transformer_lens_of(act_fn, "LN", false, extra)
}

fn transformer_lens_of(
    act_fn: &str,
    norm: &str,
    attn_only: bool,
    extra: Vec<(String, Tensor)>,
) -> tempfile::TempDir {
    let (n_layers, n_heads, d, d_head) = (3, 4, 32, 8);
    let weights = Weights::open(&fixture("models/gpt2/model.safetensors")).unwrap();
    let w = |name: &str| read(&weights, &format!("transformer.{name}"), Kind::Float);
    let mut out = vec![
        ("embed.W_E".to_owned(), w("wte.weight")),
        ("pos_embed.W_pos".to_owned(), w("wpe.weight")),
        ("ln_final.w".to_owned(), w("ln_f.weight")),
        ("ln_final.b".to_owned(), w("ln_f.bias")),
        ("unembed.W_U".to_owned(), w("wte.weight").tr().contiguous()),
    ];
    for layer in 0..n_layers {
        let h = |name: &str| w(&format!("h.{layer}.{name}"));
        let mut put = |name: &str, tensor: Tensor| out.push((format!("blocks.{layer}.{name}"), tensor));
        for (i, part) in ["Q", "K", "V"].iter().enumerate() {
            let heads = h("attn.c_attn.weight").narrow(1, i as i64 * d, d).reshape([d, n_heads, d_head]);
            put(&format!("attn.W_{part}"), heads.permute([1, 0, 2]).contiguous());
            let bias = h("attn.c_attn.bias").narrow(0, i as i64 * d, d).reshape([n_heads, d_head]);
            put(&format!("attn.b_{part}"), bias);
        }
        put("attn.W_O", h("attn.c_proj.weight").reshape([n_heads, d_head, d]));
        put("attn.b_O", h("attn.c_proj.bias"));
        for (ours, theirs) in [("ln1", "ln_1"), ("ln2", "ln_2")] {
            put(&format!("{ours}.w"), h(&format!("{theirs}.weight")));
            put(&format!("{ours}.b"), h(&format!("{theirs}.bias")));
        }
        put("mlp.W_in", h("mlp.c_fc.weight"));
        put("mlp.b_in", h("mlp.c_fc.bias"));
        put("mlp.W_out", h("mlp.c_proj.weight"));
        put("mlp.b_out", h("mlp.c_proj.bias"));
    }
    out.extend(extra);
    out.retain(|(name, _)| !(attn_only && (name.contains(".mlp.") || name.contains(".ln2."))));
    out.retain(|(name, _)| !(norm.ends_with("Pre") && (name.contains(".ln") || name.contains("ln_final"))));
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "n_layers": 3, "d_model": 32, "n_heads": 4, "d_head": 8, "d_mlp": 128, "d_vocab": 97,
        "n_ctx": 64, "act_fn": act_fn, "attn_only": attn_only, "normalization": norm, "shortformer_pos": false });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let items = out.iter().map(|(name, tensor)| (name.as_str(), Item::Tensor(tensor))).collect();
    torch_save(&folder.path().join("model_final.pth"), &Item::Dict(items));
    folder
}

#[test]
fn transformer_lens_checkpoints_are_read() {
    let folder = transformer_lens("gelu_new", Vec::new());
    assert!(error("gpt2", folder.path(), Kind::Float) <= 1e-4);
    let exact = error("gpt2", transformer_lens("gelu", Vec::new()).path(), Kind::Float);
    assert!(exact > 0.0 && exact < 0.05, "gelu and gelu_new differ by {exact}");
}

#[test]
fn attention_only_models_with_folded_norms_are_read() {
    let folder = transformer_lens_of("gelu", "LNPre", true, Vec::new());
    let model = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
    let names: Vec<String> = model.config().hook_points().iter().map(ToString::to_string).collect();
    assert!(names.iter().all(|name| !name.contains("mlp") && !name.contains("ln2") && !name.contains("mid")));
    let mut seen = Seen::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5]).unsqueeze(0);
    let resid = model.forward(&tokens, &mut seen).unwrap();
    let at = |site: &str| seen.get(&format!("blocks.2.{site}"));
    assert!(max_abs(&(at("hook_resid_pre") + at("hook_attn_out")), &resid) <= 1e-6);
    // Without gain and bias, the unembedding reads the normalised stream itself.
    let normalised = resid.layer_norm([32], None::<&Tensor>, None, 1e-5, false);
    let logits = normalised.matmul(&model.head().unembedding());
    assert!(max_abs(&model.head().logits(&resid).unwrap(), &logits) <= 1e-4);
}

#[test]
fn solu_models_normalise_their_neurons() {
    let (gain, bias) = (randn(&[128], 1) + 1.0, randn(&[128], 2));
    let norms = (0..3).flat_map(|layer| {
        let name = |part: &str| format!("blocks.{layer}.mlp.ln.{part}");
        [(name("w"), gain.copy()), (name("b"), bias.copy())]
    });
    let folder = transformer_lens("solu_ln", norms.collect());
    let model = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
    let mut seen = Seen::new(&["blocks.1.mlp.hook_pre", "blocks.1.mlp.hook_post"]);
    drop(model.forward(&Tensor::from_slice(&[3i64, 1, 4, 1, 5]).unsqueeze(0), &mut seen).unwrap());
    let pre = seen.get("blocks.1.mlp.hook_pre");
    let solu = pre * pre.softmax(-1, Kind::Float);
    let want = solu.layer_norm([128], Some(&gain), Some(&bias), 1e-5, false);
    assert!(max_abs(seen.get("blocks.1.mlp.hook_post"), &want) <= 1e-5);
}

#[test]
fn shards_are_read_without_their_index_unless_one_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("qwen3", folder.path());
    let tensors = all("qwen3");
    let shard = |n: usize| folder.path().join(format!("model-{n:05}-of-00003.safetensors"));
    for (n, part) in tensors.chunks(tensors.len().div_ceil(3)).enumerate() {
        let part: Vec<(&str, &Tensor)> = part.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        safetensors(&shard(n + 1), &part);
    }
    assert!(error("qwen3", folder.path(), Kind::Float) <= 1e-4);
    fs::remove_file(shard(2)).unwrap();
    let text = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert!(text.contains("shard 2 of 3 is missing, and so is model.safetensors.index.json"), "{text}");
}

#[test]
fn a_pointer_in_place_of_the_weights_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("gpt2", folder.path());
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1877616\n";
    fs::write(folder.path().join("model.safetensors"), pointer).unwrap();
    let text = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert!(text.contains("git lfs pull") && text.contains("1877616"), "{text}");
}

/// Weights that the config knows nothing of would be left out, and the numbers be wrong.
#[test]
fn weights_that_nothing_in_the_config_stands_for_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("llama", folder.path());
    let mut tensors = all("llama");
    tensors.push(("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), randn(&[4], 1)));
    let write = |tensors: &[(String, Tensor)]| {
        let tensors: Vec<(&str, &Tensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        safetensors(&folder.path().join("model.safetensors"), &tensors);
    };
    write(&tensors);
    assert!(error("llama", folder.path(), Kind::Float) <= 1e-4, "a buffer is no weight");
    tensors.push(("model.layers.1.self_attn.q_norm.weight".to_owned(), randn(&[8], 1)));
    write(&tensors);
    let text = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert!(
        text.contains("\"model.layers.1.self_attn.q_norm.weight\", which nothing in its config.json"),
        "{text}"
    );
}

/// Newer transformers put the language model of a multimodal checkpoint elsewhere, and experts in one tensor.
#[test]
fn newer_names_of_weights_are_read() {
    let folder = tempfile::tempdir().unwrap();
    copy_config("gemma3_multimodal", folder.path());
    let tensors: Vec<(String, Tensor)> = all("gemma3_multimodal")
        .into_iter()
        .map(|(name, tensor)| (name.replace("language_model.model.", "model.language_model."), tensor))
        .collect();
    let list: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    safetensors(&folder.path().join("model.safetensors"), &list);
    assert!(error("gemma3_multimodal", folder.path(), Kind::Float) <= 1e-4);

    let folder = tempfile::tempdir().unwrap();
    copy_config("qwen3_moe", folder.path());
    let mut tensors = all("qwen3_moe");
    let weight = |name: &str| tensors.iter().find(|(own, _)| own == name).unwrap().1.shallow_clone();
    let mut fused = Vec::new();
    for layer in [0, 2, 3] {
        let expert =
            |n: i64, map: &str| weight(&format!("model.layers.{layer}.mlp.experts.{n}.{map}.weight"));
        let both = (0..6).map(|n| Tensor::cat(&[expert(n, "gate_proj"), expert(n, "up_proj")], 0));
        let down = (0..6).map(|n| expert(n, "down_proj"));
        let at = |name: &str| format!("model.layers.{layer}.mlp.experts.{name}");
        fused.push((at("gate_up_proj"), Tensor::stack(&both.collect::<Vec<_>>(), 0)));
        fused.push((at("down_proj"), Tensor::stack(&down.collect::<Vec<_>>(), 0)));
    }
    tensors.retain(|(name, _)| !name.contains(".experts."));
    tensors.extend(fused);
    let list: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    safetensors(&folder.path().join("model.safetensors"), &list);
    assert!(error("qwen3_moe", folder.path(), Kind::Float) <= 1e-4);
}

/// Experts in MXFP4, packed here as the format defines it: blocks of 32 numbers of 4 bits (e2m1, two a byte,
/// the first in the low half) that share a power of two (e8m0).
#[test]
fn experts_in_mxfp4_are_unpacked() {
    const VALUES: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let (d_model, d_mlp) = (32, 64);
    let (floats, packed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = fs::read(fixture("models/gpt_oss/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["intermediate_size"] = json!(d_mlp);
    fs::write(floats.path().join("config.json"), config.to_string()).unwrap();
    config["quantization_config"] = json!({ "quant_method": "mxfp4" });
    fs::write(packed.path().join("config.json"), config.to_string()).unwrap();
    let (mut as_floats, mut as_packed) = (Vec::new(), Vec::new());
    for (name, tensor) in all("gpt_oss") {
        let tensor = match name.rsplit('.').next().unwrap() {
            "gate_up_proj" => tensor.narrow(2, 0, 2 * d_mlp),
            "gate_up_proj_bias" => tensor.narrow(1, 0, 2 * d_mlp),
            "down_proj" => tensor.narrow(1, 0, d_mlp),
            _ => tensor,
        };
        if !name.ends_with("gate_up_proj") && !name.ends_with("down_proj") {
            as_floats.push((name.clone(), tensor.copy()));
            as_packed.push((name, tensor));
            continue;
        }
        let rows = tensor.transpose(1, 2).contiguous(); // [n_experts, d_out, d_in]
        let shape = rows.size();
        let numbers = Vec::<f64>::try_from(rows.reshape([-1]).to_kind(Kind::Double)).unwrap();
        let (mut blocks, mut scales, mut rounded) = (Vec::<u8>::new(), Vec::<u8>::new(), Vec::<f64>::new());
        for block in numbers.chunks(32) {
            let largest = block.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            let exponent = (largest / 6.0).log2().ceil();
            scales.push((exponent + 127.0) as u8);
            let code = |x: f64| {
                let size = x.abs() / exponent.exp2();
                let near = |i: &usize| ((VALUES[*i] - size).abs() * 1e9) as u64;
                let nearest = (0..8).min_by_key(near).unwrap();
                rounded.push(VALUES[nearest] * exponent.exp2() * if x < 0.0 { -1.0 } else { 1.0 });
                nearest as u8 + if x < 0.0 { 8 } else { 0 }
            };
            let codes: Vec<u8> = block.iter().copied().map(code).collect();
            blocks.extend(codes.chunks(2).map(|pair| pair[0] | pair[1] << 4));
        }
        let rounded = Tensor::from_slice(&rounded).to_kind(Kind::Float).reshape(&shape);
        as_floats.push((name.clone(), rounded.transpose(1, 2).contiguous()));
        let n_blocks = shape[2] / 32;
        let blocks = Tensor::from_slice(&blocks).reshape([shape[0], shape[1], n_blocks, 16]);
        let scales = Tensor::from_slice(&scales).reshape([shape[0], shape[1], n_blocks]);
        as_packed.push((format!("{name}_blocks"), blocks));
        as_packed.push((format!("{name}_scales"), scales));
    }
    for (folder, tensors) in [(&floats, &as_floats), (&packed, &as_packed)] {
        let tensors: Vec<(&str, &Tensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        safetensors(&folder.path().join("model.safetensors"), &tensors);
    }
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6]).reshape([1, 8]);
    let resid = |folder: &tempfile::TempDir| {
        let model = Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
        model.forward(&tokens, &mut ()).unwrap()
    };
    let (floats, packed) = (resid(&floats), resid(&packed));
    assert!(max_abs(&floats, &packed) <= 1e-6);
    assert_eq!(d_model, packed.size()[2]);
}
