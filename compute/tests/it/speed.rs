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
