//! A run that goes on after a stop, and one that several devices share: the bytes of a run in one piece.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    faults::{self, Fault},
    tiny::{compute, copy, fail, files, names, reading, stderr, succeed},
};

fn run(out: &Path) -> Command {
    let mut command = compute();
    reading(command.args(["run", "-q"])).arg("--out").arg(out);
    command
}

/// The bundle that is there when nothing disturbs the run.
fn expected(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let whole = folder.join("whole");
    succeed(&mut run(&whole));
    let files = files(&whole);
    fs::remove_dir_all(whole).unwrap();
    files
}

/// Ends a run that keeps its parts by SIGKILL at its `at`th call; says whether it came so far.
fn killed(out: &Path, at: usize) -> bool {
    let mut command = run(out);
    faults::watch(command.arg("--resume"), out.parent().unwrap(), None);
    faults::inject(&mut command, at, Fault::Signal(libc::SIGKILL));
    let ended = command.output().unwrap();
    assert!(ended.status.success() || ended.status.code().is_none(), "{at}: {}", stderr(&ended));
    !ended.status.success()
}

/// Kills a run at one in `step` of its calls, and then gives the same command, without the option, to its end.
fn stopped_at(step: usize) -> usize {
    let temp = tempfile::tempdir().unwrap();
    let expected = expected(temp.path());
    let out = temp.path().join("bundle");
    let mut n = 0;
    while killed(&out, 1 + n * step) {
        succeed(&mut run(&out));
        assert!(files(&out) == expected, "killed at call {}", 1 + n * step);
        assert_eq!(names(temp.path()), ["bundle"], "killed at call {}", 1 + n * step);
        fs::remove_dir_all(&out).unwrap();
        n += 1;
    }
    assert_eq!(names(temp.path()), ["bundle"], "the last one came to its end");
    n
}

#[test]
fn a_run_that_was_killed_goes_on_from_what_it_left() {
    let n = stopped_at(29);
    assert!(n >= 5, "{n} stops");
}

#[test]
#[ignore = "a stop at every call takes minutes"]
fn a_run_that_was_killed_at_any_call_goes_on_from_what_it_left() {
    println!("{} stops", stopped_at(1));
}

#[test]
fn parts_of_another_run_are_not_gone_on_from() {
    let temp = tempfile::tempdir().unwrap();
    let (out, parts) = (temp.path().join("bundle"), temp.path().join("bundle.parts"));
    let expected = expected(temp.path());
    let mut whole = run(&out);
    faults::watch(whole.arg("--resume"), temp.path(), None);
    let n_calls = faults::calls(&mut whole, temp.path(), None).len();
    fs::remove_dir_all(&out).unwrap();
    assert!(killed(&out, n_calls / 2) && parts.join("plan.json").exists());
    let begun = temp.path().join("begun");
    copy(&parts, &begun);

    let said = fail(run(&out).args(["--resume", "--seed", "9"]));
    assert!(
        said.contains("are of a run with other options: remove them, or choose another --out ("),
        "{said}"
    );
    let request = fs::read_to_string(parts.join("request.json")).unwrap();
    for (from, to, why) in [
        ("\"tool\": \"sae-vis ", "\"tool\": \"sae-vis 9", "were made by sae-vis 9"),
        ("\"changed\": ", "\"changed\": 1", "has changed since the parts that are there were made"),
    ] {
        fs::write(parts.join("request.json"), request.replacen(from, to, 1)).unwrap();
        let said = fail(run(&out).arg("--resume"));
        assert!(said.contains(why), "{said}");
    }
    fs::remove_file(parts.join("request.json")).unwrap();
    let said = fail(run(&out).arg("--resume"));
    assert!(said.contains("holds something else: remove it"), "{said}");
    // A run that does not ask for them leaves them alone.
    succeed(&mut run(&out));
    assert!(parts.join("plan.json").exists() && files(&out) == expected);

    // What is the reader's stays; what is the run's goes.
    fs::remove_dir_all(&parts).unwrap();
    copy(&begun, &parts);
    fs::write(parts.join("notes.txt"), "mine").unwrap();
    succeed(run(&out).arg("--resume"));
    assert_eq!(names(&parts), ["notes.txt"]);
    assert!(files(&out) == expected);
}

#[test]
fn devices_side_by_side_make_the_bytes_of_one() {
    let temp = tempfile::tempdir().unwrap();
    let expected = expected(temp.path());
    let out = temp.path().join("bundle");
    let on = |devices: &str| {
        let mut command = compute();
        command.args(["run", "-q", "--devices", devices]);
        let mut of_one = run(&out);
        let args: Vec<_> = of_one.get_args().skip(2).map(ToOwned::to_owned).collect();
        let device = args.iter().position(|arg| arg == "--device").unwrap();
        command.args(args[..device].iter().chain(&args[device + 2..]));
        of_one = command;
        of_one
    };
    for devices in ["cpu", "cpu,cpu", "cpu,cpu,cpu"] {
        succeed(&mut on(devices));
        assert!(files(&out) == expected, "{devices}");
        assert_eq!(names(temp.path()), ["bundle"]);
    }
    let said = fail(&mut on("cpu,cuda:0"));
    assert!(said.contains("--devices names cpu and cuda, which compute other bits"), "{said}");
    let said = fail(&mut on("cpu,gpu"));
    assert!(said.contains("unknown device \"gpu\" in --devices: expected cpu or cuda:N"), "{said}");
}
