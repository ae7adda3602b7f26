//! Stops the program at a system call on its output, or makes the call fail: `faults.c`, loaded into it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME")).with_extension("so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success(), "could not compile faults.c");
        library
    })
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program gets this signal before the call.
    Signal(i32),
    /// The call fails with this error.
    Fails(i32),
    /// Of what the call writes only one byte is written.
    Short,
}

/// Calls are counted on paths below `under`; with `always`, calls of that name always fail.
pub fn watch(command: &mut Command, under: &Path, always: Option<&str>) {
    command.env("LD_PRELOAD", library()).env("FAULTS_UNDER", fs::canonicalize(under).unwrap());
    if let Some(always) = always {
        command.env("FAULTS_ALWAYS", always);
    }
}

/// A counted call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// What it is made on.
    pub path: PathBuf,
    /// Flags of `open`, bytes of `write` in hexadecimal, the other path of `rename` and `renameat2`.
    pub more: String,
}

/// The counted calls of a command that succeeds, in order.
pub fn calls(command: &mut Command, under: &Path, always: Option<&str>) -> Vec<Call> {
    watch(command, under, always);
    let log = tempfile::NamedTempFile::new().unwrap();
    assert!(command.env("FAULTS_LOG", log.path()).status().unwrap().success());
    let log = fs::read_to_string(log.path()).unwrap();
    let call = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [name, path, more] = parts[..] else { panic!("not a call: {line}") };
        Call { name: name.to_owned(), path: path.into(), more: more.to_owned() }
    };
    log.lines().map(call).collect()
}

/// Lets `fault` happen at call `at`, from 1.
pub fn inject(command: &mut Command, at: usize, fault: Fault) {
    let what = match fault {
        Fault::Signal(signal) => format!("kill {signal}"),
        Fault::Fails(error) => format!("fail {error}"),
        Fault::Short => "short 0".to_owned(),
    };
    command.env("FAULTS_AT", at.to_string()).env("FAULTS_DO", what);
}
