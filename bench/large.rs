//! Writes a model of GPT-2 small's shape with random weights, SAEs on it, and tokens: what a GPU is measured on.
//!
//! usage: large FOLDER N_ROWS N_FEATURES N_SAES DEVICE
//!
//! One SAE reads the residual stream before block 6, several read it before the last blocks, `FOLDER/saes/LAYER` each.
//!
//! Random weights have no meaning, but take as long as trained ones. The SAE's bias is set so that about 48 features are
//! active at a position, as in SAEs in use. Prints the device's rate of matrix products of each number type, measured, and the work
//! of the pass.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

use std::{fs, ops::Range, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use compute::model::{HookPoint, Hooks, Model};
use serde_json::json;
use tch::{Device, Kind, Tensor};

const D_MODEL: i64 = 768;
const N_LAYERS: i64 = 12;
const D_VOCAB: i64 = 50_257;
const SEQ_LEN: i64 = 128;
/// Of one SAE alone.
const LAYER: i64 = 6;
/// Active features at a position.
const L0: f64 = 48.0;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    ensure!(args.len() == 5, "usage: large FOLDER N_ROWS N_FEATURES N_SAES DEVICE");
    let folder = Path::new(&args[0]);
    let (n_rows, n_features, n_saes): (i64, i64, i64) =
        (args[1].parse()?, args[2].parse()?, args[3].parse()?);
    ensure!((1..=N_LAYERS).contains(&n_saes), "expected 1 to {N_LAYERS} SAEs, got {n_saes}");
    let device = compute::backend::parse_device(&args[4])?;
    let layers = if n_saes == 1 { LAYER..LAYER + 1 } else { N_LAYERS - n_saes..N_LAYERS };
    let _no_grad = tch::no_grad_guard();
    tch::manual_seed(0);
    let (model, saes) = (folder.join("model"), folder.join("saes"));
    // SAEs of an earlier run on more layers would be read too.
    if saes.exists() {
        fs::remove_dir_all(&saes).with_context(|| format!("could not remove {}", saes.display()))?;
    }
    create(&model)?;
    write_model(&model)?;
    let tokens = Tensor::randint(D_VOCAB, [n_rows, SEQ_LEN], (Kind::Int64, Device::Cpu));
    tokens.write_npy(folder.join("tokens.npy"))?;
    let model = Model::load(&model, device, Kind::Float)?;
    let sample = tokens.narrow(0, 0, n_rows.min(16)).to(device);
    for layer in layers.clone() {
        let hook = format!("blocks.{layer}.hook_resid_pre");
        let sae = saes.join(layer.to_string());
        create(&sae)?;
        write_sae(&sae, &hook, &acts(&model, &hook, &sample)?, n_features)?;
    }
    println!("matrix products, f32: {:.3} TFLOP/s", matmul_rate(device, Kind::Float) / 1e12);
    println!("matrix products, bf16: {:.3} TFLOP/s", matmul_rate(device, Kind::BFloat16) / 1e12);
    let (forward, encode) = work(n_rows * SEQ_LEN, layers, n_features);
    println!(
        "counted from the shapes, forward: {:.3} TFLOP, encode: {:.3} TFLOP",
        forward / 1e12,
        encode / 1e12
    );
    Ok(())
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))
}

fn normal(shape: &[i64], std: f64) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu)) * std
}

fn write_model(folder: &Path) -> Result<()> {
    let config = json!({ "model_type": "gpt2", "activation_function": "gelu_new", "n_embd": D_MODEL, "n_head": 12,
        "n_layer": N_LAYERS, "n_positions": 1024, "n_inner": null, "vocab_size": D_VOCAB, "layer_norm_epsilon": 1e-5 });
    fs::write(folder.join("config.json"), config.to_string())?;
    let mut weights = vec![
        ("wte.weight".to_owned(), normal(&[D_VOCAB, D_MODEL], 0.02)),
        ("wpe.weight".to_owned(), normal(&[1024, D_MODEL], 0.02)),
    ];
    let norm = |name: String| {
        let ones = Tensor::ones([D_MODEL], (Kind::Float, Device::Cpu));
        [(format!("{name}.weight"), ones.shallow_clone()), (format!("{name}.bias"), &ones * 0.0)]
    };
    for layer in 0..N_LAYERS {
        for name in ["ln_1", "ln_2"] {
            weights.extend(norm(format!("h.{layer}.{name}")));
        }
        let d = D_MODEL;
        for (name, rows, columns) in [
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ] {
            weights.push((format!("h.{layer}.{name}.weight"), normal(&[rows, columns], 0.02)));
            weights.push((format!("h.{layer}.{name}.bias"), normal(&[columns], 0.0)));
        }
    }
    weights.extend(norm("ln_f".to_owned()));
    Ok(Tensor::write_safetensors(&weights, folder.join("model.safetensors"))?)
}

/// Activations at a hook point, `[n_pos, d_model]`.
fn acts(model: &Model, hook: &str, tokens: &Tensor) -> Result<Tensor> {
    struct Capture(HookPoint, Option<Tensor>);
    impl Hooks for Capture {
        fn wants(&self, hook: &HookPoint) -> bool {
            *hook == self.0
        }
        fn visit(&mut self, _hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
            self.1 = Some(acts.shallow_clone());
            None
        }
        fn done(&self) -> bool {
            self.1.is_some()
        }
    }
    let mut capture = Capture(model.hook_point(hook)?, None);
    drop(model.forward(tokens, &mut capture)?);
    Ok(capture.1.context("the model has no such hook point")?.flatten(0, 1).to(Device::Cpu))
}

fn write_sae(folder: &Path, hook: &str, acts: &Tensor, n_features: i64) -> Result<()> {
    let config = json!({ "architecture": "standard", "activation_fn_str": "relu", "d_in": D_MODEL, "d_sae": n_features,
        "hook_name": hook, "context_size": SEQ_LEN, "prepend_bos": false, "dtype": "float32",
        "apply_b_dec_to_input": true, "normalize_activations": "none", "model_name": "random" });
    fs::write(folder.join("cfg.json"), config.to_string())?;
    let decoder = normal(&[n_features, D_MODEL], 1.0);
    let decoder = &decoder / decoder.norm_scalaropt_dim(2.0, 1, true); // [n_features, d_model]
    let encoder = decoder.transpose(0, 1).contiguous();
    let mean = acts.mean_dim(0, false, Kind::Float);
    let z = (acts - &mean).matmul(&encoder); // [n_pos, n_features]
    let kept = (L0 * z.size()[0] as f64).round().max(1.0) as i64;
    let threshold = z.flatten(0, -1).topk(kept, 0, true, false).0.min();
    let weights = [
        ("W_enc", encoder),
        ("W_dec", decoder),
        ("b_enc", Tensor::zeros([n_features], (Kind::Float, Device::Cpu)) - threshold),
        ("b_dec", mean),
    ];
    Ok(Tensor::write_safetensors(&weights, folder.join("sae_weights.safetensors"))?)
}

/// Floating-point operations of matrix products in the pass over `n_tokens`, two a multiply-add: of the model without its
/// head, and of the SAEs' encoders. The sums of products of features with neurons, for their
/// correlations, are as many as the encoders', always in f32.
fn work(n_tokens: i64, layers: Range<i64>, n_features: i64) -> (f64, f64) {
    let layer = 24 * D_MODEL * D_MODEL + 4 * SEQ_LEN * D_MODEL; // weights; attention
    let of_all = |token: i64| n_tokens as f64 * token as f64;
    let n_saes = layers.end - layers.start;
    (of_all(N_LAYERS * layer), of_all(2 * D_MODEL * n_features * n_saes))
}

/// Floating-point operations a second of large products of `kind`.
fn matmul_rate(device: Device, kind: Kind) -> f64 {
    let n: i64 = if device == Device::Cpu { 1024 } else { 8192 };
    let rounds = if device == Device::Cpu { 4 } else { 50 };
    let a = Tensor::randn([n, n], (kind, device));
    let wait = |t: &Tensor| t.double_value(&[0, 0]);
    wait(&a.matmul(&a));
    let start = Instant::now();
    let mut product = a.shallow_clone();
    for _ in 0..rounds {
        product = a.matmul(&a);
    }
    wait(&product);
    2.0 * (n as f64).powi(3) * f64::from(rounds) / start.elapsed().as_secs_f64()
}
