//! How far a forward pass is from its matrix products alone. Run by hand:
//! `cargo test --release -p compute --test it speed -- --ignored --nocapture`.

use std::path::Path;
use std::time::Instant;

use compute::model::{HookPoint, Hooks, Model, Site};
use tch::{Device, Kind, Tensor};

struct One(HookPoint);

impl Hooks for One {
    fn wants(&self, hook: &HookPoint) -> bool {
        *hook == self.0
    }

    fn visit(&mut self, _hook: &HookPoint, _acts: &Tensor) -> Option<Tensor> {
        None
    }
}

#[test]
#[ignore = "a measurement"]
fn a_forward_pass_over_131_072_tokens_of_the_demo_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/model");
    let model = Model::load(&folder, Device::Cpu, Kind::Float).unwrap();
    let config = model.config();
    let (d, n_pos, batch) = (config.d_model, 128, 64);
    let mut hooks = One(HookPoint { layer: config.n_layers() - 1, site: Site::ResidPre });
    let tokens = Tensor::randint(config.d_vocab, [batch, n_pos], (Kind::Int64, Device::Cpu));
    drop(model.forward(&tokens, &mut hooks).unwrap());
    let start = Instant::now();
    for _ in 0..16 {
        drop(model.forward(&tokens, &mut hooks).unwrap());
    }
    let whole = start.elapsed();
    let x = Tensor::randn([batch * n_pos, d], (Kind::Float, Device::Cpu));
    let big = Tensor::randn([d, 12 * d], (Kind::Float, Device::Cpu)); // a block's weights: 12 d^2
    drop(x.matmul(&big));
    let start = Instant::now();
    for _ in 0..16 * config.n_layers() {
        drop(x.matmul(&big));
    }
    println!("131,072 tokens: {whole:?}; their matrix products alone: {:?}", start.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn a_vocabulary_of_262_144_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let mut words: Vec<String> = (0..262_144).map(|i| format!("▁{i:x}")).collect();
    for (spaces, word) in words[1000..1030].iter_mut().enumerate() {
        *word = "▁".repeat(spaces + 2);
    }
    let added = |i: usize| {
        serde_json::json!({
            "id": i, "content": words[i], "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": i < 10,
        })
    };
    let ids: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(i, word)| (word.clone(), i.into())).collect();
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
        "added_tokens": (0..6000).map(added).collect::<Vec<_>>(),
        "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        "decoder": { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        "model": { "type": "BPE", "vocab": ids, "merges": [] },
    });
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    // Of this thread, so that others on a busy machine do not count.
    let cpu_secs = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        (fields[10] + fields[11]) / 100.0
    };
    let start = cpu_secs();
    let tokenizer = compute::corpus::Tokenizer::of_model(folder.path()).unwrap();
    let read = cpu_secs();
    let vocab = compute::corpus::vocab(tokenizer.as_ref(), words.len());
    let (read, made) = (read - start, cpu_secs() - read);
    println!(
        "{} tokens: tokenizer read in {read:.2} s, vocabulary made in {made:.2} s of the CPU",
        vocab.len()
    );
}
