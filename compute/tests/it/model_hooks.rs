//! What can be done to a forward pass, and what is read of it.

use std::fs;

use crate::model_folders::read;
use crate::written::{fixture, max_abs, randn};
use compute::model::{HookPoint, Hooks, Model, ModelConfig, Preprocessing};
use compute::weights::Weights;
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// Keeps what it is told to, replaces what it is told to.
pub struct Seen {
    names: Vec<String>,
    pub kept: Vec<(String, Tensor)>,
    replace: Option<Tensor>,
    stop: bool,
}

impl Seen {
    pub fn new(names: &[&str]) -> Self {
        let names = names.iter().map(ToString::to_string).collect();
        Self { names, kept: Vec::new(), replace: None, stop: false }
    }

    pub fn get(&self, name: &str) -> &Tensor {
        &self.kept.iter().find(|(own, _)| own == name).unwrap().1
    }
}

impl Hooks for Seen {
    fn wants(&self, hook: &HookPoint) -> bool {
        self.names.contains(&hook.to_string())
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.kept.push((hook.to_string(), acts.copy()));
        self.replace.take()
    }

    fn done(&self) -> bool {
        self.stop
    }
}

fn gpt2() -> (Model, Tensor) {
    let model = Model::load(&fixture("models/gpt2"), Device::Cpu, Kind::Float).unwrap();
    (model, Tensor::from_slice(&[7i64, 1, 8, 2, 8, 1, 8, 2]).reshape([2, 4]))
}

#[test]
fn a_replaced_activation_goes_on_through_the_model() {
    let (model, tokens) = gpt2();
    let mut seen = Seen::new(&["blocks.2.hook_resid_post"]);
    let other = randn(&[2, 4, 32], 9);
    seen.replace = Some(other.copy());
    assert!(max_abs(&model.forward(&tokens, &mut seen).unwrap(), &other) <= 0.0);
    // Replaced by itself: nothing changes, at any hook point.
    let plain = model.forward(&tokens, &mut ()).unwrap();
    for hook in model.config().hook_points() {
        let name = hook.to_string();
        let mut first = Seen::new(&[&name]);
        drop(model.forward(&tokens, &mut first).unwrap());
        let mut second = Seen::new(&[&name]);
        second.replace = Some(first.get(&name).copy());
        assert!(max_abs(&model.forward(&tokens, &mut second).unwrap(), &plain) <= 1e-5, "{name}");
        second.replace = Some(first.get(&name) + randn(&first.get(&name).size(), 8));
        let moved = max_abs(&model.forward(&tokens, &mut second).unwrap(), &plain);
        assert!(moved > 1e-4, "{name}: its replacement changes nothing");
    }
    seen.replace = Some(randn(&[2, 4, 31], 9));
    let text = model.forward(&tokens, &mut seen).unwrap_err().to_string();
    assert!(text.contains("has shape [2, 4, 31], expected [2, 4, 32]"), "{text}");
}

#[test]
fn a_pass_may_stop_early() {
    let (model, tokens) = gpt2();
    let mut seen = Seen::new(&["blocks.0.hook_resid_mid", "blocks.2.hook_resid_post"]);
    seen.stop = true;
    drop(model.forward(&tokens, &mut seen).unwrap());
    assert_eq!(seen.kept.len(), 1);
}

#[test]
fn a_pass_from_any_block_on_ends_as_the_whole_one_does() {
    for family in ["gpt2", "gpt_neox", "gemma3", "qwen3", "gpt_oss"] {
        let folder = fixture(&format!("models/{family}"));
        let model = Model::load(&folder, Device::Cpu, Kind::Float).unwrap();
        let tokens = Tensor::from_slice(&[7i64, 1, 8, 2, 8, 1, 8, 2]).reshape([2, 4]);
        let names: Vec<String> =
            (0..model.config().layers.len()).map(|layer| format!("blocks.{layer}.hook_resid_pre")).collect();
        let mut seen = Seen::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let whole = model.forward(&tokens, &mut seen).unwrap();
        for (layer, name) in (0..).zip(&names) {
            let rest = model.forward_from(layer, seen.get(name), &mut ()).unwrap();
            assert_eq!(rest, whole, "{family}, {name}");
        }
    }
}

#[test]
fn tokens_that_the_model_cannot_take_are_refused() {
    let (model, _) = gpt2();
    let refused = |tokens: &Tensor| model.forward(tokens, &mut ()).unwrap_err().to_string();
    let text = refused(&Tensor::from_slice(&[1i64, 97]).unsqueeze(0));
    assert!(text.contains("token ids run from 1 to 97") && text.contains("0 to 96"), "{text}");
    assert!(refused(&Tensor::zeros([1, 65], (Kind::Int64, Device::Cpu))).contains("takes at most 64"));
    assert!(refused(&Tensor::zeros([4], (Kind::Int64, Device::Cpu))).contains("expected [batch, pos]"));
    assert!(refused(&Tensor::zeros([1, 4], (Kind::Float, Device::Cpu))).contains("expected Int64"));
}

#[test]
fn write_matrices_lead_from_hook_points_to_what_they_add() {
    let (model, tokens) = gpt2();
    let names =
        ["attn.hook_z", "hook_attn_out", "mlp.hook_post", "hook_mlp_out"].map(|n| format!("blocks.1.{n}"));
    let mut seen = Seen::new(&names.each_ref().map(String::as_str));
    drop(model.forward(&tokens, &mut seen).unwrap());
    for (from, to) in [(0, 1), (2, 3)] {
        let hook = model.hook_point(&names[from]).unwrap();
        let matrix = model.write_matrix(&hook).unwrap().unwrap();
        assert_eq!(matrix.size(), [model.hook_width(&hook), 32]);
        // Up to the bias, which differences do not have.
        let (x, y) = (seen.get(&names[from]), seen.get(&names[to]));
        let error = max_abs(&(x - x.get(0).get(0)).matmul(&matrix), &(y - y.get(0).get(0)));
        assert!(error <= 1e-5, "{error}");
    }
    let resid = model.hook_point("blocks.0.hook_resid_post").unwrap();
    assert!(model.write_matrix(&resid).unwrap().is_none());
    let q = model.hook_point("blocks.0.attn.hook_q").unwrap();
    assert!(model.write_matrix(&q).unwrap_err().to_string().contains("nothing linear leads from"));
}

#[test]
fn the_heads_pieces_make_its_logits() {
    for family in ["gpt2", "llama", "gemma2"] {
        let model = Model::load(&fixture("models").join(family), Device::Cpu, Kind::Float).unwrap();
        let head = model.head();
        let (x, y) = (randn(&[3, 32], 1), randn(&[3, 32], 2));
        let uncapped =
            head.unnormalised(&x).unwrap() / head.scale(&x).unwrap().unsqueeze(-1) + head.constant();
        let logits = head.capped(uncapped).unwrap();
        assert!(max_abs(&logits, &head.logits(&x).unwrap()) <= 1e-6);
        let linear = |x: &Tensor| head.unnormalised(x).unwrap();
        let sum = linear(&(&x + &y * 2.0));
        assert!(max_abs(&sum, &(linear(&x) + linear(&y) * 2.0)) <= 1e-4, "linear");
        assert_eq!((head.is_centred(), head.soft_cap().is_some()), (family == "gpt2", family == "gemma2"));
    }
}

#[test]
fn preprocessing_centres_residuals_and_folds_value_biases() {
    let both = Preprocessing { center_writing_weights: true, fold_value_biases: true };
    let (gpt2, _) = gpt2();
    let qwen = Model::load(&fixture("models/qwen2"), Device::Cpu, Kind::Float).unwrap();
    let x = randn(&[2, 5, 32], 1);
    let at = |model: &Model, name: &str| both.apply(model, &model.hook_point(name).unwrap(), &x).unwrap();
    let centred = &x - x.mean_dim(-1, true, Kind::Float);
    assert!(max_abs(&at(&gpt2, "blocks.1.hook_resid_pre"), &centred) <= 1e-6);
    assert!(max_abs(&at(&gpt2, "hook_embed"), &centred) <= 1e-6);
    assert!(max_abs(&at(&qwen, "blocks.1.hook_resid_pre"), &x) <= 0.0, "RMSNorm models are never centred");
    assert!(max_abs(&at(&gpt2, "blocks.1.ln1.hook_normalized"), &x) <= 0.0);
    let weights = Weights::open(&fixture("models/gpt2/model.safetensors")).unwrap();
    let bias = read(&weights, "transformer.h.1.attn.c_attn.bias", Kind::Float).narrow(0, 64, 32);
    assert!(max_abs(&at(&gpt2, "blocks.1.attn.hook_z"), &(&x - bias)) <= 1e-6);
    // Two key heads for four heads: each bias serves two neighbours.
    let weights = Weights::open(&fixture("models/qwen2/model.safetensors")).unwrap();
    let bias = read(&weights, "model.layers.1.self_attn.v_proj.bias", Kind::Float).reshape([2, 8]);
    let bias = bias.repeat_interleave_self_int(2, 0, None).reshape([32]);
    assert!(max_abs(&at(&qwen, "blocks.1.attn.hook_z"), &(&x - bias)) <= 1e-6);
}

/// A window over the whole row changes nothing; a window of one lets a token see only itself.
#[test]
fn mistrals_window_limits_what_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture("models/mistral");
    fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    let with = |window: i64| {
        let mut config = config.clone();
        config["sliding_window"] = json!(window);
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        Model::load(folder.path(), Device::Cpu, Kind::Float).unwrap()
    };
    let tokens = Tensor::from_slice(&[5i64, 6, 7, 8, 9, 5, 6, 7]).reshape([1, 8]);
    let whole = Model::load(&from, Device::Cpu, Kind::Float).unwrap().forward(&tokens, &mut ()).unwrap();
    assert!(max_abs(&with(8).forward(&tokens, &mut ()).unwrap(), &whole) <= 1e-6);
    assert!(max_abs(&with(3).forward(&tokens, &mut ()).unwrap(), &whole) > 1e-3);
    let alone = with(1).forward(&tokens, &mut ()).unwrap();
    let single = with(1).forward(&tokens.narrow(1, 7, 1), &mut ()).unwrap();
    assert!(max_abs(&alone.narrow(1, 7, 1), &single) <= 1e-5, "values do not rotate");
}

/// A token's mixture does not depend on which others are in the batch.
#[test]
fn a_mixture_treats_each_token_alone() {
    for family in ["qwen3_moe", "gpt_oss"] {
        let model = Model::load(&fixture("models").join(family), Device::Cpu, Kind::Float).unwrap();
        let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]).reshape([3, 4]);
        let together = model.forward(&tokens, &mut ()).unwrap();
        for row in 0..3 {
            let alone = model.forward(&tokens.narrow(0, row, 1), &mut ()).unwrap();
            assert!(max_abs(&together.narrow(0, row, 1), &alone) <= 1e-5, "{family}");
        }
    }
}

#[test]
fn hook_points_have_the_names_of_modules_too() {
    let config = |family: &str| ModelConfig::read(&fixture("models").join(family)).unwrap();
    for (family, path, hook) in [
        ("llama", "model.layers.0", "blocks.0.hook_resid_post"),
        ("llama", "transformer.h.1", "blocks.1.hook_resid_post"),
        ("llama", "gpt_neox.layers.2", "blocks.2.hook_resid_post"),
        ("llama", "model.layers.1.mlp", "blocks.1.mlp.hook_out"),
        ("llama", "transformer.h.0.mlp", "blocks.0.mlp.hook_out"),
        ("llama", "model.embed_tokens", "hook_embed"),
        ("gpt2", "transformer.wpe", "hook_pos_embed"),
        ("llama", "model.layers.2.input", "blocks.2.hook_resid_pre"),
        ("llama", "model.layers.2.self_attn.o_proj.input", "blocks.2.attn.hook_z"),
        ("llama", "model.layers.2.post_attention_layernorm.input", "blocks.2.hook_resid_mid"),
        ("llama", "model.layers.2.post_attention_layernorm", "blocks.2.mlp.hook_in"),
        ("gpt_neox", "gpt_neox.layers.1.post_attention_layernorm.input", "blocks.1.hook_resid_pre"),
        ("gemma3", "model.layers.3.output", "blocks.3.hook_resid_post"),
        ("gemma3", "model.layers.3.pre_feedforward_layernorm.output", "blocks.3.mlp.hook_in"),
        ("gemma3", "model.layers.3.post_feedforward_layernorm.output", "blocks.3.hook_mlp_out"),
        ("gemma3", "model.layers.3.post_attention_layernorm", "blocks.3.hook_attn_out"),
        ("gemma3", "model.layers.3.self_attn", "blocks.3.attn.hook_out"),
        ("gemma3", "language_model.model.layers.3.mlp.input", "blocks.3.mlp.hook_in"),
        ("gemma3", "blocks.3.hook_mlp_in", "blocks.3.mlp.hook_in"),
        ("gpt2", "transformer.h.1.mlp.act", "blocks.1.mlp.hook_post"),
        ("gpt2", "h.1.mlp.c_proj.input", "blocks.1.mlp.hook_post"),
        ("gptj", "transformer.h.1.mlp.fc_in", "blocks.1.mlp.hook_pre"),
        ("opt", "model.decoder.layers.2.fc2.input", "blocks.2.mlp.hook_post"),
        ("qwen3", "model.layers.1.mlp.up_proj", "blocks.1.mlp.hook_pre_linear"),
        ("gpt2", " blocks.1.hook_resid_pre ", "blocks.1.hook_resid_pre"),
    ] {
        assert_eq!(config(family).hook_point(path).unwrap().to_string(), hook, "{family} {path}");
    }
    let refused = |family: &str, name: &str| config(family).hook_point(name).unwrap_err().to_string();
    for name in ["model.norm", "model.layers.1.mlp.act_fn", "model.layers.1.nonsense", "lm_head", "somewhere"]
    {
        assert!(!refused("llama", name).contains("did you mean"), "{name}");
    }
    assert!(
        refused("gemma2", "model.embed_tokens").contains("cannot be read at the output"),
        "scaled outside the module"
    );
    assert!(refused("llama", "model.layers.7").contains("has blocks 0 to 2"));
    let text = refused("llama", "blocks.3.hook_resid_pre");
    assert!(text.ends_with("did you mean \"blocks.2.hook_resid_post\"?"), "{text}");
    let text = refused("llama", "hook_resid_pre");
    assert!(text.ends_with("did you mean \"blocks.0.hook_resid_pre\"?"), "{text}");
    let text = refused("llama", "blocks.0.resid_post");
    assert!(text.ends_with("did you mean \"blocks.0.hook_resid_post\"?"), "{text}");
    let text = refused("qwen3_moe", "blocks.0.mlp.hook_post");
    assert!(text.contains("block 0 of qwen3_moe is a mixture of experts"), "{text}");
    assert!(config("qwen3_moe").hook_point("blocks.1.mlp.hook_post").is_ok(), "block 1 is dense");
    assert!(refused("olmo2", "blocks.0.ln1.hook_normalized").contains("no norms before"));
}
