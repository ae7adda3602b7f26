//! Wherever a command is stopped, and whatever call fails, there is a whole bundle after the next command.
//!
//! The ordinary tests stop at some calls. All of them, more than 500 stops, in a few minutes:
//! `cargo test --release -p compute --test it stops -- --ignored --nocapture`.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use compute::bundle::{archive::archive, read_manifest};
use tempfile::TempDir;

use crate::{
    faults::{self, Call, Fault},
    tiny::{compute, copy, names, run, stderr, succeed},
};

/// Seeds of the bundle that is there and of the one that takes its place.
const OLD: u64 = 0;
const NEW: u64 = 1;
/// Seed of the run that comes next.
const NEXT: u64 = 2;

/// What is done to a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// A run where nothing was.
    Fresh,
    /// A run in place of a bundle.
    Replace,
    /// The same where two folders cannot be exchanged.
    TwoSteps,
    /// Labels in place of others.
    Label,
    /// Labels beside others, with explanations.
    Merge,
}

impl Scenario {
    const ALL: [Self; 5] = [Self::Fresh, Self::Replace, Self::TwoSteps, Self::Label, Self::Merge];

    fn always(self) -> Option<&'static str> {
        (self == Self::TwoSteps).then_some("renameat2")
    }

    fn command(self, out: &Path) -> Command {
        match self {
            Self::Label => label(out, "after"),
            Self::Merge => {
                let mut command = label(out, "after");
                command.arg("--merge");
                command
            }
            _ => run(out, NEW),
        }
    }

    /// A folder with the bundle that the command changes, at `bundle`.
    fn prepare(self) -> (TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("bundle");
        if self != Self::Fresh {
            copy(old(), &out);
        }
        (temp, out)
    }

    /// Calls of the command, in order.
    fn calls(self) -> Vec<Call> {
        let (temp, out) = self.prepare();
        faults::calls(&mut self.command(&out), temp.path(), self.always())
    }
}

/// `compute label` with a label of feature 3.
fn label(out: &Path, text: &str) -> Command {
    let labels = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{text}.json"));
    if !labels.exists() {
        fs::write(&labels, format!("{{\"3\": \"{text}\"}}")).unwrap();
    }
    let mut command = compute();
    command.args(["label", "--quiet"]).args([out, &labels]);
    command
}

/// A labelled bundle with a reader's notes in it.
fn old() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stops-old");
        let _absent = fs::remove_dir_all(&folder);
        succeed(&mut run(&folder, OLD));
        succeed(&mut label(&folder, "before"));
        label(&folder, "after");
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        fs::create_dir(folder.join("features/figures")).unwrap();
        fs::write(folder.join("features/figures/one.svg"), "mine too").unwrap();
        folder
    })
}

/// Fails where the folder is no whole bundle, or the notes are gone.
fn assert_whole(out: &Path, scenario: Scenario, told: &str) {
    if let Err(e) = archive(out, io::sink()) {
        panic!("{told}: no whole bundle: {e:#}; {:?}", names(out.parent().unwrap()));
    }
    if scenario != Scenario::Fresh {
        assert_eq!(fs::read_to_string(out.join("notes.txt")).unwrap(), "mine", "{told}");
        let figure = fs::read_to_string(out.join("features/figures/one.svg"));
        assert_eq!(figure.unwrap(), "mine too", "{told}: {:?}", names(out));
    }
}

/// The next command on the output, of several kinds in turn; after it nothing is left of the one before.
fn next_command(out: &Path, scenario: Scenario, turn: usize, told: &str) {
    let mut next = match turn % 4 {
        0 => run(out, NEXT),
        1 => label(out, "before"),
        2 => {
            let mut next = compute();
            next.arg("inspect").arg(out);
            next
        }
        _ => {
            let mut next = compute();
            next.args(["export", "--quiet"]).arg(out).arg("--out").arg(out.with_extension("saevis"));
            next
        }
    };
    let done = next.output().unwrap();
    // Where there never was a bundle there need not be one.
    let is_run = turn.is_multiple_of(4);
    let none = scenario == Scenario::Fresh && !is_run && !out.exists();
    assert_eq!(done.status.code(), Some(i32::from(none)), "{told}; then {next:?}: {}", stderr(&done));
    if !none {
        assert_whole(out, scenario, told);
        let seed = read_manifest(out).unwrap().run.unwrap().seed;
        assert!(if is_run { seed == NEXT } else { seed == OLD || seed == NEW }, "{told}: {seed}");
    }
    if is_run {
        assert_eq!(names(out.parent().unwrap()), ["bundle"], "{told}");
        assert!(!names(out).iter().any(|name| name.starts_with('.')), "{told}: {:?}", names(out));
    }
}

/// Stops the command by `signal` at call `at`, and goes on with the next one.
fn stop(scenario: Scenario, at: usize, signal: i32, turn: usize) {
    let told = format!("{scenario:?} stopped by signal {signal} at call {at}");
    let (temp, out) = scenario.prepare();
    let mut command = scenario.command(&out);
    faults::watch(&mut command, temp.path(), scenario.always());
    faults::inject(&mut command, at, Fault::Signal(signal));
    let ended = command.output().unwrap();
    if signal == libc::SIGKILL {
        assert_eq!(ended.status.signal(), Some(signal), "{told}: {}", stderr(&ended));
    } else {
        // Before the program listens there is nothing to clean up.
        let by_signal = ended.status.signal() == Some(signal);
        assert!(by_signal || ended.status.code() == Some(128 + signal), "{told}: {:?}", ended.status);
        assert_eq!(stderr(&ended), "", "{told}");
        if scenario != Scenario::Fresh {
            assert_whole(&out, scenario, &told);
        }
        let left = names(temp.path());
        assert!(left.is_empty() || left == ["bundle"], "{told}: left {left:?}");
    }
    next_command(&out, scenario, turn, &told);
}

/// Lets call `at` of the command fail, and goes on with the next one.
fn fault(scenario: Scenario, at: usize, fault: Fault, turn: usize) {
    let told = format!("{scenario:?} with {fault:?} at call {at}");
    let (temp, out) = scenario.prepare();
    let mut command = scenario.command(&out);
    faults::watch(&mut command, temp.path(), scenario.always());
    faults::inject(&mut command, at, fault);
    let ended = command.output().unwrap();
    let said = stderr(&ended);
    match ended.status.code() {
        Some(0) => assert_eq!(said, "", "{told}"),
        Some(1) => assert!(said.starts_with("compute: ") && said.lines().count() == 1, "{told}: {said}"),
        _ => panic!("{told}: {:?}: {said}", ended.status),
    }
    if matches!(fault, Fault::Short | Fault::Fails(libc::EINTR)) {
        assert_eq!(ended.status.code(), Some(0), "{told}: {said}");
    }
    next_command(&out, scenario, turn, &told);
}

/// Does `each` of `jobs`, two at a time.
fn in_parallel<J: Sync>(jobs: &[J], each: impl Fn(usize, &J) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(i) else { break };
                    each(i, job);
                }
            });
        }
    });
}

const SIGNALS: [i32; 3] = [libc::SIGKILL, libc::SIGINT, libc::SIGTERM];
const ERRORS: [Fault; 4] =
    [Fault::Fails(libc::ENOSPC), Fault::Fails(libc::EIO), Fault::Fails(libc::EINTR), Fault::Short];

/// Every call of every scenario with each signal.
fn all_stops() -> Vec<(Scenario, usize, i32)> {
    let mut stops = Vec::new();
    for scenario in Scenario::ALL {
        for at in 1..=scenario.calls().len() {
            stops.extend(SIGNALS.map(|signal| (scenario, at, signal)));
        }
    }
    stops
}

/// Every call of every scenario with each way in which it can fail.
fn all_faults() -> Vec<(Scenario, usize, Fault)> {
    let mut faults = Vec::new();
    for scenario in Scenario::ALL {
        for (at, Call { name, .. }) in scenario.calls().iter().enumerate() {
            let can = |fault: &Fault| match fault {
                Fault::Short => name == "write",
                // The system interrupts none of the others.
                Fault::Fails(libc::EINTR) => ["open", "write", "fsync"].contains(&name.as_str()),
                _ => true,
            };
            faults.extend(ERRORS.into_iter().filter(can).map(|fault| (scenario, at + 1, fault)));
        }
    }
    faults
}

#[test]
fn some_stops_leave_a_whole_bundle() {
    // Neither the number of signals nor that of next commands divides the step.
    let stops: Vec<_> = all_stops().into_iter().step_by(35).collect();
    assert!(stops.len() >= 20, "{}", stops.len());
    in_parallel(&stops, |i, (scenario, at, signal)| stop(*scenario, *at, *signal, i));
}

#[test]
#[ignore = "more than 500 stops take minutes"]
fn all_stops_leave_a_whole_bundle() {
    let stops = all_stops();
    assert!(stops.len() >= 500, "{}", stops.len());
    in_parallel(&stops, |i, (scenario, at, signal)| stop(*scenario, *at, *signal, i + i / 12));
    println!("{} stops", stops.len());
}

#[test]
fn some_failing_calls_leave_a_whole_bundle() {
    let faults: Vec<_> = all_faults().into_iter().step_by(41).collect();
    assert!(faults.len() >= 15, "{}", faults.len());
    in_parallel(&faults, |i, (scenario, at, error)| fault(*scenario, *at, *error, i));
}

#[test]
#[ignore = "hundreds of failing calls take minutes"]
fn all_failing_calls_leave_a_whole_bundle() {
    let faults = all_faults();
    in_parallel(&faults, |i, (scenario, at, error)| fault(*scenario, *at, *error, i + i / 12));
    println!("{} failing calls", faults.len());
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let (temp, out) = Scenario::Fresh.prepare();
    let n_calls = Scenario::Fresh.calls().len();
    for at in [1, n_calls / 2, n_calls] {
        let run = run(&out, NEW);
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT HUP; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
        shell.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        faults::watch(&mut shell, temp.path(), None);
        for signal in [libc::SIGINT, libc::SIGHUP] {
            faults::inject(&mut shell, at, Fault::Signal(signal));
            succeed(&mut shell);
            assert_whole(&out, Scenario::Fresh, &format!("ignored signal {signal} at call {at}"));
        }
    }
}

/// What is on a disk that lost its power: files have the bytes that were synced, and names are what the calls made them.
struct Disk {
    /// Where the calls were made, and the folder that stands for it.
    recorded: PathBuf,
    folder: PathBuf,
    /// Bytes that were written but not synced, by file.
    pending: BTreeMap<PathBuf, Vec<u8>>,
}

impl Disk {
    fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix(&self.recorded).unwrap())
    }

    fn apply(&mut self, call: &Call) {
        let path = self.at(&call.path);
        match call.name.as_str() {
            "open" => {
                let flags: i32 = call.more.parse().unwrap();
                let is_new = flags & libc::O_CREAT != 0
                    && flags & libc::O_TMPFILE != libc::O_TMPFILE
                    && !path.exists();
                if is_new {
                    fs::write(path, "").unwrap();
                }
            }
            "write" => {
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
                let bytes = call.more.as_bytes().chunks(2).map(byte);
                self.pending.entry(path).or_default().extend(bytes);
            }
            "ftruncate" | "ftruncate64" => fs::write(path, "").unwrap(),
            "fsync" => {
                if let Some(bytes) = self.pending.remove(&path) {
                    fs::write(path, bytes).unwrap();
                }
            }
            "rename" => {
                let to = self.at(Path::new(&call.more));
                self.move_pending(&path, &to);
                fs::rename(path, to).unwrap();
            }
            "renameat2" => {
                let to = self.at(Path::new(&call.more));
                let aside = self.folder.join("aside");
                for (from, to) in [(&path, &aside), (&to, &path), (&aside, &to)] {
                    self.move_pending(from, to);
                    fs::rename(from, to).unwrap();
                }
            }
            // Some are tried on what is there already.
            "mkdir" => drop(fs::create_dir(path)),
            "unlink" if path.is_dir() => fs::remove_dir(path).unwrap(),
            // Some may be there, left by a process that was killed.
            "unlink" if path.symlink_metadata().is_err() => {}
            "unlink" => fs::remove_file(path).unwrap(),
            "rmdir" => fs::remove_dir(path).unwrap(),
            "chmod" | "fchmod" => {}
            other => panic!("{other} is not replayed"),
        }
    }

    fn move_pending(&mut self, from: &Path, to: &Path) {
        for (path, bytes) in std::mem::take(&mut self.pending) {
            let moved = path.strip_prefix(from).map(|inside| to.join(inside));
            self.pending.insert(moved.unwrap_or(path), bytes);
        }
    }
}

#[test]
fn power_that_fails_after_any_call_leaves_a_whole_bundle() {
    let mut n_prefixes = 0;
    for scenario in [Scenario::Replace, Scenario::TwoSteps, Scenario::Label] {
        let (recorded, out) = scenario.prepare();
        let calls = faults::calls(&mut scenario.command(&out), recorded.path(), scenario.always());
        // Where the system has no exchange the call fails, and is not counted.
        let recorded = fs::canonicalize(recorded.path()).unwrap();
        for n in 0..=calls.len() {
            let (temp, out) = scenario.prepare();
            let mut disk = Disk {
                recorded: recorded.clone(),
                folder: fs::canonicalize(temp.path()).unwrap(),
                pending: BTreeMap::new(),
            };
            calls[..n].iter().for_each(|call| disk.apply(call));
            let told = format!("{scenario:?} without power after {n} calls");
            let manifest = read_manifest(&out).unwrap_or_else(|e| panic!("{told}: {e:#}"));
            let seed = manifest.run.unwrap().seed;
            assert!(
                [OLD, NEW].contains(&seed) && (n < calls.len() || scenario == Scenario::Label || seed == NEW),
                "{told}"
            );
            assert_whole(&out, scenario, &told);
            n_prefixes += 1;
        }
    }
    assert!(n_prefixes >= 150, "{n_prefixes}");
}
