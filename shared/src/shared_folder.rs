//! Where the bundles of a site keep what they share.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    paths,
};

/// A folder of files that several bundles of a site read, such as their corpus and vocabulary: `../` for each step from the
/// bundle's folder to the site's, then a path inside the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct SharedFolder {
    n_up: usize,
    folder: String,
}

impl SharedFolder {
    /// The shared folder of the bundle at `bundle`, a path inside the site, as a path inside the site.
    ///
    /// Fails where the folder would lie outside: a bundle then names files that are none of the site's.
    pub fn in_site(&self, bundle: &str) -> Result<&str, Invalid> {
        let depth = bundle.split('/').filter(|name| !name.is_empty()).count();
        ensure(self.n_up == depth && (bundle.is_empty() || paths::is_inside(bundle)), || {
            format!(
                "shared files are said to lie {} folders up, the bundle's folder in the site is \"{bundle}\"",
                self.n_up
            )
        })?;
        Ok(&self.folder)
    }

    /// Folders between the bundle's and the site's.
    pub fn n_up(&self) -> usize {
        self.n_up
    }

    /// Path inside the site.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

impl TryFrom<String> for SharedFolder {
    type Error = Invalid;

    fn try_from(path: String) -> Result<Self, Invalid> {
        let (mut n_up, mut folder) = (0, path.as_str());
        while let Some(rest) = folder.strip_prefix("../") {
            (n_up, folder) = (n_up + 1, rest);
        }
        ensure(n_up > 0 && paths::is_inside(folder), || {
            format!("the shared folder is \"{path}\", expected ../ and a path inside the site")
        })?;
        Ok(Self { n_up, folder: folder.to_owned() })
    }
}

impl From<SharedFolder> for String {
    fn from(shared: SharedFolder) -> Self {
        "../".repeat(shared.n_up) + &shared.folder
    }
}
