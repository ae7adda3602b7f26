//! Each kernel of `compute` on one thread, and the bundle's files, at sizes like a real run's.

#![expect(missing_docs, reason = "criterion's macros write a main without docs")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::{collections::BTreeSet, hint::black_box};

use compute::{
    backend::MemoryBudget,
    effects::{Ablation, Backend, Directions, ablate},
    model::Model,
    sae::Sae,
    stats::{correlations::Products, moments, top},
    store::{BatchResid, ByPosition, Residuals, Store},
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use harness::project::Project;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use shared::{
    bundle::{decode, encode},
    feature::FeatureBlock,
    manifest::Manifest,
    paths,
};
use tch::{Device, Kind, Tensor};

/// Positions in a batch: 16 rows of 128.
const BATCH: i64 = 2048;
/// Tokens of GPT-2's vocabulary.
const D_VOCAB: usize = 50_257;

fn demo(name: &str) -> std::path::PathBuf {
    Project::here().root().join("demo").join(name)
}

/// Activations of `n_features` at `n_positions`, of which `share` are active.
fn acts(n_positions: usize, n_features: usize, share: f64) -> ByPosition {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut all = ByPosition::new(n_features, 0);
    for _ in 0..n_positions {
        let acts: Vec<f32> =
            (0..n_features).map(|_| if rng.random_bool(share) { rng.random() } else { 0.0 }).collect();
        all.extend_dense(&acts);
    }
    all
}

fn floats(n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    (0..n).map(|_| rng.random::<f32>() - 0.5).collect()
}

fn encode_and_keep(c: &mut Criterion) {
    tch::set_num_threads(1);
    let sae = Sae::load(&demo("sae-mlp-a"), None, Device::Cpu).unwrap();
    let acts = Tensor::randn([BATCH, 512], (Kind::Float, Device::Cpu));
    let dense: Vec<f32> = sae.encode(&acts).unwrap().flatten(0, -1).try_into().unwrap();
    let mut group = c.benchmark_group("batch of 2048 positions, 2048 features");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("encode", |b| b.iter(|| black_box(sae.encode(&acts).unwrap())));
    group.bench_function("sparsify", |b| {
        b.iter(|| {
            let mut kept = ByPosition::new(2048, 0);
            kept.extend_dense(&dense);
            black_box(kept)
        });
    });
    group.finish();
}

fn sparse_store(c: &mut Criterion) {
    let by_position = acts(65_536, 2048, 0.012);
    let by_feature = by_position.by_feature();
    let mut store = Store::new(2048, 0, &MemoryBudget::unlimited());
    store.push(by_feature.clone(), 65_536);
    store.close_segment().unwrap();
    let mut group = c.benchmark_group("store of 65,536 positions, 2048 features, 1.2 % active");
    group.throughput(Throughput::Elements(by_position.n_active() as u64));
    group.bench_function("transpose", |b| b.iter(|| black_box(by_position.by_feature())));
    group.throughput(Throughput::Elements(256));
    group.bench_function("products of 256 with all, all threads", |b| {
        let mut products = Products::new(&store, &store);
        b.iter(|| products.compute(0..256).unwrap());
        black_box(products.row(0)[0]);
    });
    group.throughput(Throughput::Elements(1));
    let (_, acts) = by_feature.of(7);
    group.bench_function("moments of one", |b| b.iter(|| black_box(moments::stats(acts, 65_536))));
    group.bench_function("quantiles of one", |b| b.iter(|| black_box(moments::quantiles(acts, 65_536))));
    group.finish();
}

/// As many features as an SAE on GPT-2 has, 48 active at a position, in segments of a million activations.
fn wide_store(c: &mut Criterion) {
    const N_FEATURES: usize = 24_576;
    const SEGMENT: usize = 21_845;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut store = Store::new(N_FEATURES, 0, &MemoryBudget::unlimited());
    for first in (0..16 * SEGMENT).step_by(SEGMENT) {
        let mut found = Vec::with_capacity(48 * SEGMENT);
        for start in (0..SEGMENT).map(|position| position * N_FEATURES) {
            let at: BTreeSet<i32> =
                (0..48).map(|_| (start + rng.random_range(0..N_FEATURES)) as i32).collect();
            found.extend(at);
        }
        let acts: Vec<f32> = found.iter().map(|_| rng.random()).collect();
        let mut segment = ByPosition::new(N_FEATURES, first);
        segment.extend_found(SEGMENT, &found, &acts);
        store.push(segment.by_feature(), SEGMENT);
        store.close_segment().unwrap();
    }
    let mut group = c.benchmark_group("store of 349,520 positions, 24,576 features, 0.2 % active");
    group.sample_size(10);
    group.throughput(Throughput::Elements(2048));
    let mut products = Products::new(&store, &store);
    group.bench_function("products of 2048 with all, all threads", |b| {
        b.iter(|| products.compute(0..2048).unwrap());
    });
    group.finish();
}

fn vocabulary(c: &mut Criterion) {
    let logits = floats(D_VOCAB);
    c.bench_function("top 10 of 50,257 logits", |b| b.iter(|| black_box(top::largest(&logits, 10))));
}

fn effects(c: &mut Criterion) {
    let model = Model::load(&demo("model"), Device::Cpu, Kind::Float).unwrap();
    let d_model = model.config().d_model as usize;
    let n_positions = 1024;
    let mut resid = Residuals::new(d_model, 0, (Device::Cpu, 0), &MemoryBudget::unlimited()).unwrap();
    let x = Tensor::from_slice(&floats(n_positions * d_model)).view([n_positions as i64, d_model as i64]);
    resid.push(BatchResid::new(&x, 0, 0).unwrap()).unwrap();
    let resid = vec![resid];
    let directions = Tensor::randn([64, d_model as i64], (Kind::Float, Device::Cpu));
    let directions = Directions::new(Backend::Kernel, model.head(), &directions, 0..64).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let ablations: Vec<Ablation> = (0..8 * n_positions as u32)
        .map(|i| Ablation {
            position: i / 8,
            feature: rng.random_range(0..64),
            act: rng.random(),
            token_id: rng.random_range(0..4096),
        })
        .collect();
    let mut group = c.benchmark_group("effects, vocabulary of 4096, all threads");
    group.throughput(Throughput::Elements(ablations.len() as u64));
    group.bench_function("8 features at each of 1024 positions, 5 hover tokens", |b| {
        b.iter(|| black_box(ablate(model.head(), &resid, &directions, &ablations, 5, |_| ()).unwrap()));
    });
    group.finish();
}

fn bundle(c: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    tests::generate::generate(temp.path(), 64, 7).unwrap();
    let manifest = Manifest::from_json(&std::fs::read(temp.path().join("manifest.json")).unwrap()).unwrap();
    let path = paths::block(0);
    let bytes = std::fs::read(temp.path().join(&path)).unwrap();
    let block: FeatureBlock = decode(&manifest, &path, &bytes).unwrap();
    let mut group = c.benchmark_group(format!("a block of {} features", block.features.len()));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| {
        b.iter_batched(|| path.clone(), |path| encode(&block, path).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("decode", |b| b.iter(|| decode::<FeatureBlock>(&manifest, &path, &bytes).unwrap()));
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20).without_plots();
    targets = encode_and_keep, sparse_store, wide_store, vocabulary, effects, bundle
}
criterion_main!(kernels);
