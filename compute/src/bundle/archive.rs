//! A bundle as one file, `.saevis`.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use flate2::Crc;
use shared::{
    archive::ArchiveWriter,
    error::BundleError,
    manifest::{FileInfo, Manifest},
    paths,
};

use super::{Bundle, owned::is_manifest, reader::folder_manifest};
use crate::{interrupt, output::OwnKind};

/// What an exported bundle may replace.
pub const ARCHIVE: OwnKind = OwnKind { name: "an exported bundle", is: is_archive };
/// Bytes that are copied at once.
const PART: usize = 1 << 20;
/// Bytes of the header before the manifest, which is the first file.
const HEADER: usize = 30 + paths::MANIFEST.len();

/// Writes the bundle in `folder` as an archive, the manifest first, and checks every file of it. One of a site is then a
/// bundle by itself.
pub fn archive<W: Write>(folder: &Path, out: W) -> Result<W> {
    Bundle::check_folder(folder)?;
    let json = folder_manifest(folder)?;
    let manifest = Manifest::from_json(&json)?;
    let alone = manifest.alone();
    let mut archive = ArchiveWriter::new(out);
    // As it is stored, with what a newer version wrote into it, where nothing has to change.
    archive.add(paths::MANIFEST, &if manifest.is_alone() { json } else { alone.to_json()? })?;
    let bundle = Bundle::open(folder)?;
    for info in &alone.files {
        archive.begin(&info.path, info.bytes, info.crc32)?;
        let path = bundle.path_of(manifest.file(&info.path)?)?;
        copy(&path, info, |part| archive.write(part))?;
    }
    Ok(archive.finish()?)
}

/// Hands on the bytes of the file at `path` that `info` lists, part by part; fails at the end where they are others.
fn copy(path: &Path, info: &FileInfo, mut hand_on: impl FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("could not read the bundle ({})", path.display()))?;
    let got = file.metadata()?.len();
    let wrong_length = |got| BundleError::Truncated { expected: info.bytes, got, path: info.path.clone() };
    ensure!(got == info.bytes, wrong_length(got));
    // A file that grows while it is read is as wrong as one that shrinks.
    let mut file = file.take(info.bytes + 1);
    let (mut part, mut crc, mut n_read) = (vec![0; PART], Crc::new(), 0);
    loop {
        interrupt::check()?;
        let n = file.read(&mut part).with_context(|| format!("could not read the bundle ({})", info.path))?;
        if n == 0 {
            break;
        }
        n_read += n as u64;
        ensure!(n_read <= info.bytes, wrong_length(n_read));
        hand_on(&part[..n])?;
        crc.update(&part[..n]);
    }
    ensure!(n_read == info.bytes, wrong_length(n_read));
    let (expected, got) = (info.crc32, crc.sum());
    ensure!(got == expected, BundleError::Checksum { expected, got, path: info.path.clone() });
    Ok(())
}

/// Whether the file at `path` is an archive as this program writes them: its first file is a bundle's manifest.
fn is_archive(path: &Path) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let Some((b"PK\x03\x04", rest)) = header.split_first_chunk() else { return Ok(false) };
        let n_bytes = u32::from_le_bytes([rest[18], rest[19], rest[20], rest[21]]);
        if &header[30..] != paths::MANIFEST.as_bytes() {
            return Ok(false);
        }
        let mut json = Vec::new();
        file.take(n_bytes.into()).read_to_end(&mut json)?;
        Ok(is_manifest(&json))
    };
    read().unwrap_or(false)
}
