//! Bundles to publish: what of them is copied, and how it is checked.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use shared::{
    error::BundleError,
    manifest::{FileInfo, Manifest},
    paths,
    site::Site,
};

/// Bytes of the longest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// Bytes that are copied at once.
const PART: usize = 1 << 20;

/// A bundle to publish.
#[derive(Debug)]
pub struct Published {
    /// The name of its folder, as it stands in addresses.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The manifest as it is stored.
    json: Vec<u8>,
}

impl Published {
    /// The bundle in `given`, or all of the site there.
    pub fn read(given: &Path) -> Result<Vec<Self>> {
        if !given.join(paths::SITE).is_file() {
            return Ok(vec![Self::one(given)?]);
        }
        let path = given.join(paths::SITE);
        let site = Site::from_json(&small_file(&path)?)
            .with_context(|| format!("could not open the site ({})", given.display()))?;
        ensure!(
            !site.bundles.is_empty(),
            "the site has no bundles: run `compute` again ({})",
            given.display()
        );
        site.bundles.iter().map(|bundle| Self::one(&given.join(&bundle.path))).collect()
    }

    fn one(given: &Path) -> Result<Self> {
        let json = small_file(&given.join(paths::MANIFEST))
            .with_context(|| format!("not a bundle ({})", given.display()))?;
        let manifest = Manifest::from_json(&json)
            .with_context(|| format!("not a bundle that this program reads ({})", given.display()))?;
        let folder = given.canonicalize().with_context(|| format!("could not read {}", given.display()))?;
        if let Some(shared) = &manifest.shared {
            ensure!(
                shared.n_up() == 1,
                "the bundle's shared files lie {} folders up, expected one ({})",
                shared.n_up(),
                given.display()
            );
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        Ok(Self { name: name.chars().map(plain).collect(), folder, manifest, json })
    }

    /// Copies the bundle to the folder `to`, and what it shares into the folder `site`.
    pub fn copy(&self, to: &Path, site: &Path) -> Result<()> {
        for info in &self.manifest.files {
            match self.manifest.shared.as_ref().filter(|_| info.shared) {
                None => copy(&self.folder, &self.folder.join(&info.path), &to.join(&info.path), info)?,
                Some(shared) => {
                    let path = Path::new(shared.folder()).join(&info.path);
                    let from = self.folder.parent().with_context(|| info.path.clone())?;
                    // Another bundle may have brought it.
                    if !site.join(&path).exists() {
                        copy(from, &from.join(&path), &site.join(&path), info)?;
                    }
                }
            }
        }
        // Last: a folder with a manifest is whole.
        let path = to.join(paths::MANIFEST);
        fs::write(&path, &self.json).with_context(|| format!("could not write {}", path.display()))
    }
}

/// A JSON file that fits into memory.
fn small_file(path: &Path) -> Result<Vec<u8>> {
    let reading = || format!("could not read {}", path.display());
    let about = fs::metadata(path).with_context(reading)?;
    ensure!(about.is_file() && about.len() <= MAX_MANIFEST_BYTES, "{}: it is no such file", reading());
    fs::read(path).with_context(reading)
}

/// Copies the file at `from`, which must be what `info` says and lie in `folder` once links are followed.
fn copy(folder: &Path, from: &Path, to: &Path, info: &FileInfo) -> Result<()> {
    let reading = || format!("could not read {}", from.display());
    let writing = || format!("could not write {}", to.display());
    let found = fs::canonicalize(from).with_context(reading)?;
    ensure!(
        found.starts_with(folder),
        "a file of the bundle is a link to outside of it ({})",
        from.display()
    );
    ensure!(found.is_file(), "a file of the bundle is not a regular file ({})", from.display());
    to.parent().map_or(Ok(()), fs::create_dir_all).with_context(writing)?;
    let mut source = File::open(&found).with_context(reading)?.take(info.bytes + 1);
    let mut target = File::create(to).with_context(writing)?;
    let (mut part, mut hash, mut n_bytes) = (vec![0; PART], crc32fast::Hasher::new(), 0);
    loop {
        let n = source.read(&mut part).with_context(reading)?;
        if n == 0 {
            break;
        }
        n_bytes += n as u64;
        hash.update(&part[..n]);
        target.write_all(&part[..n]).with_context(writing)?;
    }
    if n_bytes != info.bytes {
        let path = from.display().to_string();
        bail!(BundleError::Truncated { expected: info.bytes, got: n_bytes, path });
    }
    let (expected, got) = (info.crc32, hash.finalize());
    if got != expected {
        bail!(BundleError::Checksum { expected, got, path: from.display().to_string() });
    }
    Ok(())
}
