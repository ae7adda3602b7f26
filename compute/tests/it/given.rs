//! Activations that other programs computed: the same numbers as a run's own, and wrong folders by name.

use std::{
    fs,
    path::{Path, PathBuf},
    slice,
};

use clap::Parser as _;
use compute::{
    bundle::Bundle,
    cli::{Cli, Command},
    plan::Plan,
    run::{self, Decoder, Machine, load},
};
use serde_json::json;
use shared::{
    corpus::CorpusChunk,
    feature::{Feature, FeatureBlock},
    layout::Component,
    paths,
};
use tch::{Kind, Tensor};

use crate::{
    tiny::{compute, fail, succeed},
    written,
};

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

const OPTIONS: [&str; 6] = ["--device", "cpu", "--sequences", "24", "--no-effects", "--quiet"];

/// The activations of the demo's SAE on 24 rows, and what a run knows of it.
struct Own {
    tokens: Tensor,
    /// `[n_pos, n]`.
    acts: Tensor,
    hook_acts: Tensor,
    decoder: Tensor,
    logits: Tensor,
}

impl Own {
    fn compute(out: &Path) -> Self {
        let mut args: Vec<String> = vec!["compute".into(), "run".into()];
        args.extend(OPTIONS.map(str::to_owned));
        for (name, path) in [
            ("--model", demo("model")),
            ("--data", demo("tokens.npy")),
            ("--sae", demo("sae-mlp-b")),
            ("--out", out.to_owned()),
        ] {
            args.extend([name.to_owned(), path.display().to_string()]);
        }
        let Command::Run(args) = Cli::parse_from(args).command else { panic!("not a run") };
        let plan = Plan::new(&args.options).unwrap();
        let machine = Machine::open(&plan.input).unwrap();
        let corpus = run::prepare(&plan).unwrap();
        let subject = load::subject(slice::from_ref(&plan), &machine).unwrap();
        let tokens = corpus.rows.tensor(0..corpus.rows.n_rows());
        let (hook_acts, _) = subject.forward(&tokens, false).unwrap();
        let (_, tapped) = subject.saes().next().unwrap();
        let acts = tapped.sae.encode(&hook_acts[0]).unwrap();
        let Decoder { rows, resid } = Decoder::of(&subject, 0).unwrap();
        let logits = subject.model.head().unnormalised(&resid).unwrap();
        Self { tokens, acts, hook_acts: hook_acts[0].shallow_clone(), decoder: rows, logits }
    }

    /// Where it is active: positions, features, values, in order.
    fn entries(&self) -> [Tensor; 3] {
        let found = self.acts.nonzero(); // [n, 2]
        let values = self.acts.masked_select(&self.acts.not_equal(0.0));
        [found.select(1, 0).contiguous(), found.select(1, 1).contiguous(), values]
    }

    /// Writes the folder, its entries in two files.
    fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let n_features = self.acts.size()[1];
        let about = json!({
            "format": "sae-vis activations", "version": 1, "n_features": n_features, "name": "probe", "model": "demo",
        });
        fs::write(folder.join("activations.json"), about.to_string()).unwrap();
        written::safetensors(&folder.join("tokens.safetensors"), &[("tokens", &self.tokens)]);
        written::safetensors(&folder.join("hook_acts.safetensors"), &[("hook_acts", &self.hook_acts)]);
        written::safetensors(&folder.join("decoder.safetensors"), &[("W_dec", &self.decoder)]);
        written::safetensors(&folder.join("logits.safetensors"), &[("logits", &self.logits)]);
        let [positions, features, values] = self.entries();
        let n = positions.size()[0];
        for (i, (from, to)) in [(0, n / 3), (n / 3, n)].into_iter().enumerate() {
            let part = |t: &Tensor| t.narrow(0, from, to - from).contiguous();
            let (positions, features, values) =
                (part(&positions), part(&features).to_kind(Kind::Int), part(&values));
            let entries = [("positions", &positions), ("features", &features), ("values", &values)];
            written::safetensors(&folder.join(format!("acts-{i:04}.safetensors")), &entries);
        }
    }
}

fn import(format: &str, from: &Path, out: &Path) -> std::process::Command {
    let mut command = compute();
    command.args(["import", "--quiet", "--from", format]).arg(from).arg("--out").arg(out);
    command.arg("--tokenizer").arg(demo("model"));
    command
}

fn features(bundle: &Path) -> Vec<Feature> {
    let bundle = Bundle::open(bundle).unwrap();
    (0..bundle.manifest.blocks.len())
        .flat_map(|i| bundle.file::<FeatureBlock>(&paths::block(i)).unwrap().features)
        .collect()
}

/// A run of the same rows without effects.
fn run(out: &Path) {
    let mut command = compute();
    command.arg("run").args(OPTIONS).arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-mlp-b"));
    succeed(command.arg("--data").arg(demo("tokens.npy")).arg("--out").arg(out));
}

#[test]
fn a_bundle_of_own_activations_holds_what_a_run_computes() {
    let _no_grad = tch::no_grad_guard();
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    run(&at("run"));
    Own::compute(&at("unused")).write(&at("acts"));
    succeed(&mut import("activations", &at("acts"), &at("own")));
    let (run, own) = (features(&at("run")), features(&at("own")));
    assert_eq!(run.len(), own.len());
    let mut n_sequences = 0;
    for (run, own) in run.iter().zip(&own) {
        let feature = run.feature;
        // Batches of other sizes round products with the encoder differently.
        assert_eq!(
            (run.stats.n_active, run.stats.density),
            (own.stats.n_active, own.stats.density),
            "{feature}"
        );
        assert!((run.stats.max - own.stats.max).abs() < 1e-4, "{feature}");
        let tables = |f: &Feature| {
            let of = |t: &Option<Vec<shared::feature::Correlated>>| -> Vec<u32> {
                t.iter().flatten().map(|row| row.index).collect()
            };
            let aligned: Vec<u32> =
                f.tables.neuron_alignment.iter().flatten().map(|row| row.neuron).collect();
            (aligned, of(&f.tables.correlated_neurons), of(&f.tables.correlated_features))
        };
        assert_eq!(tables(run), tables(own), "{feature}");
        let logits = |f: &Feature| -> Vec<u32> {
            f.logits_table
                .iter()
                .flat_map(|t| t.top.iter().chain(&t.bottom))
                .map(|row| row.token_id)
                .collect()
        };
        assert_eq!(logits(run), logits(own), "{feature}");
        assert_eq!(run.logits_histogram.is_some(), own.logits_histogram.is_some());
        let examples = |f: &Feature| {
            let s = f.sequences.as_ref().unwrap();
            let bold: Vec<(u32, u32)> = s.bold_tokens().collect();
            (
                bold,
                s.token_ids.clone(),
                s.groups.iter().map(|g| (g.n_examples, g.n_positions)).collect::<Vec<_>>(),
            )
        };
        n_sequences += usize::from(examples(run) == examples(own));
        assert!(own.sequences.as_ref().unwrap().row_acts.effects.at.is_empty());
    }
    // Bins of an interval may take another value where one lies at its edge.
    assert!(100 * n_sequences >= 99 * run.len(), "{n_sequences} of {} have the same examples", run.len());
    let bundle = Bundle::open(&at("own")).unwrap();
    let manifest = &bundle.manifest;
    assert_eq!((manifest.sae.name.as_str(), manifest.model.name.as_str()), ("probe", "demo"));
    assert_eq!((manifest.dataset.n_rows, manifest.dataset.seq_len), (Some(24), Some(128)));
    assert!(manifest.health.l0.is_some() && manifest.has_rows());
    assert_eq!(
        bundle.file::<CorpusChunk>(&paths::chunk(0)).unwrap().token_ids,
        Bundle::open(&at("run")).unwrap().file::<CorpusChunk>(&paths::chunk(0)).unwrap().token_ids
    );
}

#[test]
fn what_is_not_known_is_absent() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("acts");
    fs::create_dir(&folder).unwrap();
    let about = json!({ "format": "sae-vis activations", "version": 1, "n_features": 3, "signed": true });
    fs::write(folder.join("activations.json"), about.to_string()).unwrap();
    written::safetensors(
        &folder.join("tokens.safetensors"),
        &[("tokens", &Tensor::from_slice(&[0i64, 1, 2, 1]).view([2, 2]))],
    );
    let entries = |positions: &[i64], features: &[i64], values: &[f32]| {
        let [positions, features] = [positions, features].map(Tensor::from_slice);
        let values = Tensor::from_slice(values);
        let all = [("positions", &positions), ("features", &features), ("values", &values)];
        written::safetensors(&folder.join("acts-0000.safetensors"), &all);
    };
    fs::write(folder.join("vocab.json"), "[\"a\", \" b\", \"c\"]").unwrap();
    entries(&[1, 3, 3], &[0, 0, 2], &[0.5, -2.0, 0.0]);
    let out = temp.path().join("out");
    succeed(&mut import("activations", &folder, &out));
    let found = features(&out);
    let active: Vec<Option<u64>> = found.iter().map(|f| f.stats.n_active).collect();
    assert_eq!(active, [Some(2), Some(0), Some(0)], "0 is no activation");
    assert_eq!((found[0].stats.max, found[0].stats.min), (0.5, -2.0));
    assert!(found[0].logits_table.is_none() && found[0].tables.neuron_alignment.is_none());
    let bundle = Bundle::open(&out).unwrap();
    assert_eq!(bundle.vocab.texts(&[0, 1, 2]), ["a", " b", "c"]);
    let components: Vec<&str> = bundle.manifest.layouts.feature.components().map(Component::name).collect();
    assert!(!components.contains(&"logits_table"), "{components:?}");

    // Each fault by its name, and nothing left.
    let other = temp.path().join("other");
    let said = || fail(&mut import("activations", &folder, &other));
    for (positions, features, values, why) in [
        (&[4][..], &[0][..], &[1.0][..], "an activation is at position 4, the text has 4, counted from 0"),
        (&[-1], &[0], &[1.0], "an activation is at position -1"),
        (&[0], &[3], &[1.0], "an activation is of feature 3, there are 3, counted from 0"),
        (&[0], &[0], &[f32::NAN], "\"values\" holds NaN or infinite values"),
        (
            &[1, 0],
            &[0, 0],
            &[1.0, 1.0],
            "activations are not in order: position 0, feature 0 comes after position 1",
        ),
        (&[1, 1], &[0, 0], &[1.0, 1.0], "activations are not in order"),
        (&[1, 2], &[0], &[1.0], "positions has 2 entries, features 1, values 1: expected the same"),
    ] {
        entries(positions, features, values);
        let said = said();
        assert!(said.contains(why), "{said}");
    }
    entries(&[1], &[0], &[-1.0]);
    let unsigned = json!({ "format": "sae-vis activations", "version": 1, "n_features": 3 });
    fs::write(folder.join("activations.json"), unsigned.to_string()).unwrap();
    assert!(said().contains("say that activations are signed, or leave out what is below 0"));
    fs::write(folder.join("vocab.json"), "[\"a\"]").unwrap();
    entries(&[1], &[0], &[1.0]);
    assert!(said().contains("the text has token ids beyond the 1 that are known"));
    fs::write(folder.join("activations.json"), "{\"format\": \"x\", \"version\": 1, \"n_features\": 3}")
        .unwrap();
    assert!(said().contains("expected format \"sae-vis activations\", version 1, got \"x\", version 1"));
    fs::remove_file(folder.join("activations.json")).unwrap();
    assert!(said().contains("no activations here: expected a folder with activations.json"));
    assert!(!other.exists());
}

#[test]
fn a_run_of_delphi_is_a_bundle_with_explanations_and_scores() {
    let _no_grad = tch::no_grad_guard();
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let own = Own::compute(&at("unused"));
    own.write(&at("acts"));
    let [positions, features_of, values] = own.entries();
    let delphi = at("delphi");
    let latents = delphi.join("latents/layers.0.mlp");
    fs::create_dir_all(&latents).unwrap();
    let seq_len = own.tokens.size()[1];
    // As it writes them: a file for each range of latents, half precision.
    for (start, end) in [(0, 499), (500, 1023)] {
        let mask = features_of.greater_equal(start).logical_and(&features_of.less_equal(end));
        let [positions, latents_of, values] =
            [&positions, &features_of, &values].map(|t| t.masked_select(&mask));
        let rows = positions.divide_scalar_mode(seq_len, "floor");
        let columns = [&rows, &(&positions - &rows * seq_len), &(latents_of - start)];
        let locations = Tensor::stack(&columns, 1).to_kind(Kind::Int);
        let acts = values.to_kind(Kind::Half);
        let all = [("locations", &locations), ("activations", &acts), ("tokens", &own.tokens)];
        written::safetensors(&latents.join(format!("{start}_{end}.safetensors")), &all);
    }
    let put = |path: &str, text: &str| {
        let path = delphi.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("explanations/layers.0.mlp_latent7.txt", "\"commas in lists\"");
    let judged = r#"[{"str_tokens": ["a"], "correct": true}, {"correct": false}, {"correct": null}, {"correct": true}]"#;
    put("scores/detection/layers.0.mlp_latent7.txt", judged);
    put("scores/fuzz/layers.0.mlp_latent7.txt", "[{\"correct\": true}]");
    succeed(&mut import("delphi", &delphi, &at("bundle")));
    succeed(&mut import("activations", &at("acts"), &at("own")));
    let (found, own) = (features(&at("bundle")), features(&at("own")));
    assert_eq!(found.len(), 1024);
    for (found, own) in found.iter().zip(&own) {
        assert_eq!(found.stats.n_active, own.stats.n_active, "{}", own.feature);
        assert!((found.stats.max - own.stats.max).abs() <= 1e-3 * own.stats.max, "{}", own.feature);
        assert!(found.logits_table.is_none());
    }
    let bundle = Bundle::open(&at("bundle")).unwrap();
    assert_eq!(bundle.manifest.sae.hook.as_deref(), Some("layers.0.mlp"));
    let explanations = bundle.explanations().unwrap();
    let [explanation] = explanations.of(7) else { panic!("{explanations:?}") };
    let scores: Vec<(&str, f64)> = explanation.scores.iter().map(|s| (s.test.as_str(), s.value)).collect();
    assert_eq!(explanation.text, "commas in lists");
    assert_eq!(scores, [("detection", 2.0 / 3.0), ("fuzz", 1.0)]);

    fs::create_dir(delphi.join("latents/layers.1")).unwrap();
    let said = fail(&mut import("delphi", &delphi, &at("new")));
    assert!(said.contains("name one with --module (layers.0.mlp, layers.1)"), "{said}");
    succeed(import("delphi", &delphi, &at("new")).args(["--module", "layers.0.mlp"]));
    let said = fail(import("delphi", &delphi, &at("other")).args(["--module", "layers.1"]));
    assert!(said.contains("no files START_END.safetensors"), "{said}");
    let said = fail(&mut import("delphi", &at("acts"), &at("other")));
    assert!(said.contains("no run of delphi here: expected a folder latents"), "{said}");
}
