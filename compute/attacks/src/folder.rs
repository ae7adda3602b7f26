//! Folders for readers that take paths.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static PLACE: OnceCell<Option<TempDir>> = const { OnceCell::new() };
}

/// A folder that holds `files` and nothing else, given to `read`. The place is kept from input to input.
///
/// A place that cannot be written stops the attack: nothing that it said would be true.
pub fn with_files<T>(folder: &str, files: &[(&str, &[u8])], read: impl FnOnce(&Path) -> T) -> T {
    let place: PathBuf = PLACE.with(|place| {
        let made = place.get_or_init(|| TempDir::new().ok());
        made.as_ref().map_or_else(PathBuf::new, |folder| folder.path().to_owned())
    });
    let folder = place.join(folder);
    let mut written = std::fs::create_dir_all(&folder);
    for (name, bytes) in files {
        written = written.and_then(|()| std::fs::write(folder.join(name), bytes));
    }
    assert!(written.is_ok(), "no place for the attacked files: {written:?}");
    let answer = read(&folder);
    for (name, _) in files {
        assert!(std::fs::remove_file(folder.join(name)).is_ok(), "{name} cannot be removed");
    }
    answer
}

/// Has `make` make a bundle of the file `name`, and throws the bundle away.
#[cfg(feature = "compute")]
pub fn made_of<T>(
    name: &str,
    bytes: &[u8],
    make: impl FnOnce(&Path, &Path) -> anyhow::Result<T>,
) -> crate::Outcome {
    with_files("import", &[(name, bytes)], |folder| {
        let out = folder.with_file_name("made");
        let made = crate::verdict::told(make(&folder.join(name), &out));
        assert!(made.is_some() == out.exists(), "a bundle is there without success, or not with it");
        assert!(made.is_none() || std::fs::remove_dir_all(&out).is_ok(), "the bundle cannot be removed");
        crate::verdict::outcome(made)
    })
}
