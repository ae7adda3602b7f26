//! The hub's cache on this machine, in the layout that all its clients share:
//! `models--owner--name/{refs/main, snapshots/COMMIT/path, blobs/ETAG}`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{ArtifactKind, name::Name};

/// A repository in the cache.
#[derive(Debug, Clone)]
pub struct CacheFolder {
    root: PathBuf,
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Where clients keep what is theirs: the cache and the token.
pub fn home() -> Option<PathBuf> {
    let of_xdg = || variable("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("huggingface"));
    let of_home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache/huggingface"));
    variable("HF_HOME").map(PathBuf::from).or_else(of_xdg).or_else(of_home)
}

/// The cache; `None` where nothing says where it is.
pub fn folder() -> Option<PathBuf> {
    let named = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")).map(PathBuf::from);
    named.or_else(|| Some(home()?.join("hub")))
}

impl CacheFolder {
    /// The repository's folder, whether it is there or not.
    pub fn new(cache: &Path, name: &Name, what: ArtifactKind) -> Self {
        let kind = if what == ArtifactKind::Data { "datasets" } else { "models" };
        Self { root: cache.join(format!("{kind}--{}", name.repo.replace('/', "--"))) }
    }

    /// Where it is, or would be.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that a revision stands for, where the cache knows it.
    pub fn commit(&self, name: &Name) -> Option<String> {
        let of_ref = fs::read_to_string(self.root.join("refs").join(&name.revision)).ok();
        let of_ref = of_ref.map(|text| text.trim().to_owned()).filter(|commit| !commit.is_empty());
        of_ref.or_else(|| self.snapshot(&name.revision).is_dir().then(|| name.revision.clone()))
    }

    /// The folder of a commit's files.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// All files of a commit that are in the cache.
    pub fn files(&self, commit: &str) -> Vec<String> {
        let snapshot = self.snapshot(commit);
        let mut files = Vec::new();
        let mut folders = vec![snapshot.clone()];
        while let Some(folder) = folders.pop() {
            for path in folder.read_dir().into_iter().flatten().flatten().map(|e| e.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(&snapshot).ok().and_then(Path::to_str)
                    && path.exists()
                {
                    files.push(name.to_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// Notes what commit a branch or tag stands for.
    pub fn set_commit(&self, name: &Name, commit: &str) -> std::io::Result<()> {
        if name.revision == commit {
            return Ok(());
        }
        let path = self.root.join("refs").join(&name.revision);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, commit)
    }

    /// The file that holds the bytes called `blob`.
    #[cfg(feature = "hub")]
    pub fn blob(&self, blob: &str) -> PathBuf {
        self.root.join("blobs").join(blob)
    }

    /// Makes `file` of `commit` a link to a blob.
    #[cfg(feature = "hub")]
    pub fn link(&self, commit: &str, file: &str, blob: &str) -> std::io::Result<()> {
        let link = self.snapshot(commit).join(file);
        link.parent().map_or(Ok(()), fs::create_dir_all)?;
        let up = "../".repeat(2 + file.matches('/').count());
        match std::os::unix::fs::symlink(format!("{up}blobs/{blob}"), &link) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }
}
