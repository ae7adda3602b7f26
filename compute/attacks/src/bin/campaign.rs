//! `cargo run -p attacks --bin campaign -- [--runs N] [--seconds N] [--keep] [ATTACK ...]`: lets libFuzzer make every
//! attack, or those that are named, and prints what it did as a table.
//!
//! Inputs that reach something new gather in the target folder; `--keep` puts the fewest that reach as much into `corpus/`.
//! What breaks a promise is left in `findings/`, and the next attack goes on. It needs a nightly compiler and cargo-fuzz.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use attacks::{Attack, all, here};

/// Bytes of the longest input: short ones are tried more often, and no reader needs more to go wrong.
const MAX_INPUT_BYTES: u32 = 8192;
/// Seconds after which an input counts as a hang.
const MAX_SECONDS: u32 = 2;
/// Bytes of the longest input that is kept.
const MAX_KEPT_BYTES: u32 = 2048;
/// Bytes of all that is kept of one attack, the shortest first: the repository stays small.
const KEPT_BYTES: usize = 16 << 10;

struct Options {
    runs: u64,
    seconds: u64,
    keeps: bool,
    attacks: Vec<Attack>,
}

/// What libFuzzer did with one attack.
struct Done {
    executions: u64,
    found: usize,
}

fn main() -> Result<(), String> {
    let options = options(std::env::args().skip(1))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| here().join("../../target"), PathBuf::from);
    let binary = build(&target)?;
    println!("| attack | executions | found |\n|---|---|---|");
    let mut executions = 0;
    for attack in &options.attacks {
        let done = fuzz(attack, &binary, &options).map_err(|error| format!("{}: {error}", attack.name))?;
        println!("| {} | {} | {} |", attack.name, done.executions, done.found);
        executions += done.executions;
    }
    println!("| all | {executions} | |");
    Ok(())
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { runs: 1_000_000, seconds: 120, keeps: false, attacks: Vec::new() };
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse().ok()).ok_or(format!("{word} takes a number"));
        match word.as_str() {
            "--runs" => options.runs = number()?,
            "--seconds" => options.seconds = number()?,
            "--keep" => options.keeps = true,
            name => options.attacks.push(Attack::named(name).ok_or_else(|| {
                let names: Vec<&str> = all().map(|attack| attack.name).collect();
                format!("no attack {name:?}, expected one of {}", names.join(", "))
            })?),
        }
    }
    if options.attacks.is_empty() {
        options.attacks = all().collect();
    }
    Ok(options)
}

fn fuzz(attack: &Attack, binary: &Path, options: &Options) -> Result<Done, String> {
    let wrong = |error: std::io::Error| error.to_string();
    let gathered = binary.with_file_name(attack.name);
    let findings = attack.findings();
    for folder in [&gathered, &findings] {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let kept = attack.kept().map_err(wrong)?.into_iter().map(|(_, input)| input);
    for (i, input) in attack.seeds().into_iter().chain(kept).enumerate() {
        fs::write(gathered.join(format!("kept-{i}")), input).map_err(wrong)?;
    }
    let before = n_files(&findings);
    let log = binary.with_file_name(format!("{}.log", attack.name));
    let artifacts = format!("-artifact_prefix={}/", findings.display());
    let words = [
        format!("-runs={}", options.runs),
        format!("-max_total_time={}", options.seconds),
        format!("-max_len={MAX_INPUT_BYTES}"),
        format!("-timeout={MAX_SECONDS}"),
        "-rss_limit_mb=1024".to_owned(),
        "-print_final_stats=1".to_owned(),
        artifacts,
    ];
    libfuzzer(attack, binary, &log, &[&gathered], &words)?;
    let executions = executions(&fs::read_to_string(&log).map_err(wrong)?)
        .ok_or_else(|| format!("libFuzzer did not run: {}", log.display()))?;
    if options.keeps {
        keep(attack, binary, &gathered)?;
    }
    let found = n_files(&findings).saturating_sub(before);
    if n_files(&findings) == 0 {
        fs::remove_dir(&findings).map_err(wrong)?;
    }
    Ok(Done { executions, found })
}

/// Keeps the fewest inputs that reach as much, of those that are short.
fn keep(attack: &Attack, binary: &Path, gathered: &Path) -> Result<(), String> {
    let log = binary.with_file_name(format!("{}.merge.log", attack.name));
    let few = binary.with_file_name(format!("{}.few", attack.name));
    let words = [
        "-set_cover_merge=1".to_owned(),
        format!("-max_len={MAX_KEPT_BYTES}"),
        format!("-timeout={MAX_SECONDS}"),
    ];
    let wrong = |error: std::io::Error| error.to_string();
    if few.exists() {
        fs::remove_dir_all(&few).map_err(wrong)?;
    }
    fs::create_dir_all(&few).map_err(wrong)?;
    libfuzzer(attack, binary, &log, &[&few, gathered], &words)?;
    let read = few.read_dir().map_err(wrong)?.map(|entry| fs::read(entry?.path()));
    let mut inputs: Vec<Vec<u8>> = read.collect::<Result<_, _>>().map_err(wrong)?;
    inputs.sort_by_key(|input| (input.len(), input.clone()));
    let mut bytes = 0;
    inputs.retain(|input| {
        bytes += input.len();
        bytes <= KEPT_BYTES
    });
    attack.keep(&inputs).map_err(wrong)
}

/// Runs libFuzzer until it has done all or found something; its words go to `log`.
fn libfuzzer(
    attack: &Attack,
    binary: &Path,
    log: &Path,
    folders: &[&Path],
    words: &[String],
) -> Result<(), String> {
    let out = fs::File::create(log).map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.args(folders).args(words).env("ATTACK", attack.name);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).status();
    status.map(|_ended| ()).map_err(|error| format!("{}: {error}", binary.display()))
}

/// Builds the binary of cargo-fuzz, and copies it: what is fuzzed stays the same while sources change.
fn build(target: &Path) -> Result<PathBuf, String> {
    let status = Command::new("rustup")
        .args(["run", "nightly", "cargo", "fuzz", "build", "--sanitizer", "none", "--features", "fuzz"])
        .args((!cfg!(feature = "compute")).then_some("--no-default-features"))
        .arg("--fuzz-dir")
        .arg(here())
        .arg("--target-dir")
        .arg(target.join("fuzz"))
        .arg("fuzz")
        .status();
    let built = status.map_err(|error| format!("rustup cannot be run: {error}"))?;
    if !built.success() {
        return Err(
            "the fuzz target cannot be built: `rustup toolchain install nightly`, `cargo install cargo-fuzz`"
                .to_owned(),
        );
    }
    let copy = target.join("attacks/fuzz");
    let made = target.join("fuzz").join(format!("{}-unknown-linux-gnu/release/fuzz", std::env::consts::ARCH));
    let copied = fs::create_dir_all(target.join("attacks")).and_then(|()| fs::copy(&made, &copy));
    copied.map(|_length| copy).map_err(|error| format!("{}: {error}", made.display()))
}

/// What libFuzzer says it has executed; where it stopped at a finding, the last number that it printed.
fn executions(log: &str) -> Option<u64> {
    let stated = log.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let counted = || log.lines().rev().find_map(|line| line.strip_prefix('#')?.split_whitespace().next());
    stated.or_else(counted)?.trim().parse().ok()
}

fn n_files(folder: &Path) -> usize {
    folder.read_dir().into_iter().flatten().count()
}
