//! Tries any text as the path of a shared folder, and as a path in a site or an archive.

use shared::paths::is_inside;
use shared::shared_folder::SharedFolder;

use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (path, bundle) = text.split_once('\n').unwrap_or((&text, "a"));
    let folder = judged(SharedFolder::try_from(path.to_owned()));
    if let Some(folder) = &folder {
        assert!(is_inside(folder.folder()), "{path:?} leads out of its site");
        let _lies = judged(folder.in_site(bundle));
        assert!(String::from(folder.clone()) == path, "{path:?} changes when it is read and written");
    }
    outcome(folder)
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![b"../shared\na".to_vec(), b"../../x/y\na/b".to_vec()]
}
