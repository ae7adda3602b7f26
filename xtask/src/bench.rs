//! `cargo xtask bench`: how fast, against whom, and how it grows. The figures are in `bench/README.md`.

use crate::{
    args::BenchArgs,
    bundle,
    cargo::cargo,
    demo,
    setup::{self, peers::Peer},
    steps::{self, Steps},
};
use anyhow::{Context as _, Result};
use harness::project::Project;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// Runs the benches that are asked for; the kernels' where none is.
pub fn run(project: &Project, args: &BenchArgs) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("set-up", "libtorch and Rust's WebAssembly target", || setup::for_builds(project))?;
    if args.peers || args.scaling || args.layers || args.gpu.is_some() {
        steps.run("compute", "compiling compute (the first time some five minutes)", || {
            bundle::build_compute(project)
        })?;
    }
    if args.peers {
        let cases =
            steps.run("peers", "sae_vis and SAEDashboard with what they need (6.5 GB unpacked)", || {
                Ok(peer_cases(
                    project,
                    &setup::peers::set_up(project, "sae-vis")?,
                    &setup::peers::set_up(project, "sae-dashboard")?,
                ))
            })?;
        steps.run("comparison", "all in turns (about ten minutes)", || compare(project, &cases))?;
    }
    if args.scaling {
        steps.run("scaling", "tokens and features (about five minutes)", || {
            compare(project, &scaling_cases(project))
        })?;
    }
    if args.layers {
        steps.run("layers", "several SAEs, and shards (about five minutes)", || {
            compare(project, &layers_cases(project))
        })?;
    }
    if args.viewer {
        demo::build(project, &mut steps)?;
        steps.run("browser", "Chromium and its driver", setup::for_browser)?;
        steps.run("viewer", "a generated bundle of 65,536 features in Chromium", || {
            let args = [
                "test",
                "--quiet",
                "--release",
                "-p",
                "tests",
                "--test",
                "browser",
                "--",
                "--ignored",
                "--nocapture",
                "budgets",
            ];
            steps::run(&mut cargo(project, args))
        })?;
    }
    if let Some(device) = &args.gpu {
        steps.run("large", "a model of GPT-2 small's shape with random weights", || {
            large(project, args, device)
        })?;
    }
    if !(args.peers || args.scaling || args.layers || args.viewer || args.gpu.is_some()) {
        steps.run("kernels", "criterion (about three minutes)", || {
            steps::run(&mut cargo(project, ["bench", "--quiet", "-p", "bench"]))
        })?;
    }
    steps.summary();
    Ok(())
}

/// Writes the large model, then runs `compute` on it: its summaries are the figures, with the share of the device's measured
/// limit that the pass reaches: forward, encode, and products with neurons, each by the rate of its own number type.
fn large(project: &Project, args: &BenchArgs, device: &str) -> Result<()> {
    let folder = out(project).join("large");
    let (rows, features, saes) = (args.rows.to_string(), args.features.to_string(), args.saes.to_string());
    let mut write = cargo(project, ["run", "--quiet", "--release", "-p", "bench", "--bin", "large", "--"]);
    let written = steps::read(write.arg(&folder).args([&rows, &features, &saes]).arg(device))?;
    println!("{written}");
    let rate = |dtype: &str| number_after(&written, &format!("matrix products, {dtype}: "));
    let tflop = |part: &str| number_after(&written, &format!("{part}: "));
    let (forward, encode, products) = (tflop("forward")?, tflop("encode")?, tflop("products with neurons")?);
    for (dtype, sae_dtype) in [("f32", "f32"), ("bf16", "f32"), ("bf16", "bf16")] {
        let mut compute = Command::new(project.compute());
        compute.args(["run", "--device", device, "--dtype", dtype, "--sae-dtype", sae_dtype, "--no-shuffle"]);
        for (option, name) in
            [("--model", "model"), ("--sae", "saes/*"), ("--data", "tokens.npy"), ("--out", "bundle")]
        {
            compute.arg(option).arg(folder.join(name));
        }
        println!("model in {dtype}, SAE in {sae_dtype}:");
        let summary = steps::read(&mut compute)?;
        let seconds = number_after(&summary, "forward ")?;
        let least = forward / rate(dtype)? + encode / rate(sae_dtype)? + products / rate("f32")?;
        println!(
            "{summary}\nforward   {:.2} TFLOP/s, {:.0} % of the limit",
            (forward + encode + products) / seconds,
            100.0 * least / seconds
        );
    }
    Ok(())
}

/// The number after `name` in what a program printed.
fn number_after(printed: &str, name: &str) -> Result<f64> {
    let number =
        printed.split_once(name).map(|(_, rest)| rest.split([' ', ',', '\n']).next().unwrap_or_default());
    number
        .and_then(|n| n.parse().ok())
        .with_context(|| format!("expected a number after \"{name}\", got {printed}"))
}

/// Runs `bench/compare.py` on cases.
fn compare(project: &Project, cases: &Value) -> Result<()> {
    let folder = out(project);
    fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    let file = folder.join("cases.json");
    fs::write(&file, cases.to_string()).with_context(|| format!("could not write {}", file.display()))?;
    steps::run(Command::new("python3").arg(project.root().join("bench/compare.py")).arg(&file))
}

fn out(project: &Project) -> std::path::PathBuf {
    project.target().join("bench-out")
}

/// One run of `compute` on the demo's first SAE.
fn compute(project: &Project, name: &str, more: &[&str]) -> Value {
    on_demo(project, (name, "run"), &[&["--sae", "@sae-mlp-a", "--quiet"][..], more].concat())
}

/// A command of `compute` that plans or computes a bundle of the demo's model.
///
/// - `more`: a value that names a file of the demo is written after an `@`
fn on_demo(project: &Project, (name, command): (&str, &str), more: &[&str]) -> Value {
    let demo = |name: &str| project.root().join("demo").join(name).display().to_string();
    // A plan's output does not take the place of a site that a run left.
    let out = out(project).join(command).display().to_string();
    let mut argv = vec![project.compute().display().to_string(), command.to_owned()];
    for (option, value) in
        [("--model", demo("model")), ("--out", out.clone()), ("--device", "cpu".to_owned())]
    {
        argv.extend([option.to_owned(), value]);
    }
    argv.extend(more.iter().map(|arg| arg.strip_prefix('@').map_or_else(|| (*arg).to_owned(), demo)));
    json!({ "name": name, "argv": argv, "out": out })
}

fn peer_cases(project: &Project, sae_vis: &Peer, dashboard: &Peer) -> Value {
    const ROWS: &str = "1024";
    let ours = |features: &str, more: &[&str]| {
        let rows = ["--data", "@tokens.npy", "--no-shuffle", "--sequences", ROWS, "--features", features];
        compute(project, "sae-vis (this project)", &[&rows[..], more].concat())
    };
    let theirs = |name: &str, peer: &Peer, script: &str, n_features: &str| {
        let out = out(project).join("peer.html").display().to_string();
        let path = |path: &Path| path.display().to_string();
        let script = path(&project.root().join("bench/peers").join(script));
        let argv =
            json!([path(&peer.python), script, path(&project.root().join("demo")), out, n_features, ROWS]);
        json!({ "name": name, "argv": argv, "out": out, "own_time": true })
    };
    let whole = |n: &str, features: &str| {
        let runs = [
            ours(features, &["--sae-b", "@sae-mlp-b"]),
            theirs("sae_vis 0.2.21", sae_vis, "run_sae_vis.py", n),
        ];
        json!({ "name": format!("{n} features, SAE B, effects"), "runs": runs })
    };
    let part = |n: &str, features: &str| {
        let peer = theirs("SAEDashboard 0.8.0", dashboard, "run_sae_dashboard.py", n);
        json!({ "name": format!("{n} features, no SAE B, no effects"), "runs": [ours(features, &["--no-effects"]), peer] })
    };
    json!([whole("256", "0..256"), part("256", "0..256"), part("2048", "all"), whole("2048", "all")])
}

fn scaling_cases(project: &Project) -> Value {
    let run = |rows: usize, features: &str| {
        let rows = rows.to_string();
        let more = [
            "--data",
            "@corpus.jsonl.gz",
            "--sae-b",
            "@sae-mlp-b",
            "--sequences",
            &rows,
            "--features",
            features,
        ];
        compute(project, &format!("{rows} rows of 128 tokens, features {features}"), &more)
    };
    let tokens: Vec<Value> = [640, 1280, 2560, 5120].map(|rows| run(rows, "0..512")).into();
    let features: Vec<Value> = ["0..64", "0..512", "all"].map(|features| run(2560, features)).into();
    json!([{ "name": "tokens", "runs": tokens }, { "name": "features", "runs": features }])
}

/// The demo's SAEs one by one and in one pass; and a plan's parts, each run in turn with what is on the disk after it.
fn layers_cases(project: &Project) -> Value {
    const TEXT: [&str; 5] = ["--data", "@tokens.npy", "--no-shuffle", "--sequences", "1024"];
    const SAES: [&str; 3] = ["@sae-mlp-a", "@sae-mlp-b", "@sae-resid"];
    let run = |name: &str, saes: &[&str]| {
        let saes = saes.iter().flat_map(|sae| ["--sae", *sae]);
        on_demo(project, (name, "run"), &TEXT.into_iter().chain(["--quiet"]).chain(saes).collect::<Vec<_>>())
    };
    let mut alone: Vec<Value> = SAES.map(|sae| run(sae.trim_start_matches('@'), &[sae])).into();
    alone.push(run("all in one run", &SAES));
    let mut cases = vec![json!({ "name": "SAEs", "runs": alone })];
    let (program, folder) =
        (project.compute().display().to_string(), out(project).join("parts").display().to_string());
    for n in ["1", "2", "4", "8"] {
        let plan = ["--sae", "@sae-mlp-a", "--plan", &folder, "--shards", n, "--merges", "1"];
        let mut planned = on_demo(project, ("plan", "plan"), &[&TEXT[..], &plan].concat());
        planned["out"] = json!(folder);
        let part = |name: &str, more: &[&str]| {
            let argv = [&[&*program, name, "--plan", &folder], more].concat();
            json!({ "name": name, "argv": argv, "out": folder, "keep": true })
        };
        let shards = format!("0..{n}");
        let runs = [
            planned,
            part("shard", &["--index", &shards]),
            part("merge", &["--index", "0"]),
            part("finish", &[]),
        ];
        cases.push(json!({ "name": format!("{n} shards"), "runs": runs }));
    }
    Value::Array(cases)
}
