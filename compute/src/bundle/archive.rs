//! A bundle as one file, `.saevis`.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, ensure};
use shared::{archive::ArchiveWriter, manifest::Manifest};

/// Writes the bundle in `folder` as an archive, the manifest first.
pub fn archive<W: Write>(folder: &Path, out: W) -> Result<W> {
    let read = |path: &str| {
        let full = folder.join(path);
        fs::read(&full).with_context(|| format!("could not read the bundle ({})", full.display()))
    };
    let json = read("manifest.json")?;
    let manifest = Manifest::from_json(&json)?;
    let mut archive = ArchiveWriter::new(out);
    archive.add("manifest.json", &json)?;
    for info in &manifest.files {
        let bytes = read(&info.path)?;
        ensure!(
            bytes.len() as u64 == info.bytes,
            "bundle is truncated: expected {} bytes, got {} ({})",
            info.bytes,
            bytes.len(),
            folder.join(&info.path).display()
        );
        archive.add(&info.path, &bytes)?;
    }
    Ok(archive.finish()?)
}
