//! `cargo xtask site`: the page and bundles in one folder, for GitHub Pages or any static host.
//!
//! One bundle lies beside the page, which opens it. Of several there is a start page that lists them; each lies in
//! `bundles/NAME`, and `view.html?bundle=bundles/NAME` opens it. All addresses are relative: any sub-path serves the site.

mod start;

use crate::{args::SiteArgs, demo, page, setup, steps::Steps};
use anyhow::{Context as _, Result, bail, ensure};
use harness::project::Project;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The largest file and the largest site that GitHub Pages publishes.
const MAX_FILE_BYTES: u64 = 100_000_000;
const MAX_SITE_BYTES: u64 = 1_000_000_000;

/// What `.nojekyll` holds: Pages asks only whether it is there, and it says that the folder may be replaced.
const MARK: &str = "written by `cargo xtask site`\n";

/// A bundle to publish.
#[derive(Debug)]
struct Published {
    /// The name of its folder, as it stands in addresses.
    name: String,
    folder: PathBuf,
    manifest: Value,
}

/// Builds the page and copies it with the bundles.
pub fn run(project: &Project, args: &SiteArgs) -> Result<()> {
    let out = std::path::absolute(&args.out).context("--out is not a path")?;
    ensure!(
        !out.starts_with(project.dist()),
        "dist is the build's own folder: name another ({})",
        args.out.display()
    );
    check_out(&out)?;
    let mut bundles = args.bundle.iter().map(|folder| Published::read(folder)).collect::<Result<Vec<_>>>()?;
    let mut steps = Steps::new();
    if bundles.is_empty() {
        demo::prepare(project, &mut steps)?;
        bundles.push(Published::read(&project.bundle())?);
    } else {
        steps.run("set-up", "Rust's WebAssembly target", || setup::wasm_target(project))?;
        steps.run("page", demo::PAGE, || page::build(project))?;
    }
    steps.run("site", "copying", || write(&project.dist(), &bundles, &out))?;
    steps.summary();
    println!("\nthe site is in {}", args.out.display());
    for warning in beyond_limits(&out)? {
        println!("warning: {warning}");
    }
    Ok(())
}

impl Published {
    /// Reads what the start page says of a bundle.
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("manifest.json");
        let bytes = fs::read(&path).with_context(|| format!("not a bundle ({})", folder.display()))?;
        let manifest: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("not a bundle's manifest ({})", path.display()))?;
        ensure!(manifest["schema"]["major"].is_u64(), "not a bundle's manifest ({})", path.display());
        ensure!(
            manifest.get("shared").is_none_or(Value::is_null),
            "the bundle reads files that lie outside it: publish the whole site that it belongs to ({})",
            folder.display()
        );
        let folder = folder.canonicalize().with_context(|| format!("could not read {}", folder.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        Ok(Self { name: name.chars().map(plain).collect(), folder, manifest })
    }
}

/// Writes the site: into a folder beside, which takes the old one's name when it is whole.
fn write(page: &Path, bundles: &[Published], out: &Path) -> Result<()> {
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
    let parent = out.parent().with_context(|| format!("--out has no parent folder ({})", out.display()))?;
    fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
    let new =
        tempfile::tempdir_in(parent).with_context(|| format!("could not write into {}", parent.display()))?;
    for entry in fs::read_dir(page).with_context(|| format!("could not read {}", page.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, new.path().join(name))
                .with_context(|| format!("could not copy {}", path.display()))?;
        }
    }
    if let [bundle] = bundles {
        copy(&bundle.folder, &new.path().join("bundle"))?;
    } else {
        let html = fs::read_to_string(new.path().join("index.html")).context("the page has no index.html")?;
        fs::rename(new.path().join("index.html"), new.path().join("view.html"))?;
        fs::write(new.path().join("index.html"), start::page(&html, bundles))?;
        for bundle in bundles {
            copy(&bundle.folder, &new.path().join("bundles").join(&bundle.name))?;
        }
    }
    fs::write(new.path().join(".nojekyll"), MARK)?;
    readable_by_all(new.path())?;
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    fs::rename(new.keep(), out).with_context(|| format!("could not write {}", out.display()))
}

/// The folder is replaced, so it must be new, empty, or one of this command's.
fn check_out(out: &Path) -> Result<()> {
    let ours = fs::read_to_string(out.join(".nojekyll")).is_ok_and(|mark| mark == MARK);
    let empty = !out.exists() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if ours || empty {
        return Ok(());
    }
    bail!("the folder has other files in it: name a new one ({})", out.display())
}

/// A temporary folder is its owner's alone; a site is for a server.
fn readable_by_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("could not make the site readable")
}

/// Copies a folder. Links are not followed: what is published lies in the bundle.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        let (source, aim, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            copy(&source, &aim)?;
        } else if kind.is_file() {
            fs::copy(&source, &aim).with_context(|| format!("could not write {}", aim.display()))?;
        } else {
            bail!("neither a file nor a folder, which is not published ({})", source.display());
        }
    }
    Ok(())
}

/// What GitHub Pages would refuse, a sentence each.
fn beyond_limits(site: &Path) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let (mut total, mut folders) = (0, vec![site.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let (path, meta) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            total += meta.len();
            if meta.len() > MAX_FILE_BYTES {
                warnings.push(format!(
                    "a file has {} MB, GitHub takes {} MB: compute fewer features a bundle ({})",
                    meta.len() / 1_000_000,
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
mod tests;
