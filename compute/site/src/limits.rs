//! What GitHub Pages takes.

use std::{fs, path::Path};

use anyhow::Result;

/// The largest file and the largest site that GitHub Pages publishes, in bytes.
const MAX_FILE_BYTES: u64 = 100_000_000;
const MAX_SITE_BYTES: u64 = 1_000_000_000;

/// What GitHub Pages would refuse of the folder `site`, a sentence each.
pub fn beyond(site: &Path) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let (mut total, mut folders) = (0, vec![site.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, about) = (entry.path(), entry.metadata()?);
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            total += about.len();
            if about.len() > MAX_FILE_BYTES {
                warnings.push(format!(
                    "a file has {} MB, GitHub takes {} MB: compute fewer features a bundle ({})",
                    about.len() / 1_000_000,
                    MAX_FILE_BYTES / 1_000_000,
                    path.display()
                ));
            }
        }
    }
    if total > MAX_SITE_BYTES {
        warnings.push(format!(
            "the site has {} MB, GitHub Pages takes {} MB: publish fewer bundles, or from another host",
            total / 1_000_000,
            MAX_SITE_BYTES / 1_000_000
        ));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_pages_would_refuse_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let inner = temp.path().join("inner");
        fs::create_dir(&inner).unwrap();
        // Sparse: they take no room.
        for (name, bytes) in [("small", MAX_FILE_BYTES), ("large", MAX_FILE_BYTES + 1)] {
            File::create(inner.join(name)).unwrap().set_len(bytes).unwrap();
        }
        let said = beyond(temp.path()).unwrap();
        assert!(
            said.len() == 1 && said[0].contains("100 MB") && said[0].ends_with("inner/large)"),
            "{said:?}"
        );
        File::create(inner.join("larger")).unwrap().set_len(MAX_SITE_BYTES).unwrap();
        let said = beyond(temp.path()).unwrap();
        assert!(said.len() == 3 && said[2].starts_with("the site has 1200 MB"), "{said:?}");
    }
}
