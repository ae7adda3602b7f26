//! `compute --device cuda:0` without a GPU: `stand_in/cuda.cpp` takes its place. What it says holds for any GPU: no tensor is
//! on the wrong device, numbers are those of the CPU, what does not fit is computed in parts, and what is copied is bounded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use compute::bundle::Bundle;
use shared::{feature::Feature, prompt::Prompt};
use tempfile::TempDir;
use tests::{
    agree::agree,
    run::{compute, compute_with, demo, features, few_rows},
};

/// Memory in which everything here fits.
const ROOM: u64 = 4 << 30;

/// Runs `compute run` on the GPU that stands in for one, with so many bytes of memory; counts go beside the bundle.
fn on_gpu(out: &Path, more: &[&str], memory: u64) -> Output {
    let mut args = few_rows(out, &[&["--device", "cuda:0"], more].concat());
    args.retain(|arg| arg != "--quiet");
    let (memory, counts) = (memory.to_string(), out.with_extension("tsv").display().to_string());
    let variables =
        [("LD_PRELOAD", env!("STAND_IN")), ("STAND_IN_MEMORY", &*memory), ("STAND_IN_COUNTS", &*counts)];
    compute_with("run", &args, &variables).unwrap()
}

/// The same, which must succeed: the bundle, and what was printed beside the summary.
fn bundle_on_gpu(temp: &TempDir, name: &str, more: &[&str], memory: u64) -> (PathBuf, String) {
    let out = temp.path().join(name);
    let output = on_gpu(&out, more, memory);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (out, said)
}

fn on_cpu(temp: &TempDir, more: &[&str]) -> PathBuf {
    let out = temp.path().join("cpu");
    let output = compute("run", &few_rows(&out, more)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

#[test]
fn a_gpu_gives_the_numbers_of_the_cpu() {
    let temp = tempfile::tempdir().unwrap();
    let sae_b = demo("sae-mlp-b").display().to_string();
    for (name, with_b) in [("sae-mlp-a", true), ("sae-resid", false)] {
        let sae = demo(name).display().to_string();
        let mut more = vec!["--sae", &*sae, "--prompt", "def __init__(self):"];
        if with_b {
            more.extend(["--sae-b", &*sae_b]);
        }
        let (gpu, _) = bundle_on_gpu(&temp, "gpu", &more, ROOM);
        let cpu = on_cpu(&temp, &more);
        agree(&features(&cpu).unwrap(), &features(&gpu).unwrap(), 1e-4);
        let (cpu, gpu) = (Bundle::open(&cpu).unwrap(), Bundle::open(&gpu).unwrap());
        let active = |bundle: &Bundle| {
            let prompt: Prompt = bundle.file(&shared::paths::prompt(0)).unwrap();
            prompt.features.iter().map(|f| f.feature).collect::<Vec<_>>()
        };
        assert_eq!(active(&cpu), active(&gpu));
        assert_eq!([cpu, gpu].map(|bundle| bundle.manifest.run.unwrap().device), ["cpu", "cuda"]);
    }
}

#[test]
fn what_does_not_fit_is_computed_in_parts() {
    let temp = tempfile::tempdir().unwrap();
    // Last residuals of 65,536 positions are 33 MB: half of the free memory is too little for all of them.
    let more = ["--sequences", "512", "--batch-rows", "256"];
    let (gpu, said) = bundle_on_gpu(&temp, "gpu", &more, 60 << 20);
    assert!(said.contains("memory did not suffice for batches of 256 rows"), "{said}");
    agree(&features(&on_cpu(&temp, &more)).unwrap(), &features(&gpu).unwrap(), 1e-4);
}

#[test]
fn too_little_memory_is_one_line_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("gpu");
    // The model takes 6 MB, what has the width of the vocabulary more.
    for memory in [1 << 20, 8 << 20, 24 << 20] {
        let output = on_gpu(&out, &["--features", "all"], memory);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaint: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("compute:")).collect();
        assert!(!output.status.success(), "{memory} bytes suffice");
        assert!(
            matches!(complaint[..], [line] if line.contains("not enough memory: choose fewer")),
            "{said}"
        );
        assert!(!out.exists());
    }
}

#[test]
fn only_what_is_active_leaves_the_gpu() {
    let temp = tempfile::tempdir().unwrap();
    let run = |rows: &str| {
        let (out, _) = bundle_on_gpu(&temp, rows, &["--sequences", rows, "--batch-rows", "32"], ROOM);
        let counts = fs::read_to_string(out.with_extension("tsv")).unwrap();
        let copied = counts.lines().find(|line| line.starts_with("copy to the host\t")).unwrap();
        let copied: u64 = copied.split('\t').nth(2).unwrap().parse().unwrap();
        let features = features(&out).unwrap();
        let n_effects =
            |f: &Feature| f.sequences.as_ref().map_or(0, |s| s.row_acts.effects.loss.len()) as u64;
        // Of an active entry its index and activation; of an effect its two numbers and five tokens each way.
        let bytes = |f: &Feature| 8 * f.stats.n_active.unwrap() + (8 + 10 * 8) * n_effects(f);
        (copied, features.iter().map(bytes).sum::<u64>())
    };
    let (few, many) = (run("64"), run("256"));
    assert_eq!(many.0 - few.0, many.1 - few.1, "whatever else is copied does not grow with the corpus");
}

#[test]
fn tf32_and_bf16_are_close_to_f32() {
    let temp = tempfile::tempdir().unwrap();
    let run = |dtype: &str| {
        let (out, _) = bundle_on_gpu(&temp, dtype, &["--dtype", dtype], ROOM);
        assert_eq!(Bundle::open(&out).unwrap().manifest.run.unwrap().dtype, dtype);
        features(&out).unwrap().iter().map(|f| f.stats.max).collect::<Vec<f32>>()
    };
    let exact = run("f32");
    for (dtype, tolerance) in [("tf32", 0.01), ("bf16", 0.06)] {
        let rounded = run(dtype);
        assert_ne!(exact, rounded, "{dtype} rounds nothing");
        for (a, b) in exact.iter().zip(rounded) {
            assert!((a - b).abs() <= tolerance * (1.0 + a), "{dtype}: {b}, expected about {a}");
        }
    }
}

#[test]
fn a_gpu_that_is_not_there_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let output = on_gpu(&temp.path().join("gpu"), &["--device", "cuda:1"], ROOM);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        "compute: no device cuda:1: this machine has 1 that libtorch can use; use --device cpu\n"
    );
}
