//! A site: bundles that one page shows side by side, `site.json`.
//!
//! `compute run` with several SAEs writes one, whose bundles share corpus and vocabulary; `compute export --site` makes one
//! of any bundles, with the page beside them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::{BundleError, Invalid, ensure},
    health::Health,
    manifest::{MAJOR, MINOR, Manifest, SchemaVersion},
    paths,
};

/// Bundles in a site, at most.
const MAX_BUNDLES: usize = 10_000;

/// What a site lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Schema of the site, which is that of its bundles.
    pub schema: SchemaVersion,
    /// Program that wrote it, with its version.
    pub tool: String,
    /// The bundles, in the order in which the model reaches their hook points.
    pub bundles: Vec<SiteBundle>,
}

/// A bundle of a site, with what one asks of it before it is opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteBundle {
    /// Its folder inside the site, with `/`.
    pub path: String,
    /// The model's name.
    pub model: String,
    /// The SAE's name.
    pub sae: String,
    /// Hook point that the SAE reads; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Features in the SAE's dictionary; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_sae: Option<u32>,
    /// Features in the bundle.
    pub n_features: u32,
    /// Health of the SAE.
    #[serde(default)]
    pub health: Health,
}

impl SiteBundle {
    /// What a site says of the bundle at `path` inside it.
    pub fn new(path: String, manifest: &Manifest) -> Self {
        Self {
            path,
            model: manifest.model.name.clone(),
            sae: manifest.sae.name.clone(),
            hook: manifest.sae.hook.clone(),
            d_sae: manifest.sae.d_sae,
            n_features: manifest.n_features() as u32,
            health: manifest.health,
        }
    }
}

impl Site {
    /// A site of `bundles`.
    pub fn new(tool: String, bundles: Vec<SiteBundle>) -> Self {
        Self { schema: SchemaVersion { major: MAJOR, minor: MINOR }, tool, bundles }
    }

    /// Reads and checks `site.json`.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        let decode = |e: serde_json::Error| BundleError::Decode {
            reason: e.to_string(),
            path: paths::SITE.to_owned(),
        };
        let site: Self = serde_json::from_slice(json).map_err(decode)?;
        let invalid = |Invalid(reason)| BundleError::Invalid { reason, path: paths::SITE.to_owned() };
        site.validate().map_err(invalid)?;
        Ok(site)
    }

    /// Its JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let failed = |e: serde_json::Error| BundleError::Decode {
            reason: e.to_string(),
            path: paths::SITE.to_owned(),
        };
        serde_json::to_vec_pretty(self).map_err(failed)
    }

    fn validate(&self) -> Result<(), Invalid> {
        let n = self.bundles.len();
        ensure(n <= MAX_BUNDLES, || format!("it lists {n} bundles, expected at most {MAX_BUNDLES}"))?;
        let mut listed = BTreeSet::new();
        for bundle in &self.bundles {
            let path = &bundle.path;
            ensure(paths::is_inside(path), || format!("it lists a bundle outside it: {path:?}"))?;
            ensure(listed.insert(path), || format!("it lists {path} twice"))?;
        }
        Ok(())
    }
}
