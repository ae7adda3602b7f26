//! The stages of a run, called one by one: whatever ranges of batches and of features they are given, the bundle has the
//! bytes of one run; a pass with many taps leaves what passes with one tap each leave.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    slice,
};

use clap::Parser;
use compute::{
    backend::MemoryBudget,
    bundle::BundleWriter,
    cli::{Cli, Command},
    pass::{Pass, PassOutput, SaeOutput, Subject, Tap, TappedSae},
    plan::Plan,
    progress::Progress,
    run::{self, Corpus, Machine, load},
    sae::Sae,
};
use tch::{Device, Kind};

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(name)
}

/// The plan of a run of five batches and a part of one.
fn plan(out: &Path, more: &[&str]) -> Plan {
    let text = |path: PathBuf| path.display().to_string();
    let mut args = vec!["compute".to_owned(), "run".to_owned(), "--device".to_owned(), "cpu".to_owned()];
    for (name, value) in [
        ("--model", text(demo("model"))),
        ("--sae", text(demo("sae-mlp-a"))),
        ("--sae-b", text(demo("sae-mlp-b"))),
        ("--data", text(demo("tokens.npy"))),
        ("--out", text(out.to_owned())),
        ("--sequences", "44".to_owned()),
        ("--batch-rows", "8".to_owned()),
        ("--prompt", "def __init__(self):".to_owned()),
    ] {
        args.extend([name.to_owned(), value]);
    }
    args.extend(more.iter().map(ToString::to_string));
    let Command::Run(args) = Cli::parse_from(args).command else { panic!("not a run") };
    Plan::new(&args.options).unwrap()
}

/// All files of a folder, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// `0..n` cut at `cuts`.
fn ranges(n: usize, cuts: &[usize]) -> Vec<Range<usize>> {
    let ends = cuts.iter().copied().filter(|cut| *cut < n).chain([n]);
    ends.scan(0, |start, end| Some(std::mem::replace(start, end)..end)).collect()
}

/// Makes the bundle stage by stage, with a shard for each range of batches and a merge for each range of features.
fn staged(plan: &Plan, shard_cuts: &[usize], merge_cuts: &[usize]) {
    let corpus = run::prepare(plan).unwrap();
    let machine = Machine::open(&plan.input).unwrap();
    let mut subject = load::subject(slice::from_ref(plan), &machine).unwrap();
    load::skip_tokens(&plan.input, corpus.tokenizer.as_ref(), &mut subject);
    let health = run::health(slice::from_ref(plan), &machine, &corpus, &subject).unwrap().remove(0);
    load::choose_features(plan, &machine, &mut subject).unwrap();

    let shard =
        |batches| run::pass(slice::from_ref(plan), &machine, &corpus, &subject, batches, |_| ()).unwrap();
    let shards = ranges(run::n_batches(&machine, &corpus), shard_cuts).into_iter().map(shard);
    let output = shards.reduce(|mut all, shard| {
        all.append(shard).unwrap();
        all
    });
    let output = output.unwrap();

    let mut writer = BundleWriter::new(&plan.out).unwrap();
    run::write_corpus(plan, &corpus, writer.text()).unwrap();
    let mut progress = Progress::new(true);
    for part in ranges(plan.features.len(), merge_cuts) {
        let write = |features| writer.features(features);
        run::features(plan, &corpus, &subject, &output, part, &mut progress, write).unwrap();
    }
    writer.end_of_features().unwrap();
    let prompts = run::prompts(plan, &corpus, &subject, &output, |_| ()).unwrap();
    run::write_prompts(plan, &prompts, &mut writer).unwrap();
    let health = run::whole_health(plan, &corpus, &output, health).unwrap();
    let sha256 = run::provenance::sha256(&plan.input.model.path).unwrap();
    run::finish(plan, &machine, &corpus, (health, sha256), writer).unwrap();
}

#[test]
fn a_bundle_has_the_same_bytes_whatever_shards_and_merges_made_it() {
    let _no_grad = tch::no_grad_guard();
    let temp = tempfile::tempdir().unwrap();
    for (name, more) in
        [("some", &["--features", "0..40,100..130"][..]), ("all", &["--skip-special", "--no-effects"])]
    {
        let whole = temp.path().join(name).join("whole");
        run::bundle(&plan(&whole, more), &mut Progress::new(true)).unwrap();
        let expected = files(&whole);
        assert!(expected.len() >= 6, "{expected:?}");
        let recomputed = temp.path().join(name).join("recomputed");
        let more_so = [more, &["--recompute-resid"]].concat();
        run::bundle(&plan(&recomputed, &more_so), &mut Progress::new(true)).unwrap();
        assert!(files(&recomputed) == expected, "{name}: residuals computed again");
        let splits: &[(&[usize], &[usize])] =
            &[(&[], &[]), (&[2], &[33]), (&[1, 2, 3, 4, 5], &[1, 50]), (&[5], &[])];
        for (i, (shards, merges)) in splits.iter().enumerate() {
            let out = temp.path().join(name).join(i.to_string());
            staged(&plan(&out, more), shards, merges);
            assert!(files(&out) == expected, "{name}: shards cut at {shards:?}, merges at {merges:?}");
        }
    }
}

/// Everything that a pass left of an SAE, as bits.
fn bits(output: &SaeOutput) -> (Vec<u32>, Vec<u32>, Vec<u64>) {
    let n_features = output.acts.n_features();
    let acts = output.acts.features(0..n_features).unwrap();
    let (mut positions, mut values, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for f in 0..n_features {
        let (at, acts) = acts.of(f);
        positions.extend_from_slice(at);
        values.extend(acts.iter().map(|act| act.to_bits()));
        sums.extend(output.neurons.products(f).iter().map(|sum| sum.to_bits()));
    }
    sums.extend(output.neurons.of_neurons().concat().iter().map(|sum| sum.to_bits()));
    (positions, values, sums)
}

#[test]
fn each_of_three_taps_gives_what_a_pass_of_its_own_gives() {
    let _no_grad = tch::no_grad_guard();
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(&temp.path().join("unused"), &[]);
    let corpus: Corpus = run::prepare(&plan).unwrap();
    let mut subject = load::subject(slice::from_ref(&plan), &Machine::open(&plan.input).unwrap()).unwrap();
    let tap = |name: &str, hook: &str| {
        let hook = subject.model.hook_point(hook).unwrap();
        let sae = Sae::load(&demo(name), None, Device::Cpu).unwrap().encoding_in(Kind::Float);
        let sae = TappedSae { sae, hook_out: hook, skipped: Vec::new(), neuron_sums: true };
        Tap { hook, preprocessing: subject.taps[0].preprocessing, saes: vec![sae] }
    };
    let mlp = subject.taps[0].hook.to_string();
    let taps = [
        tap("sae-mlp-a", &mlp),
        tap(
            "sae-resid",
            &Sae::load(&demo("sae-resid"), None, Device::Cpu).unwrap().config().hook.clone().unwrap(),
        ),
        tap("sae-mlp-b", &mlp),
    ];
    assert!(taps[0].hook == taps[2].hook && taps[0].hook != taps[1].hook);
    let pass = |subject: &Subject| -> PassOutput {
        Pass::whole(&corpus.rows, 8).run(subject, &MemoryBudget::unlimited(), |_| ()).unwrap()
    };
    let mut alone = Vec::new();
    let mut all = Vec::new();
    for tap in taps {
        subject.taps = vec![tap];
        alone.push(bits(&pass(&subject).taps[0][0]));
        all.append(&mut subject.taps);
    }
    subject.taps = all;
    let output = pass(&subject);
    assert_eq!(output.taps.len(), 3);
    for (tap, alone) in output.taps.iter().zip(&alone) {
        assert!(!alone.0.is_empty() && bits(&tap[0]) == *alone);
    }
    assert!(alone[0] != alone[2]);
}
