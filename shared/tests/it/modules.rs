//! Modules use one another in one direction.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// All source files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The modules of the crate that each of its modules names in its code; the parts of `layout` are one module.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &Path| {
        let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    let files = sources(&src);
    let all: BTreeSet<String> = files.iter().map(|path| module(path)).filter(|name| name != "lib").collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.iter().filter(|path| module(path) != "lib") {
        let text = fs::read_to_string(path).unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let named = all.iter().filter(|other| {
            let grouped = code.split("use crate::{").skip(1).any(|rest| {
                let group = rest.split(';').next().unwrap();
                group
                    .split([',', '{', '}'])
                    .any(|part| part.trim().split("::").next() == Some(other.as_str()))
            });
            grouped || code.contains(&format!("crate::{other}"))
        });
        let own = module(path);
        uses.entry(own.clone()).or_default().extend(named.filter(|other| **other != own).cloned());
    }
    uses
}

#[test]
fn no_module_uses_itself_by_way_of_others() {
    let uses = uses();
    assert!(uses["bundle"].contains("manifest") && uses["manifest"].contains("layout"), "{uses:?}");
    let mut settled: BTreeSet<&String> = BTreeSet::new();
    loop {
        let next: Vec<&String> = uses
            .iter()
            .filter(|(name, used)| !settled.contains(name) && used.iter().all(|u| settled.contains(u)))
            .map(|(name, _)| name)
            .collect();
        if next.is_empty() {
            break;
        }
        settled.extend(next);
    }
    let circle: Vec<&String> = uses.keys().filter(|name| !settled.contains(name)).collect();
    assert!(circle.is_empty(), "in a circle, or above one: {circle:?}");
}
