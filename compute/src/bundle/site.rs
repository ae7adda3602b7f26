//! A folder of bundles, `site.json` and what they share.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use shared::{
    manifest::Manifest,
    paths,
    site::{Site, SiteBundle},
};

use super::{FileWriter, SharedFiles, read_manifest, shared_files::prune};
use crate::{
    interrupt,
    output::{Lock, OutputFile, lock_folder, make_folders, resolve},
};

/// Bytes of the longest `site.json` that is read.
const MAX_SITE_BYTES: u64 = 16 << 20;

/// A site that this process alone writes.
///
/// Each bundle takes its place in one step; the list of them is written after them. A process that is killed leaves whole
/// bundles, and a list of those that there were.
#[derive(Debug)]
pub struct SiteFolder {
    path: PathBuf,
    site: Site,
    _lock: File,
}

/// Fails where a site cannot be written at `out`, before any work is done.
fn check(path: &Path, out: &Path) -> Result<()> {
    let at = out.display();
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    ensure!(found.is_dir(), "the output is not a folder: choose another --out ({at})");
    let is_empty = path.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        is_empty || read_site(path).is_ok(),
        "several SAEs make a site, and the folder holds something else: choose another --out ({at})"
    );
    Ok(())
}

/// Reads the list of the site in `folder`.
pub fn read_site(folder: &Path) -> Result<Site> {
    let path = folder.join(paths::SITE);
    let reading = || format!("could not open the site ({})", path.display());
    let about = fs::metadata(&path).with_context(reading)?;
    ensure!(about.is_file() && about.len() <= MAX_SITE_BYTES, "{}: it is no list of bundles", reading());
    Ok(Site::from_json(&fs::read(&path).with_context(reading)?)?)
}

impl SiteFolder {
    /// Takes the site at `out` for this process, a new one or one that is there.
    pub fn claim(out: &Path, tool: &str) -> Result<Self> {
        let path = resolve(out)?;
        check(&path, out)?;
        interrupt::listen()?;
        let failed = || format!("could not write to the output's folder ({})", out.display());
        make_folders(&path).with_context(failed)?;
        let Lock::Here(lock) = lock_folder(&path).with_context(failed)? else {
            bail!("another `compute` is writing this site: wait for it ({})", out.display())
        };
        check(&path, out)?;
        let bundles = read_site(&path).map(|site| site.bundles).unwrap_or_default();
        let this = Self { path, site: Site::new(tool.to_owned(), bundles), _lock: lock };
        // What is killed from now on leaves a folder that is known as a site.
        this.write()?;
        Ok(this)
    }

    /// Writes what all bundles share.
    pub fn share(&self, write: impl FnOnce(&mut FileWriter) -> Result<()>) -> Result<SharedFiles> {
        SharedFiles::write(&self.path, write)
    }

    /// Where the bundle `name` lies.
    pub fn bundle(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Lists the bundles `names`, which are in their places, in that order, after others that are there still, and removes
    /// what no bundle reads any more.
    pub fn finish(mut self, names: &[String]) -> Result<()> {
        let listed = |name: &String| -> Result<SiteBundle> {
            let manifest: Manifest = read_manifest(&self.bundle(name))?;
            Ok(SiteBundle::new(name.clone(), &manifest))
        };
        let is_there = |other: &SiteBundle| read_manifest(&self.bundle(&other.path)).is_ok();
        let others = self.site.bundles.iter().filter(|b| !names.contains(&b.path)).filter(|b| is_there(b));
        let mut bundles: Vec<SiteBundle> = others.cloned().collect();
        for name in names {
            bundles.push(listed(name)?);
        }
        self.site.bundles = bundles;
        let _placed = interrupt::held_off();
        self.write()?;
        let folders: Vec<PathBuf> = self.site.bundles.iter().map(|b| self.bundle(&b.path)).collect();
        prune(&self.path, &folders)
    }

    fn write(&self) -> Result<()> {
        let path = self.path.join(paths::SITE);
        let mut file = OutputFile::replacing(path.clone())?;
        file.write_all(&self.site.to_json()?)
            .with_context(|| format!("could not write ({})", path.display()))?;
        file.finish().map(drop)
    }
}
