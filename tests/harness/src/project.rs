//! Where things lie: the repository, its build folder, the built page.

use std::path::{Path, PathBuf};

/// The folders of one checkout.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    target: PathBuf,
}

impl Project {
    /// The checkout this program was built from.
    pub fn here() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map_or_else(PathBuf::new, PathBuf::from);
        // Cargo lets the reader move the build folder; programs in it know best where it is.
        let target =
            std::env::current_exe().ok().and_then(|exe| build_folder(&exe)).unwrap_or(root.join("target"));
        Self { root, target }
    }

    /// The folder with the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's build folder, usually `target`.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// What the set-up fetched: `.tools`, which git ignores.
    pub fn tools(&self) -> PathBuf {
        self.root.join(".tools")
    }

    /// The accessibility audit that the browser tests run in the page: axe-core's one file.
    pub fn axe(&self) -> PathBuf {
        self.tools().join("axe/axe_core_python/axe.min.js")
    }

    /// The built page, with the demo's bundle beside it: `dist`.
    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// The demo's bundle, where the page looks for one: `dist/bundle`.
    pub fn bundle(&self) -> PathBuf {
        self.dist().join("bundle")
    }

    /// The release build of `compute`.
    pub fn compute(&self) -> PathBuf {
        self.target.join("release").join("compute")
    }
}

/// The build folder an executable lies in: the one that Cargo tagged as a cache.
fn build_folder(exe: &Path) -> Option<PathBuf> {
    exe.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_this_workspace() {
        let project = Project::here();
        assert!(project.root().join("xtask/Cargo.toml").is_file());
        assert!(project.target().join("CACHEDIR.TAG").is_file());
    }

    #[test]
    fn an_executable_outside_a_build_folder_has_none() {
        assert_eq!(build_folder(Path::new("/nowhere/release/xtask")), None);
    }
}
