//! libtorch, the library that `compute` runs models with.
//!
//! Taken, in this order, from the variable `LIBTORCH`, from a Python that has torch of the right version, or from
//! PyPI. The official wheel on x86-64 Linux is built for CUDA; its CPU part needs only two of NVIDIA's many
//! libraries, so those two are fetched and not the other 2.5 GB. `.tools/libtorch` then links to it,
//! where `.cargo/config.toml` points plain cargo commands.

use super::pip::pip;
use crate::steps;
use anyhow::{Context as _, Result, bail};
use harness::project::Project;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The release that tch 0.24 binds.
const VERSION: &str = "2.11";
/// Its wheel.
const TORCH: &str = "torch==2.11.0";
/// The libraries that `libtorch_cpu.so` of that wheel is linked with.
const CUDA_PARTS: [&str; 2] = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"];

/// Makes `.tools/libtorch` a link to a libtorch of the right version.
pub fn set_up(project: &Project) -> Result<()> {
    let link = project.tools().join("libtorch");
    // Cargo sets the variable to the link itself where the reader has set nothing.
    let chosen = std::env::var_os("LIBTORCH").map(PathBuf::from).filter(|folder| *folder != link);
    if let Some(folder) = chosen {
        check(&folder).context("the variable LIBTORCH does not help: unset it or correct it")?;
        return point(&link, &folder);
    }
    if check(&link).is_ok() {
        return Ok(());
    }
    let folder = match find_in_python() {
        Some(folder) => {
            println!("libtorch: using this Python's torch ({})", folder.display());
            folder
        }
        None => fetch(project)?,
    };
    check(&folder)?;
    point(&link, &folder)
}

/// Checks that `folder` is a libtorch that can be linked, of the right version.
fn check(folder: &Path) -> Result<()> {
    let library = if cfg!(target_os = "macos") { "lib/libtorch_cpu.dylib" } else { "lib/libtorch_cpu.so" };
    if !folder.join(library).exists() {
        bail!("not a libtorch: it has no {library} ({})", folder.display());
    }
    let version = version_of(folder)
        .with_context(|| format!("libtorch does not say its version ({})", folder.display()))?;
    if !is_wanted(&version) {
        bail!("libtorch is version {version}, expected {VERSION} ({})", folder.display());
    }
    Ok(())
}

/// The version in `build-version` (libtorch's own archive) or in `version.py` (a Python package).
fn version_of(folder: &Path) -> Option<String> {
    if let Ok(version) = fs::read_to_string(folder.join("build-version")) {
        return Some(version.trim().to_owned());
    }
    let module = fs::read_to_string(folder.join("version.py")).ok()?;
    let line = module.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim().trim_matches(['\'', '"']).to_owned())
}

/// Whether a version such as `2.11.0+cu130` is the one that tch binds.
fn is_wanted(version: &str) -> bool {
    version.strip_prefix(VERSION).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '+']))
}

/// The torch of the Python on `PATH`, where it has the right one. Nothing is imported: that takes seconds.
fn find_in_python() -> Option<PathBuf> {
    const FIND: &str = "import importlib.util as u; s = u.find_spec('torch'); \
                        print(s.submodule_search_locations[0] if s else '')";
    let found = steps::read(Command::new("python3").args(["-c", FIND])).ok()?;
    let folder = PathBuf::from(found.trim());
    (!found.trim().is_empty() && check(&folder).is_ok()).then_some(folder)
}

/// Fetches the wheel into `.tools/torch-…`; an interrupted attempt leaves nothing that looks finished.
fn fetch(project: &Project) -> Result<PathBuf> {
    let tools = project.tools();
    let done = tools.join(format!("torch-{VERSION}"));
    if check(&done.join("torch")).is_ok() {
        return Ok(done.join("torch"));
    }
    let partial = tools.join("torch.partial");
    for old in [&partial, &done] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("could not clear {}", old.display()))?;
        }
    }
    let scratch = partial.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("could not create {}", scratch.display()))?;

    let cuda_wheel = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let size = if cuda_wheel { "545 MB, unpacked 1.2 GB" } else { "some hundred MB" };
    println!("libtorch: fetching {TORCH} from PyPI into .tools ({size}; half a minute on a fast line)");
    let mut pip = pip(&tools)?;
    pip.args([
        "install",
        "--quiet",
        "--no-compile",
        "--no-warn-script-location",
        "--root-user-action=ignore",
        TORCH,
    ]);
    if cuda_wheel {
        pip.arg("--no-deps").args(CUDA_PARTS);
    }
    // Unpacked where it will stay: the system's temporary folder may be too small.
    pip.arg("--target").arg(partial.join("site")).env("TMPDIR", &scratch);
    // In a container one is root, and the folder is ours alone.
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    steps::run(&mut pip).context("could not fetch libtorch; is this Python one that torch 2.11 supports?")?;
    fs::rename(partial.join("site"), &done).context("could not move libtorch into place")?;
    fs::remove_dir_all(&partial).context("could not clear the temporary folder")?;
    Ok(done.join("torch"))
}

/// Makes `link` point at `folder`; left alone where it does.
fn point(link: &Path, folder: &Path) -> Result<()> {
    // Inside the project the link is relative, so that the project can be moved.
    let inside = link.parent().and_then(|tools| folder.strip_prefix(tools).ok());
    let aim = match inside {
        Some(relative) => relative.to_path_buf(),
        None => folder.canonicalize().with_context(|| format!("no such folder: {}", folder.display()))?,
    };
    if fs::read_link(link).is_ok_and(|old| old == aim) {
        return Ok(());
    }
    if let Some(tools) = link.parent() {
        fs::create_dir_all(tools).context("could not create .tools")?;
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link).with_context(|| format!("could not replace the link {}", link.display()))?;
    }
    std::os::unix::fs::symlink(&aim, link).context("could not link .tools/libtorch")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like libtorch.
    fn fake(version_py: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        for library in ["libtorch_cpu.so", "libtorch_cpu.dylib"] {
            fs::write(folder.path().join("lib").join(library), "").unwrap();
        }
        fs::write(folder.path().join("version.py"), version_py).unwrap();
        folder
    }

    #[test]
    fn a_python_torch_of_the_version_is_accepted() {
        check(fake("debug = False\n__version__ = '2.11.0+cu130'\n").path()).unwrap();
    }

    #[test]
    fn another_version_is_refused_with_both_versions() {
        let folder = fake("__version__ = '2.1.1'\n");
        let error = check(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("libtorch is version 2.1.1, expected 2.11"), "{error}");
    }

    #[test]
    fn an_archive_says_its_version_in_a_file() {
        let folder = fake("");
        fs::write(folder.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        check(folder.path()).unwrap();
    }

    #[test]
    fn versions_are_compared_by_their_parts() {
        assert!(is_wanted("2.11") && is_wanted("2.11.0") && is_wanted("2.11+cpu"));
        assert!(!is_wanted("2.110.0") && !is_wanted("2.1") && !is_wanted(""));
    }

    #[test]
    fn a_link_inside_the_tools_folder_is_relative() {
        let tools = tempfile::tempdir().unwrap();
        let (link, folder) = (tools.path().join("libtorch"), tools.path().join("torch-2.11/torch"));
        point(&link, &folder).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("torch-2.11/torch"));
        point(&link, Path::new("/")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/"));
    }
}
