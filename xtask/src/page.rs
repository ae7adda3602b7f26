//! Builds the viewer's page: cargo, wasm-bindgen, then `www/index.html` with the built files' names in it.
//!
//! `trunk serve` builds the same page from the same `www/index.html`; this is the way that needs no Trunk, whose
//! installation takes many minutes. wasm-bindgen runs as a library, at the version that `Cargo.lock` pins.
//!
//! The module is not put through `wasm-opt`: after the `wasm` profile of `Cargo.toml` and without the names of functions,
//! binaryen 132's `-Oz` takes 279,366 gzipped bytes to 278,875, which is not worth a download of a hundred megabytes.

mod html;

use crate::{cargo::cargo, steps};
use anyhow::{Context as _, Result, bail};
use flate2::{Compression, write::GzEncoder};
use harness::project::Project;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};
use wasm_bindgen_cli_support::Bindgen;

/// The most that a module may weigh as a host sends it, gzipped. The aim is 320 KB, which gzip does not reach: 388 KB.
const MAX_WASM_BYTES: usize = 392 * 1024;

/// The page's files: their paths below the page's folder, and what is in them.
pub type Page = BTreeMap<PathBuf, Vec<u8>>;

/// Builds the page into `dist`, leaving the bundle there alone.
pub fn build(project: &Project) -> Result<()> {
    let wasm = build_wasm(project)?;
    let page = assemble(project, &wasm)?;
    let sizes: BTreeMap<_, _> = page
        .iter()
        .filter(|(path, _)| {
            path.extension().is_some_and(|extension| extension == "wasm" || extension == "js")
        })
        .map(|(path, bytes)| Ok((path, (bytes.len(), gzipped_size(bytes)?))))
        .collect::<Result<_>>()?;
    write(&page, &project.dist())?;
    for (path, (n_bytes, n_gzipped)) in sizes {
        println!("{}: {} KB, {} KB gzipped", path.display(), n_bytes / 1024, n_gzipped / 1024);
        if path.extension().is_some_and(|extension| extension == "wasm") && n_gzipped > MAX_WASM_BYTES {
            bail!("the viewer is {n_gzipped} bytes gzipped, expected at most {MAX_WASM_BYTES}");
        }
    }
    Ok(())
}

/// The second module, which pages of a site of several bundles load; scripts name it, so that its name is kept.
const SITE_VIEW: &str = "site_view";

/// Compiles the viewer and [`SITE_VIEW`], which share what they depend on; gives back the folder of the modules.
fn build_wasm(project: &Project) -> Result<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let args = ["build", "--quiet", "--package", "viewer", "--package", "site-view"];
    let args = args.into_iter().chain(["--profile", "wasm", "--target", TARGET]);
    steps::run(&mut cargo(project, args))?;
    Ok(project.target().join(TARGET).join("wasm"))
}

/// Runs wasm-bindgen over a module: its script, the module, and what the script imports.
fn bind(project: &Project, wasm: &Path, name: &str) -> Result<(Vec<u8>, Vec<u8>, Page)> {
    let out = project.target().join("bindgen").join(name);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    let module = wasm.join(name).with_extension("wasm");
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(&module)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)?;
    let mut bound =
        bindgen.generate_output().with_context(|| format!("wasm-bindgen refused {}", module.display()))?;
    drop_streams(bound.wasm_mut());
    bound.emit(&out).with_context(|| format!("could not write to {}", out.display()))?;
    let mut files = Page::new();
    collect(&out, Path::new(""), &mut files)?;
    let mut take = |file: String| {
        files.remove(Path::new(&file)).with_context(|| format!("wasm-bindgen wrote no {file}"))
    };
    let (js, module) = (take(format!("{name}.js"))?, take(format!("{name}_bg.wasm"))?);
    Ok((js, module, files))
}

/// Binds both modules and fills in the pages.
fn assemble(project: &Project, wasm: &Path) -> Result<Page> {
    let (js, module, mut page) = bind(project, wasm, "viewer")?;
    // Both names carry one hash over both files and what they import: they only fit together.
    let hash = hash_of(&page.values().chain([&js, &module]).map(Vec::as_slice).collect::<Vec<_>>());
    let viewer = html::Viewer { js: format!("viewer-{hash}.js"), wasm: format!("viewer-{hash}_bg.wasm") };
    page.insert(PathBuf::from(&viewer.js), js);
    page.insert(PathBuf::from(&viewer.wasm), module);
    let (js, module, others) = bind(project, wasm, SITE_VIEW)?;
    page.extend(others);
    page.insert(PathBuf::from(format!("{SITE_VIEW}.js")), js);
    page.insert(PathBuf::from(format!("{SITE_VIEW}_bg.wasm")), module);

    let www = project.root().join("www");
    for name in ["index.html", "site.html"] {
        let source =
            fs::read_to_string(www.join(name)).with_context(|| format!("could not read www/{name}"))?;
        let html = html::fill_in(&source, &viewer, |name, naming| {
            let bytes = fs::read(www.join(name)).with_context(|| format!("could not read www/{name}"))?;
            let name = match naming {
                html::Naming::Kept => name.to_owned(),
                html::Naming::Hashed => with_hash(name, &hash_of(&[&bytes])),
            };
            page.insert(PathBuf::from(&name), bytes);
            Ok(name)
        })?;
        page.insert(PathBuf::from(name), html.into_bytes());
    }
    Ok(page)
}

/// Takes out what the page never calls: leptos depends on wasm-streams, whose classes for JavaScript are exported, and so
/// kept, whether or not anything uses them.
fn drop_streams(module: &mut walrus::Module) {
    let unused: Vec<_> =
        module.exports.iter().filter(|e| e.name.contains("intounderlying")).map(walrus::Export::id).collect();
    for export in unused {
        module.exports.delete(export);
    }
    walrus::passes::gc::run(module);
}

/// Reads a folder's files into `page`.
fn collect(folder: &Path, below: &Path, page: &mut Page) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, page)?;
        } else {
            page.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Writes the page; files of an earlier build go, folders such as the bundle's stay.
fn write(page: &Page, dist: &Path) -> Result<()> {
    fs::create_dir_all(dist).with_context(|| format!("could not create {}", dist.display()))?;
    for (path, bytes) in page {
        let file = dist.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, bytes).with_context(|| format!("could not write {}", file.display()))?;
    }
    for entry in fs::read_dir(dist)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !page.contains_key(Path::new(&entry.file_name())) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The first 16 hexadecimal digits of a SHA-256 over all parts.
fn hash_of(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    format!("{:x}", hasher.finalize())[..16].to_owned()
}

/// `base.css` → `base-<hash>.css`.
fn with_hash(name: &str, hash: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{hash}.{extension}"),
        None => format!("{name}-{hash}"),
    }
}

/// The size as static hosts send it.
fn gzipped_size(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_before_the_extension() {
        assert_eq!(with_hash("base.css", "0123"), "base-0123.css");
        assert_eq!(hash_of(&[b"a", b"b"]), hash_of(&[b"ab"]));
    }

    #[test]
    fn a_new_build_replaces_files_and_keeps_the_bundle() {
        let dist = tempfile::tempdir().unwrap();
        fs::create_dir(dist.path().join("bundle")).unwrap();
        fs::write(dist.path().join("viewer-old.js"), "old").unwrap();
        let page = Page::from([(PathBuf::from("index.html"), b"new".to_vec())]);
        write(&page, dist.path()).unwrap();
        assert_eq!(fs::read(dist.path().join("index.html")).unwrap(), b"new");
        assert!(dist.path().join("bundle").is_dir() && !dist.path().join("viewer-old.js").exists());
    }
}
