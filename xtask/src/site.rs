//! `cargo xtask site`: the page and a bundle in one folder, for any static host.

use crate::{args::SiteArgs, demo, page, setup, steps::Steps};
use anyhow::{Context as _, Result, bail};
use harness::project::Project;
use std::{fs, path::Path};

/// Builds the page and copies it with the bundle.
pub fn run(project: &Project, args: &SiteArgs) -> Result<()> {
    let out = std::path::absolute(&args.out).context("--out is not a path")?;
    if out.starts_with(project.dist()) {
        bail!("dist is the build's own folder: name another ({})", args.out.display());
    }
    check_out(&out)?;
    let mut steps = Steps::new();
    let bundle = if let Some(bundle) = &args.bundle {
        if !bundle.join("manifest.json").is_file() {
            bail!("not a bundle: it has no manifest.json ({})", bundle.display());
        }
        steps.run("set-up", "Rust's WebAssembly target", || setup::wasm_target(project))?;
        steps.run("page", demo::PAGE, || page::build(project))?;
        bundle.clone()
    } else {
        demo::prepare(project, &mut steps)?;
        project.bundle()
    };
    steps.run("site", "copying", || {
        if args.out.exists() {
            fs::remove_dir_all(&args.out)
                .with_context(|| format!("could not clear {}", args.out.display()))?;
        }
        copy(&project.dist(), &args.out, &|path| path != project.bundle())?;
        copy(&bundle, &args.out.join("bundle"), &|_| true)?;
        // Tells GitHub Pages to publish the files as they are.
        fs::write(out.join(".nojekyll"), "").context("could not write .nojekyll")
    })?;
    steps.summary();
    println!("\nthe site is in {}", args.out.display());
    Ok(())
}

/// The folder is replaced, so it must be new, empty, or one of this command's.
fn check_out(out: &Path) -> Result<()> {
    let ours = out.join(".nojekyll").is_file() && out.join("index.html").is_file();
    let empty = !out.exists() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if ours || empty {
        return Ok(());
    }
    bail!("the folder has other files in it: name a new one ({})", out.display())
}

/// Copies a folder, but for the parts that `wanted` refuses.
fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        let (source, aim) = (entry.path(), to.join(entry.file_name()));
        if !wanted(&source) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&source, &aim, wanted)?;
        } else {
            fs::copy(&source, &aim).with_context(|| format!("could not write {}", aim.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_files_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        check_out(folder.path()).unwrap();
        check_out(&folder.path().join("new")).unwrap();
        fs::write(folder.path().join("index.html"), "mine").unwrap();
        assert!(check_out(folder.path()).unwrap_err().to_string().starts_with("the folder has other files"));
        fs::write(folder.path().join(".nojekyll"), "").unwrap();
        check_out(folder.path()).unwrap();
    }
}
