//! What commands may write to, what they replace, and what they keep.

use std::{
    fs::{self, File},
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use compute::bundle::{Bundle, read_manifest};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    tiny::{self, compute, copy, fail, files, names, run, stderr, succeed},
    written,
};

/// A folder with a bundle in it, and the bundle.
fn bundle() -> (TempDir, PathBuf) {
    static BUNDLE: OnceLock<PathBuf> = OnceLock::new();
    let ready = BUNDLE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outputs-bundle");
        let _absent = fs::remove_dir_all(&folder);
        succeed(&mut run(&folder, 0));
        folder
    });
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("bundle");
    copy(ready, &folder);
    (temp, folder)
}

fn command(name: &str, args: &[&Path]) -> Command {
    let mut command = compute();
    command.arg(name).args(args);
    command
}

fn export(bundle: &Path, out: &Path) -> Command {
    let mut command = command("export", &[bundle]);
    command.arg("--quiet").arg("--out").arg(out);
    command
}

/// Changes the manifest of the bundle in `folder`.
fn edit_manifest(folder: &Path, change: impl Fn(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_run_replaces_a_bundle_and_keeps_what_a_reader_put_beside_its_files() {
    let (temp, out) = bundle();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    fs::create_dir_all(out.join("features/figures/old")).unwrap();
    fs::write(out.join("features/figures/old/a.svg"), "a").unwrap();
    fs::write(out.join("features/0000.bin.bak"), "b").unwrap();
    symlink("/nowhere", out.join("a link")).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o750)).unwrap();
    succeed(&mut run(&out, 1));
    assert_eq!(read_manifest(&out).unwrap().run.unwrap().seed, 1);
    assert_eq!(fs::read_to_string(out.join("notes.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(out.join("features/figures/old/a.svg")).unwrap(), "a");
    assert_eq!(fs::read_to_string(out.join("features/0000.bin.bak")).unwrap(), "b");
    assert_eq!(fs::read_link(out.join("a link")).unwrap(), Path::new("/nowhere"));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(names(temp.path()), ["bundle"]);
}

#[test]
fn a_kept_file_does_not_replace_one_of_the_new_bundle() {
    let (_temp, out) = bundle();
    // The manifest does not list it, so it is the reader's, under a name that the new bundle needs.
    edit_manifest(&out, |manifest| {
        manifest["files"].as_array_mut().unwrap().retain(|file| file["path"] != "vocab.bin");
    });
    fs::write(out.join("vocab.bin"), "mine").unwrap();
    succeed(&mut run(&out, 1));
    assert_eq!(fs::read_to_string(out.join("vocab.bin.kept-1")).unwrap(), "mine");
    succeed(&mut command("inspect", &[&out]));
}

#[test]
fn folders_that_hold_something_else_than_a_bundle_are_refused_and_stay_as_they_are() {
    for manifest in [
        r#"{"manifest_version": 3, "name": "an extension"}"#,
        r#"{"schema": {"major": 2, "minor": 0}, "tool": "another", "files": []}"#,
        r#"{"schema": {"major": 2, "minor": 0}, "tool": "sae-vis compute 1", "files": [{"path": "../../etc/passwd"}]}"#,
        r#"{"schema": {"major": 2, "minor": 0}, "tool": "sae-vis compute 1", "files": [{"path": "/etc/passwd"}]}"#,
        r#"{"schema": {"major": 2, "#,
        "[]",
        "",
    ] {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("manifest.json"), manifest).unwrap();
        fs::write(out.join("code.js"), "precious").unwrap();
        let before = files(temp.path());
        let said = fail(&mut run(&out, 1));
        assert!(said.contains("will not replace a folder that holds something else than a bundle"), "{said}");
        assert_eq!(files(temp.path()), before);
        assert_eq!(names(temp.path()), ["out"]);
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_before_the_work() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::create_dir(at("here")).unwrap();
    fs::write(at("file"), "").unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    mkfifo(&at("pipe"));
    let long = "x".repeat(300);
    for (out, said) in [
        (".", "no name of its own"),
        ("./", "no name of its own"),
        ("..", "no name of its own"),
        ("../here/..", "no name of its own"),
        ("/", "no name of its own"),
        ("../file", "not a folder"),
        ("../file/x", "could not use the output's path"),
        ("../pipe", "not a folder"),
        ("../dangling", "a link to nothing"),
        ("../loop", "could not use the output's path"),
        (long.as_str(), "could not use the output's path"),
        (&long[..250], "could not write to the output's folder"),
        ("/proc/sys/x", "could not write to the output's folder"),
        ("/proc", "a file system is mounted"),
    ] {
        // A model that is not there would be what fails if the output were looked at later than the weights.
        let done = run(Path::new(out), 1).current_dir(at("here")).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{out}: {}", stderr(&done));
        assert!(
            stderr(&done).contains(said) && stderr(&done).lines().count() == 1,
            "{out}: {}",
            stderr(&done)
        );
        assert!(names(&at("here")).is_empty(), "{out}: {:?}", names(&at("here")));
    }
    assert_eq!(names(temp.path()), ["dangling", "file", "here", "loop", "pipe"]);
}

#[test]
fn paths_with_a_dot_or_a_slash_at_their_end_and_links_to_bundles_are_followed() {
    let (temp, out) = bundle();
    for (i, end) in ["/", "/.", "//./"].into_iter().enumerate() {
        succeed(&mut run(Path::new(&format!("{}{end}", out.display())), 1 + i as u64));
        assert_eq!(read_manifest(&out).unwrap().run.unwrap().seed, 1 + i as u64);
    }
    fs::create_dir(temp.path().join("links")).unwrap();
    let link = temp.path().join("links/to-it");
    symlink("../bundle", &link).unwrap();
    succeed(&mut run(&link, 9));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read_manifest(&out).unwrap().run.unwrap().seed, 9);
    succeed(&mut command("inspect", &[&link]));
    let here = compute().args(["inspect", "."]).current_dir(&out).output().unwrap();
    assert!(here.status.success(), "{}", stderr(&here));
    assert_eq!(
        (names(temp.path()), names(&temp.path().join("links"))),
        (vec!["bundle".into(), "links".into()], vec!["to-it".into()])
    );
}

#[test]
fn an_empty_folder_and_one_that_is_not_there_are_written_to_and_a_failed_run_leaves_neither() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("empty")).unwrap();
    succeed(&mut run(&temp.path().join("empty"), 1));
    succeed(&mut run(&temp.path().join("a/b/c"), 1));
    assert_eq!(names(&temp.path().join("a/b")), ["c"]);
    let mut wrong = run(&temp.path().join("x/y/z"), 1);
    fail(wrong.args(["--hook", "blocks.9.hook_resid_pre"]));
    // This is found when the weights are read, after the output was taken.
    let sae = temp.path().join("sae");
    tiny::write_sae(&sae, |numbers| numbers.b_enc[0] = f32::NAN);
    let said = fail(&mut tiny::run_sae(&sae, &temp.path().join("x/y/z"), 1));
    assert!(said.contains("NaN"), "{said}");
    assert_eq!(names(temp.path()), ["a", "empty", "sae"]);
}

#[test]
fn of_two_runs_into_one_output_the_second_is_refused() {
    let (temp, out) = bundle();
    let work = temp.path().join(".bundle.sae-vis");
    fs::create_dir(&work).unwrap();
    let lock = File::create(work.join("lock")).unwrap();
    lock.lock().unwrap();
    let said = fail(&mut run(&out, 1));
    assert!(said.contains("another `compute` is writing this output"), "{said}");
    // It can be read meanwhile.
    succeed(&mut command("inspect", &[&out]));
    assert_eq!(read_manifest(&out).unwrap().run.unwrap().seed, 0);
    drop(lock);
    succeed(&mut run(&out, 1));
    assert_eq!(names(temp.path()), ["bundle"]);
}

#[test]
fn the_hidden_folder_is_not_followed_to_where_another_points_it() {
    let (temp, out) = bundle();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("new")).unwrap();
    fs::write(elsewhere.path().join("new/precious"), "").unwrap();
    symlink(elsewhere.path(), temp.path().join(".bundle.sae-vis")).unwrap();
    let said = fail(&mut run(&out, 1));
    assert!(said.contains("is in the way"), "{said}");
    assert_eq!(names(&elsewhere.path().join("new")), ["precious"]);
}

#[test]
fn exports_replace_exports_and_nothing_else_unless_forced() {
    let (temp, folder) = bundle();
    let out = temp.path().join("new/folder/b.saevis");
    succeed(&mut export(&folder, &out));
    let first = fs::read(&out).unwrap();
    succeed(&mut export(&folder, &out));
    assert_eq!(fs::read(&out).unwrap(), first);
    let notes = temp.path().join("notes.txt");
    for precious in
        ["precious", "", "PK\u{3}\u{4}another zip that is long enough to have a header of thirty bytes"]
    {
        fs::write(&notes, precious).unwrap();
        let said = fail(&mut export(&folder, &notes));
        assert!(said.contains("will not replace a file that is not an exported bundle"), "{said}");
        assert_eq!(fs::read_to_string(&notes).unwrap(), precious);
    }
    succeed(export(&folder, &notes).arg("--force"));
    assert_eq!(fs::read(&notes).unwrap(), first);
    assert_eq!(names(temp.path()), ["bundle", "new", "notes.txt"]);
    assert_eq!(names(&temp.path().join("new/folder")), ["b.saevis"]);
}

#[test]
fn one_file_outputs_are_regular_files() {
    let (temp, folder) = bundle();
    let device = temp.path().join("device");
    // Only root can make one; elsewhere the pipe and the folder stand for it.
    let made = Command::new("mknod").arg(&device).args(["c", "1", "3"]).output().unwrap().status.success();
    let pipe = temp.path().join("pipe");
    mkfifo(&pipe);
    for out in [&pipe, &folder, &device] {
        if out == &device && !made {
            continue;
        }
        let said = fail(&mut export(&folder, out));
        assert!(said.contains("not a regular file"), "{said}");
        let said = fail(export(&folder, out).arg("--force"));
        assert!(said.contains("not a regular file"), "{said}");
        let mut dump = compute();
        dump.args(["dump", "logits", "--model", "/nowhere", "--tokens", "/nowhere.npy", "--out"]).arg(out);
        assert!(fail(&mut dump).contains("not a regular file"));
    }
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(!made || fs::metadata(&device).unwrap().file_type().is_char_device());
}

#[test]
fn dumps_replace_dumps_and_nothing_else_unless_forced() {
    let temp = tempfile::tempdir().unwrap();
    let model = written::fixture("models/gpt2");
    let tokens = format!("{}:tokens", model.join("expected.safetensors").display());
    let dump = |out: &Path| {
        let mut dump = compute();
        dump.args(["dump", "logits", "--device", "cpu", "--model"]).arg(&model).args(["--tokens", &tokens]);
        dump.arg("--out").arg(out);
        dump
    };
    let out = temp.path().join("a/logits.safetensors");
    succeed(&mut dump(&out));
    succeed(&mut dump(&out));
    let weights = temp.path().join("weights.safetensors");
    fs::copy(model.join("model.safetensors"), &weights).unwrap();
    let said = fail(&mut dump(&weights));
    assert!(said.contains("will not replace a file that is not a dump"), "{said}");
    assert_eq!(fs::read(&weights).unwrap(), fs::read(model.join("model.safetensors")).unwrap());
    succeed(dump(&weights).arg("--force"));
    assert_eq!(fs::read(&weights).unwrap(), fs::read(&out).unwrap());
    assert_eq!(names(temp.path()), ["a", "weights.safetensors"]);
}

#[test]
fn an_export_holds_nothing_but_the_checked_files_of_the_bundle() {
    type Change = fn(&Path);
    let secret = "precious bytes";
    let listed = |folder: &Path, path: &str| {
        edit_manifest(folder, |manifest| {
            manifest["files"].as_array_mut().unwrap().push(serde_json::json!(
                { "path": path, "bytes": 14, "decoded_bytes": 14, "crc32": 0 }
            ));
        });
    };
    for path in ["../secret", "/proc/self/comm", "features/../../secret", "..", "", "."] {
        let (temp, folder) = bundle();
        fs::write(temp.path().join("secret"), secret).unwrap();
        listed(&folder, path);
        let out = temp.path().join("out.saevis");
        let said = fail(&mut export(&folder, &out));
        assert!(said.contains("lists a file outside"), "{path:?}: {said}");
        assert_eq!(names(temp.path()), ["bundle", "secret"]);
    }
    let changes: [(&str, Change); 5] = [
        ("a link to outside", |folder| {
            fs::rename(folder.join("vocab.bin"), folder.with_file_name("vocab.bin")).unwrap();
            symlink("../vocab.bin", folder.join("vocab.bin")).unwrap();
        }),
        ("a link to outside", |folder| {
            fs::rename(folder.join("features"), folder.with_file_name("features")).unwrap();
            symlink("../features", folder.join("features")).unwrap();
        }),
        ("not a regular file", |folder| {
            fs::remove_file(folder.join("vocab.bin")).unwrap();
            mkfifo(&folder.join("vocab.bin"));
        }),
        ("checksum", |folder| {
            let path = folder.join("features/0000.bin");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("is truncated", |folder| {
            let path = folder.join("features/0000.bin");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[1..]).unwrap();
        }),
    ];
    for (expected, change) in changes {
        let (temp, folder) = bundle();
        change(&folder);
        let out = temp.path().join("out.saevis");
        let said = fail(&mut export(&folder, &out));
        assert!(said.contains(expected), "{said}");
        assert!(!out.exists() && !names(temp.path()).iter().any(|name| name.starts_with('.')));
    }
    // A link inside is the bundle's own business.
    let (temp, folder) = bundle();
    fs::rename(folder.join("vocab.bin"), folder.join("elsewhere.bin")).unwrap();
    symlink("elsewhere.bin", folder.join("vocab.bin")).unwrap();
    succeed(&mut export(&folder, &temp.path().join("out.saevis")));
}

#[test]
fn a_bundle_as_one_file_is_inspected_as_its_folder_is_and_refused_where_the_folder_is_needed() {
    let (temp, folder) = bundle();
    let file = temp.path().join("bundle.saevis");
    succeed(command("export", &[&folder]).arg("--quiet"));
    for more in [&[][..], &["--json"], &["--feature", "3"], &["--feature", "3", "--json"]] {
        let of = |path: &Path| succeed(command("inspect", &[path]).args(more)).stdout;
        assert_eq!(of(&file), of(&folder), "{more:?}");
    }
    let labels = temp.path().join("l.json");
    fs::write(&labels, r#"{"3": "x"}"#).unwrap();
    for mut refused in [command("label", &[&file, &labels]), command("export", &[&file])] {
        let said = fail(&mut refused);
        assert!(said.contains("the bundle is one file, expected its folder"), "{said}");
    }
    let bytes = fs::read(&file).unwrap();
    for n in (0..bytes.len()).step_by(bytes.len() / 97) {
        fs::write(&file, &bytes[..n]).unwrap();
        Bundle::open(&file).unwrap_err();
    }
}

#[test]
fn names_in_a_bundle_never_reach_the_terminal_raw() {
    let (_temp, folder) = bundle();
    let name = "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\nfeatures  99";
    edit_manifest(&folder, |manifest| {
        manifest["model"]["name"] = name.into();
        manifest["sae"]["architecture"] = name.into();
        manifest["tool"] = format!("sae-vis{name}").into();
    });
    for more in [&[][..], &["--json"]] {
        let printed = String::from_utf8(succeed(command("inspect", &[&folder]).args(more)).stdout).unwrap();
        let raw = printed.chars().find(|c| *c != '\n' && (c.is_control() || *c == '\u{202e}'));
        assert_eq!(raw, None, "{printed}");
        assert_eq!(
            printed.lines().filter(|line| line.starts_with("features  ")).count(),
            usize::from(more.is_empty())
        );
    }
    let json = succeed(command("inspect", &[&folder]).arg("--json")).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["model"]["name"], name);
    let sae = folder.with_file_name("sae");
    tiny::write_sae(&sae, |_| {});
    let config = fs::read_to_string(sae.join("cfg.json")).unwrap();
    fs::write(sae.join("cfg.json"), config.replace("blocks.1", "\\u001b[2J\\u0007blocks\\n")).unwrap();
    let said = fail(&mut tiny::run_sae(&sae, &folder.with_file_name("out"), 0));
    assert!(said.contains("\\u{1b}[2J\\u{7}blocks\\n.hook_resid_pre"), "{said}");
    assert!(!said.chars().any(char::is_control), "{said}");
}

#[test]
fn standard_output_that_is_full_is_an_error_and_one_that_is_closed_is_none() {
    let (temp, folder) = bundle();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let out = temp.path().join("new");
    let loud = || {
        let quiet = run(&out, 4);
        let mut loud = compute();
        loud.args(quiet.get_args().filter(|arg| *arg != "--quiet"));
        loud
    };
    for mut command in [command("inspect", &[&folder]), compute_layout(), loud()] {
        let done = command.stdout(full()).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{command:?}");
        let said = stderr(&done);
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("compute: could not write to standard output: "), "{said}");
        let done = command.stdout(closed()).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{command:?}: {}", stderr(&done));
        assert!(!stderr(&done).contains("compute:"), "{}", stderr(&done));
    }
    // The bundle is there all the same.
    assert_eq!(read_manifest(&out).unwrap().run.unwrap().seed, 4);
    for command in [&mut command("inspect", &[Path::new("/nowhere")]), &mut compute()] {
        let status = command.stderr(full()).status().unwrap();
        assert!([Some(1), Some(2)].contains(&status.code()), "{command:?}: {status}");
    }
}

fn compute_layout() -> Command {
    let mut command = compute();
    command.args(["layout", "help"]);
    command
}

#[test]
fn a_bundle_names_what_was_read_and_not_where_it_lies() {
    let temp = tempfile::tempdir().unwrap();
    let sae = temp.path().join("alice/sae");
    tiny::write_sae(&sae, |_| {});
    let out = temp.path().join("bundle");
    succeed(tiny::run_sae(&sae, &out, 0).args(["--model-name", "our GPT-2"]));
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    assert!(
        !manifest.contains("alice") && !manifest.contains(&temp.path().display().to_string()),
        "{manifest}"
    );
    let manifest = read_manifest(&out).unwrap();
    assert_eq!(
        (manifest.model.name.as_str(), manifest.dataset.name.as_str()),
        ("our GPT-2", "tokens.safetensors")
    );
}
