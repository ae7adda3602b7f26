//! A build that asks no hub: what is in the cache is used.

use std::{collections::BTreeMap, convert::Infallible};

use anyhow::{Result, bail};

use super::{ArtifactKind, cache::CacheFolder, name::Name, repository::RemoteFile};

/// Never made.
#[derive(Debug)]
pub struct Api(Infallible);

impl Api {
    /// Says why there is none.
    pub fn new(_name: &Name, _what: ArtifactKind) -> Result<Self> {
        bail!("this build of compute was made without its feature \"hub\"")
    }

    /// Never called.
    pub fn list(&self) -> Result<(String, BTreeMap<String, RemoteFile>)> {
        match self.0 {}
    }

    /// Never called.
    pub fn fetch(
        &self,
        _file: &str,
        _listed: &RemoteFile,
        _commit: &str,
        _cached: &CacheFolder,
    ) -> Result<()> {
        match self.0 {}
    }
}
