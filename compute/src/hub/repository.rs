//! A repository: its files as the hub lists them, or else those that are in the cache.

use std::{collections::BTreeMap, env, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{
    ArtifactKind,
    api::Api,
    cache::{self, CacheFolder},
    is_quiet,
    name::Name,
};
use crate::corpus::Fetch;

/// A file of a repository, as the hub lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its length.
    pub bytes: Option<u64>,
    /// What its bytes are called in the cache: their hash.
    pub blob: Option<String>,
}

/// A repository at one commit.
#[derive(Debug)]
pub struct Repository {
    name: Name,
    commit: String,
    cached: CacheFolder,
    /// All files, or those that are in the cache.
    files: BTreeMap<String, RemoteFile>,
    /// How to get what is not in the cache; `None` where the hub cannot be reached.
    api: Option<Api>,
}

impl Repository {
    /// Asks the hub what the repository holds, or the cache where the hub cannot be reached.
    pub fn open(name: &Name, what: ArtifactKind) -> Result<Self> {
        let folder = cache::folder().context(
            "neither HF_HUB_CACHE nor HF_HOME nor HOME says where the hub's cache is: set HF_HUB_CACHE to a folder",
        )?;
        let cached = CacheFolder::new(&folder, name, what);
        let offline = env::var("HF_HUB_OFFLINE").is_ok_and(|v| !["", "0", "false"].contains(&v.as_str()));
        let online = if offline {
            Err(anyhow!("HF_HUB_OFFLINE is set"))
        } else {
            Api::new(name, what).and_then(|api| api.list().map(|listed| (api, listed)))
        };
        let (api, commit, files) = match online {
            Ok((api, (commit, files))) => {
                cached.set_commit(name, &commit).unwrap_or_default();
                (Some(api), commit, files)
            }
            Err(unreachable) => {
                let wanted = what.wanted();
                let found = cached.commit(name).map(|commit| (cached.files(&commit), commit));
                let Some((files, commit)) = found.filter(|(files, _)| !files.is_empty()) else {
                    bail!(
                        "{unreachable:#}; wanted {wanted}, and nothing of it is in {}",
                        cached.root().display()
                    );
                };
                (None, commit, files.into_iter().map(|file| (file, RemoteFile::default())).collect())
            }
        };
        Ok(Self { name: name.clone(), commit, cached, files, api })
    }

    /// The commit that the revision stands for.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The same, to be kept by each file that may be fetched later.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Paths of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Length of a file, where the hub says it.
    pub fn bytes(&self, file: &str) -> Option<u64> {
        let listed = self.files.get(file).and_then(|listed| listed.bytes);
        listed.or_else(|| std::fs::metadata(self.path(file)).ok().map(|data| data.len()))
    }

    /// A file to be fetched when it is read.
    pub fn file(self: &Arc<Self>, file: String) -> Arc<dyn Fetch> {
        Arc::new(Remote { repository: Arc::clone(self), file })
    }

    /// Where a file or folder is in the cache, once it is fetched.
    pub fn path(&self, file: &str) -> PathBuf {
        let snapshot = self.cached.snapshot(&self.commit);
        if file.is_empty() { snapshot } else { snapshot.join(file) }
    }

    /// Fetches those files that are not in the cache, and says first what and how much.
    pub fn get_all(&self, files: &[String]) -> Result<()> {
        let missing: Vec<&String> = files.iter().filter(|file| !self.path(file).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let Some(api) = &self.api else {
            bail!("{} is not in the cache ({})", missing[0], self.cached.root().display());
        };
        if !is_quiet() {
            let sizes: Option<u64> = missing.iter().map(|file| self.bytes(file)).sum();
            let size =
                sizes.map_or_else(String::new, |n| format!(", {}", bytesize::ByteSize(n).display().si()));
            let what = match missing.as_slice() {
                [only] => format!(":{only}"),
                several => format!(": {} files", several.len()),
            };
            eprintln!("fetching {}{what}{size}", self.name.repo);
        }
        for file in missing {
            // A name that leads out of the snapshot is none of the hub's.
            let inside = file.split('/').all(|part| !["", ".", ".."].contains(&part));
            ensure!(inside, "the hub lists a file called {file:?}");
            let listed = self.files.get(file).cloned().unwrap_or_default();
            api.fetch(file, &listed, &self.commit, &self.cached).with_context(|| file.clone())?;
        }
        Ok(())
    }
}

/// A file of a data set.
#[derive(Debug)]
struct Remote {
    repository: Arc<Repository>,
    file: String,
}

impl Fetch for Remote {
    fn fetch(&self) -> Result<PathBuf, String> {
        self.repository.get_all(std::slice::from_ref(&self.file)).map_err(|e| format!("{e:#}"))?;
        Ok(self.path())
    }

    fn path(&self) -> PathBuf {
        self.repository.path(&self.file)
    }
}
