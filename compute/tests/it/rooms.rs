//! The rooms (top-level modules) of `compute` import one another in no circle.
//!
//! Crates cannot depend on one another in a circle; modules can, and then none of them can be read, tested or moved alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Rooms, each with those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// What the code in `src` imports: each file belongs to the room that its path begins with.
fn imports(src: &Path) -> Imports {
    let mut all = Imports::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(src).unwrap();
            let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
            if !["lib", "main"].contains(&room) {
                let found = imported(&fs::read_to_string(&path).unwrap());
                all.entry(room.to_owned()).or_default().extend(found.into_iter().filter(|name| name != room));
            }
        }
    }
    all
}

/// The rooms that a file names after `crate::`, alone or in braces.
fn imported(code: &str) -> BTreeSet<String> {
    let no_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let code = code.lines().map(no_comment).collect::<Vec<_>>().join("\n");
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            found.insert(name(after));
            continue;
        };
        let mut depth = 1;
        let mut begins = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                c if depth == 1 && begins && !c.is_whitespace() => {
                    found.insert(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// Rooms that import one another in a circle, in its order, if there are any.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn walk(room: &str, imports: &Imports, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(at) = path.iter().position(|on_path| on_path == room) {
            path.drain(..at);
            return true;
        }
        if !done.contains(room) {
            path.push(room.to_owned());
            if imports.get(room).into_iter().flatten().any(|next| walk(next, imports, path, done)) {
                return true;
            }
            path.pop();
            done.insert(room.to_owned());
        }
        false
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    imports.keys().any(|room| walk(room, imports, &mut path, &mut done)).then_some(path)
}

fn no_circle(src: &str, known: [&str; 2]) {
    let imports = imports(&Path::new(env!("CARGO_MANIFEST_DIR")).join(src));
    let [room, below] = known;
    assert!(imports[room].contains(below), "the imports are not read: {imports:?}");
    assert_eq!(circle(&imports), None, "of {imports:#?}");
}

#[test]
fn the_rooms_of_compute_form_no_circle() {
    no_circle("src", ["pass", "model"]);
}

#[test]
fn a_circle_is_found_however_it_is_imported() {
    let code = "use crate::{\n    a::{self, B}, // c::D\n    e,\n};\n/// See [`crate::f`].\nfn g() { crate::h::i() }";
    assert_eq!(imported(code).into_iter().collect::<Vec<_>>(), ["a", "e", "h"]);
    let imports = |pairs: &[(&str, &str)]| {
        let mut all = Imports::new();
        for (from, to) in pairs {
            all.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        all
    };
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c"]);
}
