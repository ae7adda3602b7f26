//! Formats for which no other software was at hand: each file is written here from the format's own
//! definition, and what it should compute is written out beside it.

use crate::written::{Item, max_abs, randn, safetensors, torch_save};
use compute::sae::{Architecture, Sae, SaeConfig, SaeError, SaeFormat};
use serde_json::json;
use tch::Tensor;

const TOLERANCE: f64 = 1e-5;
const D: i64 = 12;
const F: i64 = 30;

/// Weights as `nn.Linear` keeps them, and an input.
struct Parts {
    enc: Tensor,
    enc_bias: Tensor,
    dec: Tensor,
    bias: Tensor,
    x: Tensor,
}

fn parts() -> Parts {
    Parts {
        enc: randn(&[F, D], 1),
        enc_bias: randn(&[F], 2),
        dec: randn(&[D, F], 3),
        bias: randn(&[D], 4),
        x: randn(&[20, D], 5) * 4.0 + 0.5,
    }
}

fn top_k(z: &Tensor, k: i64) -> Tensor {
    let (values, indices) = z.relu().topk(k, -1, true, true);
    z.zeros_like().scatter(-1, &indices, &values)
}

fn load(path: &std::path::Path, format: SaeFormat) -> Sae {
    assert_eq!(SaeConfig::read(path, None).unwrap().format, format);
    let sae = Sae::load(path, None, tch::Device::Cpu).unwrap();
    assert_eq!(sae.config(), &SaeConfig::read(path, Some(format)).unwrap());
    assert_eq!((sae.config().d_in, sae.config().d_sae), (D, F));
    sae
}

fn check(sae: &Sae, x: &Tensor, acts: &Tensor, out: &Tensor) {
    assert!(acts.gt(0.0).any().int64_value(&[]) == 1, "a test of nothing");
    assert!(max_abs(&sae.encode(x).unwrap(), acts) <= TOLERANCE);
    assert!(max_abs(&sae.decode(acts, x).unwrap(), out) <= TOLERANCE);
}

fn open_ai(activation: &str) -> (Sae, Parts) {
    let p = parts();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("5.pt");
    let state = Item::Dict(vec![("k", Item::Int(4)), ("postact_fn", Item::Text("ReLU"))]);
    let items = vec![
        ("pre_bias", Item::Tensor(&p.bias)),
        ("latent_bias", Item::Tensor(&p.enc_bias)),
        ("encoder.weight", Item::Tensor(&p.enc)),
        ("decoder.weight", Item::Turned(&p.dec)),
        ("activation", Item::Text(activation)),
        ("activation_state_dict", state),
    ];
    torch_save(&file, &Item::Dict(items));
    (load(&file, SaeFormat::OpenAi), p)
}

#[test]
fn openai_topk_normalises_its_input() {
    let (sae, p) = open_ai("TopK");
    let mean = p.x.mean_dim(-1, true, tch::Kind::Float);
    let std = p.x.std_dim(-1, true, true);
    let x = (&p.x - &mean) / (&std + 1e-5);
    let acts = top_k(&((x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias), 4);
    let out = (acts.matmul(&p.dec.tr()) + &p.bias) * std + mean;
    assert_eq!(sae.config().architecture, Architecture::TopK { k: 4 });
    check(&sae, &p.x, &acts, &out);
}

#[test]
fn openai_relu_does_not() {
    let (sae, p) = open_ai("ReLU");
    let acts = ((&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias).relu();
    check(&sae, &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

fn sparsify(transcode: bool, signed: bool) -> (Sae, Parts, Tensor) {
    let p = parts();
    let skip = randn(&[D, D], 6);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("layers.5.mlp");
    std::fs::create_dir(&folder).unwrap();
    let cfg = json!({ "activation": "topk", "expansion_factor": 32, "num_latents": F, "k": 5, "d_in": D,
        "multi_topk": false, "signed": signed, "transcode": transcode, "skip_connection": transcode });
    std::fs::write(folder.join("cfg.json"), cfg.to_string()).unwrap();
    let dec = p.dec.tr().contiguous();
    let mut tensors =
        vec![("encoder.weight", &p.enc), ("encoder.bias", &p.enc_bias), ("W_dec", &dec), ("b_dec", &p.bias)];
    if transcode {
        tensors.push(("W_skip", &skip));
    }
    safetensors(&folder.join("sae.safetensors"), &tensors);
    (load(&folder, SaeFormat::Sparsify), p, skip)
}

#[test]
fn sparsify_subtracts_the_decoder_bias() {
    let (sae, p, _) = sparsify(false, false);
    let acts = top_k(&((&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias), 5);
    assert_eq!(sae.config().hook.as_deref(), Some("blocks.5.mlp.hook_out"));
    check(&sae, &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn sparsify_transcoders_do_not_and_skip() {
    let (sae, p, skip) = sparsify(true, false);
    let acts = top_k(&(p.x.matmul(&p.enc.tr()) + &p.enc_bias), 5);
    let out = acts.matmul(&p.dec.tr()) + &p.bias + p.x.matmul(&skip.tr());
    assert_eq!(sae.config().hook.as_deref(), Some("blocks.5.mlp.hook_in"));
    assert_eq!(sae.config().hook_out.as_deref(), Some("blocks.5.mlp.hook_out"));
    check(&sae, &p.x, &acts, &out);
}

#[test]
fn signed_sparsify_keeps_the_largest_of_either_sign() {
    let (sae, p, _) = sparsify(false, true);
    let z = (&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias;
    let (_, indices) = z.abs().topk(5, -1, true, true);
    let acts = z.zeros_like().scatter(-1, &indices, &z.gather(-1, &indices, false));
    assert!(sae.config().is_signed() && acts.lt(0.0).any().int64_value(&[]) == 1);
    check(&sae, &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn llama_scope_scales_to_the_datasets_norm() {
    let p = parts();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    let cfg = json!({ "d_model": D, "d_sae": F, "jump_relu_threshold": 0.4, "hook_point_in": "blocks.3.hook_resid_post",
        "hook_point_out": "blocks.3.hook_resid_post", "dataset_average_activation_norm": { "in": 7.0, "out": 7.0 } });
    std::fs::write(folder.path().join("hyperparams.json"), cfg.to_string()).unwrap();
    let tensors = [
        ("encoder.weight", &p.enc),
        ("encoder.bias", &p.enc_bias),
        ("decoder.weight", &p.dec),
        ("decoder.bias", &p.bias),
    ];
    safetensors(&folder.path().join("checkpoints/final.safetensors"), &tensors);
    let sae = load(folder.path(), SaeFormat::LlamaScope);
    let scale = (D as f64).sqrt() / 7.0;
    let z = (&p.x * scale).matmul(&p.enc.tr()) + &p.enc_bias;
    let acts = z.relu() * z.gt(0.4 * scale);
    assert_eq!(sae.config().hook.as_deref(), Some("blocks.3.hook_resid_post"));
    check(&sae, &p.x, &acts, &((acts.matmul(&p.dec.tr()) + &p.bias) / scale));
}

fn dictionary(class: &str, items: Vec<(&str, Item<'_>)>) -> Result<Sae, SaeError> {
    let folder = tempfile::tempdir().unwrap();
    let trainer = json!({ "dict_class": class, "activation_dim": D, "dict_size": F, "k": 6, "layer": 4,
        "lm_name": "EleutherAI/pythia-70m", "submodule_name": "resid_post_layer_4" });
    let config = json!({ "trainer": trainer, "buffer": { "ctx_len": 128 } });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    torch_save(&folder.path().join("ae.pt"), &Item::Dict(items));
    let sae = Sae::load(folder.path(), None, tch::Device::Cpu)?;
    assert!(
        matches!(sae.config().format, SaeFormat::DictionaryLearning(Some(named)) if named.name() == class)
    );
    assert_eq!(sae.config().hook.as_deref(), Some("blocks.4.hook_resid_post"));
    assert_eq!(sae.config().context_size, Some(128));
    Ok(sae)
}

fn linear(p: &Parts) -> Vec<(&'static str, Item<'_>)> {
    vec![("encoder.weight", Item::Tensor(&p.enc)), ("decoder.weight", Item::Tensor(&p.dec))]
}

#[test]
fn dictionary_learning_auto_encoder_scales_by_decoder_norms() {
    let p = parts();
    let mut items = linear(&p);
    items.extend([("encoder.bias", Item::Tensor(&p.enc_bias)), ("bias", Item::Tensor(&p.bias))]);
    let sae = dictionary("AutoEncoder", items).unwrap();
    let f = ((&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias).relu();
    let norms = p.dec.square().sum_dim_intlist(0, false, tch::Kind::Float).sqrt();
    check(&sae, &p.x, &(&f * norms), &(f.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn dictionary_learning_auto_encoder_new() {
    let p = parts();
    let mut items = linear(&p);
    items.extend([("encoder.bias", Item::Tensor(&p.enc_bias)), ("decoder.bias", Item::Tensor(&p.bias))]);
    let sae = dictionary("AutoEncoderNew", items).unwrap();
    let acts = (p.x.matmul(&p.enc.tr()) + &p.enc_bias).relu();
    check(&sae, &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn dictionary_learning_top_k() {
    let p = parts();
    let k = Tensor::from(6i64);
    let mut items = linear(&p);
    items.extend([
        ("encoder.bias", Item::Tensor(&p.enc_bias)),
        ("b_dec", Item::Tensor(&p.bias)),
        ("k", Item::Tensor(&k)),
    ]);
    let sae = dictionary("AutoEncoderTopK", items).unwrap();
    let acts = top_k(&((&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias), 6);
    check(&sae, &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

fn batch_top_k(threshold: f32) -> (Result<Sae, SaeError>, Parts) {
    let p = parts();
    let (k, threshold) = (Tensor::from(6i64), Tensor::from(threshold));
    let mut items = linear(&p);
    items.extend([
        ("encoder.bias", Item::Tensor(&p.enc_bias)),
        ("b_dec", Item::Tensor(&p.bias)),
        ("k", Item::Tensor(&k)),
        ("threshold", Item::Tensor(&threshold)),
    ]);
    (dictionary("BatchTopKSAE", items), p)
}

#[test]
fn dictionary_learning_batch_top_k_keeps_its_threshold() {
    let (sae, p) = batch_top_k(0.6);
    let z = ((&p.x - &p.bias).matmul(&p.enc.tr()) + &p.enc_bias).relu();
    let acts = &z * z.gt(0.6);
    check(&sae.unwrap(), &p.x, &acts, &(acts.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn an_untrained_batch_top_k_threshold_is_refused() {
    let error = batch_top_k(-1.0).0.unwrap_err().to_string();
    assert!(error.contains("threshold was never set"), "{error}");
}

#[test]
fn dictionary_learning_jump_relu() {
    let p = parts();
    let (enc, dec) = (p.enc.tr().contiguous(), p.dec.tr().contiguous());
    let threshold = randn(&[F], 7).abs();
    let items = vec![
        ("W_enc", Item::Tensor(&enc)),
        ("b_enc", Item::Tensor(&p.enc_bias)),
        ("W_dec", Item::Tensor(&dec)),
        ("b_dec", Item::Tensor(&p.bias)),
        ("threshold", Item::Tensor(&threshold)),
    ];
    let sae = dictionary("JumpReluAutoEncoder", items).unwrap();
    let z = p.x.matmul(&enc) + &p.enc_bias;
    let f = z.relu() * z.gt_tensor(&threshold);
    check(&sae, &p.x, &f, &(f.matmul(&dec) + &p.bias));
}

#[test]
fn dictionary_learning_gated() {
    let p = parts();
    let (r_mag, mag_bias) = (randn(&[F], 8), randn(&[F], 9));
    let mut items = linear(&p);
    items.extend([
        ("decoder_bias", Item::Tensor(&p.bias)),
        ("gate_bias", Item::Tensor(&p.enc_bias)),
        ("mag_bias", Item::Tensor(&mag_bias)),
        ("r_mag", Item::Tensor(&r_mag)),
    ]);
    let sae = dictionary("GatedAutoEncoder", items).unwrap();
    let z = (&p.x - &p.bias).matmul(&p.enc.tr());
    let f = (&z * r_mag.exp() + mag_bias).relu() * (&z + &p.enc_bias).gt(0.0);
    check(&sae, &p.x, &f, &(f.matmul(&p.dec.tr()) + &p.bias));
}

#[test]
fn a_crosscoder_reads_several_layers_at_once() {
    let n = 3;
    let (enc, dec) = (randn(&[n, D, F], 1), randn(&[n, F, D], 2));
    let (enc_bias, bias, x) = (randn(&[F], 3), randn(&[n, D], 4), randn(&[20, n, D], 5) * 3.0);
    let f = (Tensor::einsum("bld,ldf->bf", &[&x, &enc], None::<&[i64]>) + &enc_bias).relu();
    let out = Tensor::einsum("bf,lfd->bld", &[&f, &dec], None::<&[i64]>) + &bias;
    let items = || {
        vec![
            ("encoder.weight", Item::Tensor(&enc)),
            ("encoder.bias", Item::Tensor(&enc_bias)),
            ("decoder.weight", Item::Tensor(&dec)),
            ("decoder.bias", Item::Tensor(&bias)),
        ]
    };
    for config in [None, Some(json!({ "trainer": { "dict_class": "CrossCoder", "activation_dim": D } }))] {
        let folder = tempfile::tempdir().unwrap();
        if let Some(config) = config {
            std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        }
        torch_save(&folder.path().join("ae.pt"), &Item::Dict(items()));
        let sae = Sae::load(folder.path(), None, tch::Device::Cpu).unwrap();
        let config = sae.config();
        assert_eq!((config.d_in, config.d_sae, config.d_out, config.n_layers), (n * D, F, n * D, n));
        check(&sae, &x.flatten(1, 2), &f, &out.flatten(1, 2));
        let some = Sae::load_features(folder.path(), None, tch::Device::Cpu, &[7, 2]).unwrap();
        let index = Tensor::from_slice(&[7i64, 2]);
        assert!(max_abs(&some.encode(&x.flatten(1, 2)).unwrap(), &f.index_select(1, &index)) <= TOLERANCE);
        assert!(
            max_abs(&some.decoder().unwrap(), &sae.decoder().unwrap().index_select(0, &index)) <= TOLERANCE
        );
    }
}

#[test]
fn a_llama_scope_transcoder_scales_input_and_output_by_their_own_norms() {
    let p = parts();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    let cfg = json!({ "d_model": D, "d_sae": F, "jump_relu_threshold": 0.1, "hook_point_in": "blocks.3.ln2.hook_normalized",
        "hook_point_out": "blocks.3.hook_mlp_out", "dataset_average_activation_norm": { "in": 7.0, "out": 2.0 } });
    std::fs::write(folder.path().join("hyperparams.json"), cfg.to_string()).unwrap();
    let tensors = [
        ("encoder.weight", &p.enc),
        ("encoder.bias", &p.enc_bias),
        ("decoder.weight", &p.dec),
        ("decoder.bias", &p.bias),
    ];
    safetensors(&folder.path().join("checkpoints/final.safetensors"), &tensors);
    let sae = load(folder.path(), SaeFormat::LlamaScope);
    let scale = (D as f64).sqrt() / 7.0;
    let z = (&p.x * scale).matmul(&p.enc.tr()) + &p.enc_bias;
    let acts = z.relu() * z.gt(0.1 * scale);
    check(&sae, &p.x, &acts, &((acts.matmul(&p.dec.tr()) + &p.bias) * (2.0 / (D as f64).sqrt())));
}
