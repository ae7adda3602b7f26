//! The bundles of a site, as its pages ask for them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use shared::paths;

use crate::bundle::{Bundle, read_site};

/// A site's bundles, opened.
#[derive(Debug)]
pub struct SiteFiles {
    json: Vec<u8>,
    /// Each with its path in the site.
    bundles: Vec<(String, Bundle)>,
}

impl SiteFiles {
    /// Opens all bundles of the site in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let site = read_site(folder)?;
        ensure!(
            !site.bundles.is_empty(),
            "the site has no bundles yet: run `compute` again ({})",
            folder.display()
        );
        let open = |path: &String| Ok((path.clone(), Bundle::open(&folder.join(path))?));
        let bundles = site.bundles.iter().map(|listed| open(&listed.path)).collect::<Result<_>>()?;
        Ok(Self { json: site.to_json()?, bundles })
    }

    /// The bytes of the file at `path` in the site: its list, or what a manifest lists.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        if path == paths::SITE {
            return Ok(self.json.clone());
        }
        let inside = |folder: &str| Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        for (own, bundle) in &self.bundles {
            if let Some(file) = inside(own) {
                return if file == paths::MANIFEST {
                    Ok(bundle.manifest.to_json()?)
                } else {
                    bundle.bytes(&file)
                };
            }
            if let Some(file) = bundle.manifest.shared.as_ref().and_then(|shared| inside(shared.folder())) {
                return bundle.bytes(&file);
            }
        }
        None.context("no such file")
    }
}
