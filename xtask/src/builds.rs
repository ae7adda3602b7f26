//! That what is tested is what ships, and that libtorch's C++ binding is compiled once for it all.
//!
//! Cargo compiles a package again for every other set of features, also where only a dependency's differ. The binding
//! takes minutes, and a test of a library with other features is a test of another library.

use crate::{
    cargo::cargo,
    steps,
    test::{TESTS, UNITS},
};
use anyhow::{Result, bail};
use harness::project::Project;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The program that ships.
const PROGRAM: [&str; 2] = ["--package", "compute"];

/// Checks that every package of the program has the same features when the tests are built.
pub fn same_features(project: &Project) -> Result<()> {
    let tree = |args: &[&str]| {
        let args = [&["tree", "--prefix", "none", "--format", "{p}\t{f}"], args].concat();
        Ok::<_, anyhow::Error>(features(&steps::read(&mut cargo(project, args))?))
    };
    let (ships, tested) = (tree(&[&PROGRAM[..], &["--edges", "normal,build"]].concat())?, tree(&[])?);
    match difference(&ships, &tested) {
        Some(package) => bail!(
            "{package} ships with the features {:?} and is tested with {:?}: see `cargo tree -e features -i {}`",
            ships.get(package),
            tested.get(package),
            package.replace(" v", "@")
        ),
        None => Ok(()),
    }
}

/// Features by package and version, from `cargo tree`; a package may be built with several sets, for itself and for what
/// runs while compiling.
fn features(tree: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for (package, features) in tree.lines().filter_map(|line| line.split_once('\t')) {
        let name: Vec<&str> = package.split(' ').take(2).collect();
        all.entry(name.join(" ")).or_default().insert(features.trim_end_matches(" (*)").to_owned());
    }
    all
}

/// The first package of `ships` that is not the same in `tested`.
fn difference<'a>(
    ships: &'a BTreeMap<String, BTreeSet<String>>,
    tested: &BTreeMap<String, BTreeSet<String>>,
) -> Option<&'a str> {
    ships
        .iter()
        .find(|(package, features)| tested.get(*package) != Some(features))
        .map(|(package, _)| &**package)
}

/// Checks on what cargo has built that the tests link the very libraries that ship, and that these and the lints share one
/// build of torch-sys.
pub fn one_build(project: &Project) -> Result<()> {
    let built = |args: &[&str]| {
        let args = [args, &["--quiet", "--release", "--message-format", "json"]].concat();
        steps::read(&mut cargo(project, args)).map(|messages| BuildProducts::read(&messages))
    };
    let ships = built(&[&["build"], &PROGRAM[..]].concat())?;
    let mut bindings = built(&["clippy", "--all-targets"])?.bindings;
    for packages in [&TESTS[..], &UNITS] {
        let tested = built(&[&["test", "--no-run"], packages].concat())?;
        if let Some(library) = ships.libraries.difference(&tested.libraries).next() {
            bail!(
                "a library ships that the tests do not link, but build with other features or flags: {library}"
            );
        }
        bindings.extend(tested.bindings);
    }
    bindings.extend(ships.bindings);
    match bindings.len() {
        0 => bail!("cargo names no build of torch-sys"),
        1 => Ok(()),
        n => bail!("torch-sys is built {n} times: {}", bindings.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// What a cargo command has built, or found built.
#[derive(Debug, Default, PartialEq, Eq)]
struct BuildProducts {
    /// Files of libraries' metadata: cargo moves an asked-for library itself elsewhere, and so gives it another name.
    libraries: BTreeSet<String>,
    /// Folders with the output of torch-sys's build script.
    bindings: BTreeSet<String>,
}

impl BuildProducts {
    /// Reads cargo's messages, a JSON object a line.
    fn read(messages: &str) -> Self {
        let mut built = Self::default();
        for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let id = message["package_id"].as_str().unwrap_or_default();
            if message["reason"] == "build-script-executed" && id.contains("#torch-sys@") {
                built.bindings.extend(message["out_dir"].as_str().map(str::to_owned));
            }
            let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            built.libraries.extend(
                files
                    .filter(|file| Path::new(file).extension().is_some_and(|kind| kind == "rmeta"))
                    .map(str::to_owned),
            );
        }
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_features_are_a_difference_and_more_packages_are_none() {
        let ships = features("serde v1.0.0\tstd\nserde v1.0.0\tstd (*)\nsyn v2.0.1 (proc-macro)\tfull\n");
        assert_eq!(ships["serde v1.0.0"].len(), 1);
        assert_eq!(difference(&ships, &ships), None);
        let with_more = features("serde v1.0.0\tstd\nsyn v2.0.1\tfull\nproptest v1.0.0\t\n");
        assert_eq!(difference(&ships, &with_more), None);
        let others = features("serde v1.0.0\tstd,rc\nsyn v2.0.1\tfull\n");
        assert_eq!(difference(&ships, &others), Some("serde v1.0.0"));
        assert_eq!(difference(&ships, &features("serde v1.0.0\tstd\n")), Some("syn v2.0.1"));
    }

    #[test]
    fn builds_are_read_from_the_messages_of_cargo() {
        let built = BuildProducts::read(
            r#"{"reason":"compiler-artifact","package_id":"registry#zip@0.6.6","filenames":["/t/libzip-1.rlib","/t/libzip-1.rmeta"]}
{"reason":"build-script-executed","package_id":"registry#torch-sys@0.24.0","out_dir":"/t/torch-sys-1/out"}
{"reason":"build-script-executed","package_id":"registry#zstd-sys@2.0.0","out_dir":"/t/zstd-sys-1/out"}
not JSON
"#,
        );
        assert_eq!(built.libraries.into_iter().collect::<Vec<_>>(), ["/t/libzip-1.rmeta"]);
        assert_eq!(built.bindings.into_iter().collect::<Vec<_>>(), ["/t/torch-sys-1/out"]);
    }
}
