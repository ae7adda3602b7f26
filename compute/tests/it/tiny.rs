//! A bundle that takes no time to compute: the smallest model of the fixtures, a random SAE, a few rows of tokens.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tch::{Device, Kind, Tensor};

use crate::written;

/// Features of the SAE.
pub const N_FEATURES: i64 = 40;

/// Folder with the SAE, `sae`, and the tokens, `tokens.safetensors`.
fn inputs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        write_sae(&folder.join("sae"), |_| {});
        tch::manual_seed(1);
        let tokens = Tensor::randint(97, [24, 16], (Kind::Int64, Device::Cpu));
        written::safetensors(&folder.join("tokens.safetensors"), &[("tokens", &tokens)]);
        folder
    })
}

/// An SAE's parameters, row by row.
pub struct SaeNumbers {
    /// `[d_in, d_sae]`.
    pub w_enc: Vec<f32>,
    /// `[d_sae, d_in]`.
    pub w_dec: Vec<f32>,
    /// `[d_sae]`.
    pub b_enc: Vec<f32>,
}

/// Writes a random SAE on the model's block 1, whose numbers were changed by `change`.
pub fn write_sae(folder: &Path, change: impl Fn(&mut SaeNumbers)) {
    fs::create_dir_all(folder).unwrap();
    let config = r#"{"architecture": "standard", "d_in": 32, "d_sae": 40, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": false, "normalize_activations": "none", "hook_name": "blocks.1.hook_resid_pre",
        "model_name": "tiny", "context_size": 16, "prepend_bos": false}"#;
    fs::write(folder.join("cfg.json"), config).unwrap();
    let random = |seed| Vec::try_from(written::randn(&[32 * N_FEATURES], seed)).unwrap();
    let mut numbers =
        SaeNumbers { w_enc: random(2), w_dec: random(3), b_enc: vec![0.0; N_FEATURES as usize] };
    change(&mut numbers);
    let tensors = [
        ("W_enc", Tensor::from_slice(&numbers.w_enc).view([32, N_FEATURES])),
        ("W_dec", Tensor::from_slice(&numbers.w_dec).view([N_FEATURES, 32])),
        ("b_enc", Tensor::from_slice(&numbers.b_enc)),
        ("b_dec", Tensor::zeros([32], (Kind::Float, Device::Cpu))),
    ];
    let tensors = tensors.each_ref().map(|(name, tensor)| (*name, tensor));
    written::safetensors(&folder.join("sae_weights.safetensors"), &tensors);
}

/// The program, with one thread, and without a hub to look for mistyped paths on.
pub fn compute() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.envs([("HF_HUB_OFFLINE", "1"), ("OMP_NUM_THREADS", "1"), ("RAYON_NUM_THREADS", "1")]);
    command
}

/// `compute run` into `out`; the bundle's manifest tells the seed.
pub fn run(out: &Path, seed: u64) -> Command {
    run_sae(&inputs().join("sae"), out, seed)
}

/// The same with the SAE in `sae`.
pub fn run_sae(sae: &Path, out: &Path, seed: u64) -> Command {
    let mut command = compute();
    command.args(["run", "--quiet", "--device", "cpu", "--model"]).arg(written::fixture("models/gpt2"));
    command.arg("--sae").arg(sae).arg("--data").arg(inputs().join("tokens.safetensors"));
    command.args(["--seed", &seed.to_string()]).arg("--out").arg(out);
    command
}

/// `command` with the model, the SAE and the tokens that [`run`] has, in eight batches.
pub fn reading(command: &mut Command) -> &mut Command {
    command.args(["--device", "cpu", "--model"]).arg(written::fixture("models/gpt2"));
    command.arg("--sae").arg(inputs().join("sae")).arg("--data").arg(inputs().join("tokens.safetensors"));
    command.args(["--batch-rows", "3"])
}

/// What a command printed on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {:?}: {}", output.status, stderr(&output));
    output
}

/// Runs a command that must fail with one line, and gives that line.
pub fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
    assert!(text.starts_with("compute: ") && text.trim_end().lines().count() == 1, "{command:?}: {text}");
    text.trim_end().to_owned()
}

/// Copies a folder and all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// All files below a folder with their bytes, sorted by path.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for path in fs::read_dir(inner).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
