//! Several SAEs in one run: each bundle has the bytes that a run of its own gives, neighbours are those that dense matrices
//! give, and the folder of a site loses nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use compute::{
    bundle::{Bundle, archive::archive, read_site},
    cli::{Cli, Command as Subcommand},
    plan::{Plan, SitePlan},
    run::{self, Machine, load},
};
use serde_json::Value;
use shared::{
    corpus::CorpusChunk,
    layers::NEIGHBOURS,
    manifest::Manifest,
    neighbours::{Neighbour, Neighbours},
    paths,
    vocab::Vocab,
};
use tch::{Kind, Tensor};

use crate::faults::{self, Fault};
use crate::tiny::{compute, copy, fail, files, names, succeed, write_sae};
use clap::Parser as _;

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

const SAES: [&str; 3] = ["sae-mlp-a", "sae-mlp-b", "sae-resid"];
const OPTIONS: [&str; 6] = ["--device", "cpu", "--batch-rows", "8", "--features", "0..40,100..130"];
const ROWS: [&str; 2] = ["--sequences", "24"];

/// A run of the demo's SAEs of these names, with a prompt.
fn run(saes: &[&str], out: &Path) -> Command {
    run_on(&ROWS, saes, out)
}

/// The same on other rows.
fn run_on(rows: &[&str], saes: &[&str], out: &Path) -> Command {
    let mut command = compute();
    command.args(["run", "--quiet"]).args(OPTIONS).args(rows).args(["--prompt", "def __init__(self):"]);
    command.arg("--model").arg(demo("model")).arg("--data").arg(demo("tokens.npy")).arg("--out").arg(out);
    for sae in saes {
        command.arg("--sae").arg(demo(sae));
    }
    command
}

fn manifest(folder: &Path) -> Manifest {
    Manifest::from_json(&fs::read(folder.join(paths::MANIFEST)).unwrap()).unwrap()
}

fn shared_folders(site: &Path) -> Vec<String> {
    names(&site.join("shared"))
}

#[test]
fn each_bundle_of_a_site_is_that_of_a_run_of_its_own() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("site");
    succeed(run(&["sae-*"], &site).env("RAYON_NUM_THREADS", "2"));
    let listed = read_site(&site).unwrap();
    let paths: Vec<&str> = listed.bundles.iter().map(|bundle| bundle.path.as_str()).collect();
    assert_eq!(paths, SAES, "in the order of their hook points");
    assert_eq!(listed.bundles[2].hook.as_deref(), Some("blocks.1.hook_resid_pre"));
    assert_eq!(shared_folders(&site).len(), 1);
    for (sae, listed) in SAES.iter().zip(&listed.bundles) {
        let alone = temp.path().join(sae);
        succeed(&mut run(&[sae], &alone));
        let (own, of_site) = (manifest(&alone), manifest(&site.join(sae)));
        assert_eq!(of_site.health, own.health, "{sae}");
        assert_eq!(listed.health, own.health, "{sae}");
        assert!(!own.files.is_empty() && of_site.alone() == own, "{sae}");
        for file in
            own.files.iter().filter(|file| !file.path.starts_with("corpus/") && file.path != paths::VOCAB)
        {
            let [a, b] = [&alone, &site.join(sae)].map(|folder| fs::read(folder.join(&file.path)).unwrap());
            assert!(a == b, "{sae}: {}", file.path);
        }
        let [a, b] = [&alone, &site.join(sae)].map(|folder| Bundle::open(folder).unwrap());
        assert_eq!(a.file::<Vocab>(paths::VOCAB).unwrap(), b.file::<Vocab>(paths::VOCAB).unwrap());
        assert_eq!(
            a.file::<CorpusChunk>(&paths::chunk(0)).unwrap(),
            b.file::<CorpusChunk>(&paths::chunk(0)).unwrap()
        );
    }
}

#[test]
fn a_bundle_leaves_its_site_whole() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("site");
    succeed(&mut run(&["sae-mlp-b", "sae-resid"], &site));
    let bundle = site.join("sae-resid");
    let alone = temp.path().join("alone");
    succeed(&mut run(&["sae-resid"], &alone));
    let exported = |from: &Path, out: &str, more: &[&str]| {
        let out = temp.path().join(out);
        succeed(compute().arg("export").arg(from).arg("--quiet").args(more).arg("--out").arg(&out));
        fs::read(out).unwrap()
    };
    let (a, b) = (exported(&bundle, "a.saevis", &[]), exported(&alone, "b.saevis", &[]));
    assert!(a == b, "the archive of a bundle of a site is that of a bundle of its own");
    let some = ["--features", "3..9"];
    assert!(exported(&bundle, "c.saevis", &some) == exported(&alone, "d.saevis", &some));
    let [a, b] = [(&bundle, "a.json"), (&alone, "b.json")].map(|(from, name)| {
        let out = temp.path().join(name);
        succeed(compute().arg("export").arg(from).arg("--quiet").arg("--json").arg(&out));
        fs::read(out).unwrap()
    });
    assert!(a == b, "and so is its document");

    // A prompt that comes later leaves it in its site.
    let more = ["--prompt", "import os"];
    let mut prompt = compute();
    prompt.arg("prompt").arg(&bundle).args(["--quiet", "--device", "cpu"]).args(more);
    succeed(prompt.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-resid")));
    let whole = temp.path().join("whole");
    succeed(run(&["sae-mlp-b", "sae-resid"], &whole).args(more));
    let (later, at_once) = (manifest(&bundle), manifest(&whole.join("sae-resid")));
    assert_eq!(later.shared, at_once.shared);
    let paths =
        |manifest: &Manifest| -> Vec<String> { manifest.files.iter().map(|f| f.path.clone()).collect() };
    assert_eq!(paths(&later), paths(&at_once));
}

#[test]
fn neighbours_are_those_of_dense_matrices() {
    let _no_grad = tch::no_grad_guard();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("site");
    succeed(run(&SAES, &out).args(["--neighbours", "1"]));
    let mut args: Vec<String> = vec!["compute".into(), "run".into()];
    args.extend(OPTIONS.into_iter().chain(ROWS).map(str::to_owned));
    for (name, path) in [("--model", demo("model")), ("--data", demo("tokens.npy")), ("--out", out.clone())] {
        args.extend([name.to_owned(), path.display().to_string()]);
    }
    for sae in SAES {
        args.extend(["--sae".to_owned(), demo(sae).display().to_string()]);
    }
    let Subcommand::Run(args) = Cli::parse_from(args).command else { panic!("not a run") };
    let site = SitePlan::new(&args.options, &args.options.input.saes).unwrap();
    let machine = Machine::open(&site.plans[0].input).unwrap();
    let corpus = run::prepare(&site.plans[0]).unwrap();
    let subject = load::subject(&site.plans, &machine).unwrap();
    let (hook_acts, _) = subject.forward(&corpus.rows.tensor(0..corpus.rows.n_rows()), false).unwrap();
    // Of each SAE the chosen features: activations less their mean over their length, and directions of length 1.
    let mut dense = Vec::new();
    for (tap, hook_acts) in subject.taps.iter().zip(&hook_acts) {
        for tapped in &tap.saes {
            let features =
                Tensor::from_slice(&site.plans[0].features.iter().map(|f| i64::from(*f)).collect::<Vec<_>>());
            let acts = tapped.sae.encode(hook_acts).unwrap().index_select(1, &features).to_kind(Kind::Double);
            let together = acts.abs();
            let centred = &acts - acts.mean_dim(0, true, Kind::Double); // [n_pos, n]
            let acts = &centred / (centred.norm_scalaropt_dim(2.0, 0, true) + 1e-9);
            let rows = tapped.sae.decoder().unwrap().index_select(0, &features).to_kind(Kind::Float);
            let rows = match subject.model.write_matrix(&tapped.hook_out).unwrap() {
                Some(matrix) => rows.matmul(&matrix),
                None => rows,
            };
            let rows = rows.to_kind(Kind::Double); // [n, d_model]
            dense.push((acts, together, &rows / rows.norm_scalaropt_dim(2.0, 1, true)));
        }
    }
    for (i, sae) in SAES.iter().enumerate() {
        let bundle = Bundle::open(&out.join(sae)).unwrap();
        let blocks: Vec<Neighbours> =
            (0..bundle.manifest.blocks.len()).map(|b| bundle.file(&NEIGHBOURS.path_of(b)).unwrap()).collect();
        let others: Vec<usize> = [i.wrapping_sub(1), i + 1].into_iter().filter(|j| *j < SAES.len()).collect();
        for block in &blocks {
            assert_eq!(block.bundles, others.iter().map(|j| SAES[*j].to_owned()).collect::<Vec<_>>());
        }
        let found: Vec<_> = blocks.iter().flat_map(|block| &block.features).collect();
        assert_eq!(found.iter().map(|entry| entry.feature).collect::<Vec<_>>(), site.plans[i].features);
        let mut n_alike = 0;
        for (at, &j) in others.iter().enumerate() {
            let together = dense[i].1.tr().matmul(&dense[j].1).gt(0.0); // [n, n]
            let never = Tensor::from(-2.0);
            let pearson = dense[i].0.tr().matmul(&dense[j].0).where_self(&together, &never);
            let cosine = dense[i].2.matmul(&dense[j].2.tr());
            for (f, entry) in found.iter().enumerate() {
                let of = &entry.of[at];
                assert_best(&of.by_direction, &cosine.get(f as i64), &site.plans[j], sae);
                assert_best(&of.by_activation, &pearson.get(f as i64), &site.plans[j], sae);
                assert_eq!(of.by_direction.len(), 3);
                n_alike += of.by_activation.len();
            }
        }
        assert!(n_alike > 50, "{sae}: {n_alike} features are active together");
    }
}

/// The neighbours have the values of the dense row, best first, and none that is better is left out.
fn assert_best(found: &[Neighbour], row: &Tensor, with: &Plan, sae: &str) {
    let row = Vec::<f64>::try_from(row).unwrap();
    let value = |n: &Neighbour| row[with.features.binary_search(&n.feature).unwrap()];
    for neighbour in found {
        let (got, expected) = (f64::from(neighbour.value), value(neighbour));
        assert!((got - expected).abs() < 1e-4, "{sae}: {got}, expected {expected}");
    }
    assert!(found.is_sorted_by(|a, b| a.value >= b.value));
    if let Some(last) = found.last().filter(|_| found.len() == 3) {
        let n_better = row.iter().filter(|v| **v > f64::from(last.value) + 1e-4).count();
        assert!(n_better <= 2, "{sae}: {n_better} are better than the third");
    }
}

#[test]
fn a_site_keeps_other_bundles_and_drops_text_that_none_reads() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("site");
    succeed(&mut run(&["sae-mlp-a", "sae-resid"], &site));
    let first = shared_folders(&site);
    fs::write(site.join("notes.txt"), "mine").unwrap();
    let before = files(&site.join("sae-mlp-a"));
    // On other text.
    let other = ["--sequences", "16"];
    succeed(&mut run_on(&other, &["sae-mlp-b", "sae-resid"], &site));
    let listed: Vec<String> = read_site(&site).unwrap().bundles.into_iter().map(|b| b.path).collect();
    assert_eq!(listed, ["sae-mlp-a", "sae-mlp-b", "sae-resid"]);
    assert!(files(&site.join("sae-mlp-a")) == before);
    assert_eq!(shared_folders(&site).len(), 2, "each text that a bundle reads is there");
    succeed(&mut run_on(&other, &["sae-mlp-a", "sae-mlp-b"], &site));
    let now = shared_folders(&site);
    assert!(now.len() == 1 && now != first, "{first:?} {now:?}");
    for sae in SAES {
        Bundle::open(&site.join(sae)).unwrap().file::<CorpusChunk>(&paths::chunk(0)).unwrap();
    }
    assert_eq!(fs::read_to_string(site.join("notes.txt")).unwrap(), "mine");
    assert!(names(&site).iter().all(|name| !name.starts_with('.')), "{:?}", names(&site));
    // Text that someone changed is written anew.
    let vocab = site.join("shared").join(&now[0]).join(paths::VOCAB);
    fs::write(&vocab, "nonsense").unwrap();
    Bundle::open(&site.join("sae-mlp-a")).unwrap_err();
    succeed(&mut run_on(&other, &["sae-mlp-a", "sae-mlp-b"], &site));
    Bundle::open(&site.join("sae-mlp-a")).unwrap();
}

#[test]
fn what_cannot_be_a_site_is_refused_before_any_work() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.tex"), "").unwrap();
    let two = &SAES[1..];
    let said = fail(&mut run(two, &out));
    assert!(said.contains("several SAEs make a site, and the folder holds something else"), "{said}");
    assert_eq!(names(&out), ["thesis.tex"]);
    let said = fail(&mut run(&["no-such-sae*", "sae-resid"], &temp.path().join("new")));
    assert!(said.contains("no SAE is like this"), "{said}");
    let said = fail(run(two, &temp.path().join("new")).arg("--sae-b").arg(demo("sae-mlp-a")));
    assert!(said.contains("--sae-b goes with one --sae"), "{said}");
    let said = fail(run(two, &temp.path().join("new")).arg("--labels").arg(demo("labels.json")));
    assert!(said.contains("--labels goes with one --sae"), "{said}");
    let mut check = compute();
    check.args(["check", "--model"]).arg(demo("model")).arg("--data").arg(demo("tokens.npy"));
    let said = fail(check.arg("--sae").arg(demo("sae-mlp-a")).arg("--sae").arg(demo("sae-mlp-b")));
    assert!(said.contains("--sae names 2 SAEs, and this command takes one"), "{said}");
    assert!(!temp.path().join("new").exists());
}

#[test]
fn saes_that_ask_for_other_rows_need_the_reader_to_choose() {
    let temp = tempfile::tempdir().unwrap();
    for (name, context) in [("short", 16), ("long", 32)] {
        let folder = temp.path().join(name);
        write_sae(&folder, |_| {});
        let path = folder.join("cfg.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["context_size"] = context.into();
        fs::write(&path, config.to_string()).unwrap();
    }
    let text = temp.path().join("text.jsonl");
    fs::write(&text, format!("{{\"tokens\": {:?}}}\n", (0..96).collect::<Vec<_>>())).unwrap();
    let run = |more: &[&str]| {
        let mut command = compute();
        command
            .args(["run", "--quiet", "--device", "cpu", "--model"])
            .arg(crate::written::fixture("models/gpt2"));
        command.arg("--sae").arg(temp.path().join("short")).arg("--sae").arg(temp.path().join("long"));
        command.arg("--data").arg(&text).arg("--out").arg(temp.path().join("site")).args(more);
        command
    };
    let said = fail(&mut run(&[]));
    assert!(said.contains("rows of 16 tokens (short) and of 32 (long): choose with --seq-len"), "{said}");
    succeed(&mut run(&["--seq-len", "16"]));
    assert_eq!(read_site(&temp.path().join("site")).unwrap().bundles.len(), 2);
}

#[test]
fn a_site_that_was_moved_or_whose_shared_folder_is_gone_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("site");
    succeed(&mut run(&["sae-mlp-b", "sae-resid"], &site));
    let moved = temp.path().join("elsewhere");
    fs::rename(&site, &moved).unwrap();
    succeed(compute().arg("inspect").arg(moved.join("sae-resid")));
    // A bundle by itself lacks what it shared.
    let torn = temp.path().join("torn");
    copy(&moved.join("sae-resid"), &torn);
    let said = fail(compute().arg("inspect").arg(&torn));
    assert!(said.contains("shared/") && said.contains("vocab.bin"), "{said}");
}

/// Every bundle that the site lists is whole, and so is what they share.
fn assert_site(site: &Path, told: &str) {
    let listed = read_site(site).unwrap_or_else(|e| panic!("{told}: {e:#}"));
    for bundle in listed.bundles {
        let folder = site.join(&bundle.path);
        archive(&folder, std::io::sink()).unwrap_or_else(|e| panic!("{told}: {}: {e:#}", bundle.path));
    }
}

/// Stops a run into the site that is there at some calls, from `first` on, by a signal that cannot be handled or one that
/// can, and goes on with the next run.
fn stop_at(first: usize, step: usize) -> usize {
    let temp = tempfile::tempdir().unwrap();
    let (old, new) = (temp.path().join("old"), temp.path().join("new"));
    let saes = ["sae-mlp-b", "sae-resid"];
    let few = |seed: &str, out: &Path| {
        let mut command = compute();
        command.args([
            "run",
            "--quiet",
            "--device",
            "cpu",
            "--features",
            "0..4",
            "--no-effects",
            "--seed",
            seed,
        ]);
        // Other rows for another seed: what is shared changes too.
        command.args(["--sequences", if seed == "1" { "4" } else { "5" }]);
        command.arg("--model").arg(demo("model")).arg("--data").arg(demo("tokens.npy")).arg("--out").arg(out);
        for sae in saes {
            command.arg("--sae").arg(demo(sae));
        }
        command
    };
    succeed(&mut few("1", &old));
    succeed(&mut few("2", &new));
    let expected = files(&new);
    let work = temp.path().join("work");
    let prepared = || {
        let _absent = fs::remove_dir_all(&work);
        copy(&old, &work.join("site"));
        work.join("site")
    };
    let n_calls = faults::calls(&mut few("2", &prepared()), &work, None).len();
    let mut n_stops = 0;
    for (turn, at) in (first..=n_calls).step_by(step).enumerate() {
        let signal = [libc::SIGKILL, libc::SIGTERM][turn % 2];
        let told = format!("stopped by signal {signal} at call {at} of {n_calls}");
        let site = prepared();
        let mut command = few("2", &site);
        faults::watch(&mut command, &work, None);
        faults::inject(&mut command, at, Fault::Signal(signal));
        assert!(!command.output().unwrap().status.success(), "{told}");
        assert_site(&site, &told);
        succeed(&mut few("2", &site));
        let got = files(&site);
        assert!(got == expected, "{told}: {:?}", names(&site));
        n_stops += 1;
    }
    n_stops
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_stopped_leaves_whole_bundles_and_the_next_one_ends_it() {
    let n_stops = stop_at(3, 41);
    assert!(n_stops >= 5, "{n_stops}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a stop at every call takes minutes"]
fn a_run_that_is_stopped_at_any_call_leaves_whole_bundles() {
    let n_stops = stop_at(1, 1);
    assert!(n_stops >= 200, "{n_stops}");
}
