//! A folder for any static host, GitHub Pages among them: the page with bundles.
//!
//! One bundle lies beside the page, in `bundle`, and the page opens it. Of several, or of a site that `compute run` wrote,
//! there is a start page that lists them; they lie in `bundles`, which is a site's folder: `site.json`, what they share,
//! and a folder each. All addresses are relative: any sub-path serves them. Only what a manifest lists is copied, and every
//! byte of it is checked.

mod bundles;
mod limits;
mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use bundles::Published;
use page::BUNDLES;
pub use page::Page;
use shared::{
    paths,
    site::{Site, SiteBundle},
};

/// What `.nojekyll` holds: Pages asks only whether it is there, and it says that the folder may be replaced.
const MARK: &str = "written by sae-vis\n";
/// What earlier versions wrote.
const OLD_MARK: &str = "written by `cargo xtask site`\n";
/// Writes the page in `page` with the bundles and sites in `given` into the folder `out`, which is new, empty or such a
/// folder. Returns what hosts may refuse, a sentence each.
///
/// The folder is made beside `out` and takes its name once it is whole.
///
/// # Errors
///
/// Where a folder is no bundle, a file of one is not what its manifest says, two bundles have one name, or nothing can be
/// written.
pub fn write(page: &Path, given: &[PathBuf], tool: &str, out: &Path) -> Result<Vec<String>> {
    let out = std::path::absolute(out).with_context(|| format!("not a path ({})", out.display()))?;
    check_out(&out)?;
    let mut bundles = Vec::new();
    for folder in given {
        bundles.extend(Published::read(folder)?);
    }
    check_names(&bundles)?;
    let parent =
        out.parent().with_context(|| format!("the output has no parent folder ({})", out.display()))?;
    fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
    let new =
        tempfile::tempdir_in(parent).with_context(|| format!("could not write into {}", parent.display()))?;
    let mut page = Page::read(page)?;
    match bundles.as_slice() {
        [bundle] if bundle.manifest.is_alone() => {
            bundle.copy(&new.path().join("bundle"), &new.path().join("bundle"))?;
        }
        several => {
            page.begin_with_start()?;
            write_bundles(several, tool, &new.path().join(BUNDLES))?;
        }
    }
    for (name, bytes) in page.files() {
        write_file(&new.path().join(name), bytes)?;
    }
    write_file(&new.path().join(".nojekyll"), MARK.as_bytes())?;
    readable_by_all(new.path())?;
    place(new, &out)?;
    limits::beyond(&out)
}

/// Puts the new folder in the place of an old one, which is whole until then.
fn place(new: tempfile::TempDir, out: &Path) -> Result<()> {
    let writing = || format!("could not write {}", out.display());
    if !out.exists() {
        return fs::rename(new.keep(), out).with_context(writing);
    }
    let parent = out.parent().with_context(writing)?;
    let old = tempfile::tempdir_in(parent).with_context(writing)?;
    fs::rename(out, old.path().join("old")).with_context(writing)?;
    fs::rename(new.keep(), out).with_context(writing)
}

/// Writes bundles and the list of them into the folder `site`.
fn write_bundles(bundles: &[Published], tool: &str, site: &Path) -> Result<()> {
    for bundle in bundles {
        bundle.copy(&site.join(&bundle.name), site)?;
    }
    let listed =
        bundles.iter().map(|bundle| SiteBundle::new(bundle.name.clone(), &bundle.manifest)).collect();
    write_file(&site.join(paths::SITE), &Site::new(tool.to_owned(), listed).to_json()?)
}

fn check_names(bundles: &[Published]) -> Result<()> {
    for (i, bundle) in bundles.iter().enumerate() {
        if let Some(other) = bundles[..i].iter().find(|other| other.name == bundle.name) {
            bail!(
                "two bundles are called {}: rename a folder ({} and {})",
                bundle.name,
                other.folder.display(),
                bundle.folder.display()
            );
        }
    }
    Ok(())
}

/// The folder is replaced, so it must be new, empty, or one of this program's.
fn check_out(out: &Path) -> Result<()> {
    let ours = fs::read_to_string(out.join(".nojekyll")).is_ok_and(|mark| mark == MARK || mark == OLD_MARK);
    let empty = !out.exists() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(ours || empty, "the folder has other files in it: name a new one ({})", out.display());
    Ok(())
}

/// A temporary folder is its owner's alone; a site is for a server.
fn readable_by_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("could not make the site readable")
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests;
