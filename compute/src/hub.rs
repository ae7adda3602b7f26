//! Models, SAEs and corpora by their names on the Hugging Face hub, through its usual cache.
//!
//! What exists on disk is never looked up. A name is `owner/name` or `name`, then `@revision`, then `:path` of a file or
//! folder in the repository: `gpt2`, `jbloom/GPT2-Small-SAEs-Reformatted:blocks.6.hook_resid_pre`. `HF_HOME`,
//! `HF_ENDPOINT`, `HF_TOKEN` (or the token that `huggingface-cli login` keeps) and `HF_HUB_OFFLINE` mean what they mean
//! to other programs. What is in the cache is used without the hub where the hub cannot be reached.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiRepo},
};

/// What is looked for, and so which files of a repository are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// config.json, tokenizer.json and weights.
    Model,
    /// An SAE's config and weights.
    Sae,
    /// Text or token arrays.
    Data,
}

/// Something on disk, with the name that it is known by.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name on the hub, or the end of its path.
    pub name: String,
    /// File or folder.
    pub path: PathBuf,
}

/// Finds `given` on disk, or else on the hub.
pub fn find(given: &Path, what: What) -> Result<Found> {
    let text = given.to_str().unwrap_or_default();
    let glob = what == What::Data && text.contains(['*', '?', '[']);
    if given.exists() || glob {
        return Ok(Found { name: end_of(given), path: given.to_owned() });
    }
    let name = Name::parse(text, what)
        .ok_or_else(|| anyhow!("{}: no such file or folder ({})", what.text(), given.display()))?;
    let path = name.fetch(what).with_context(|| {
        format!("{}: no such file or folder, and not to be had from the hub ({text})", what.text())
    })?;
    Ok(Found { name: text.to_owned(), path })
}

impl What {
    fn text(self) -> &'static str {
        match self {
            Self::Model => "could not open the model",
            Self::Sae => "could not open the SAE",
            Self::Data => "could not read the corpus",
        }
    }

    /// Of all files of a repository, those that are needed; `path` narrows them to one file or folder.
    fn needed(self, files: &[String], path: Option<&str>) -> Vec<String> {
        let one = path.filter(|path| files.iter().any(|f| f == path));
        if let Some(one) = one {
            return if self == Self::Sae { with_config(one, files) } else { vec![one.to_owned()] };
        }
        let prefix = path.map_or_else(String::new, |path| format!("{}/", path.trim_end_matches('/')));
        let has_extension = |file: &str, known: &[&str]| {
            Path::new(file).extension().and_then(|e| e.to_str()).is_some_and(|e| known.contains(&e))
        };
        let inside = files.iter().filter(|f| {
            let name = f.strip_prefix(&prefix);
            name.is_some_and(|name| {
                !name.contains('/') || self == Self::Sae && name == "checkpoints/final.safetensors"
            })
        });
        // Many repositories hold the weights twice; only old ones have them as pickles alone.
        let safe = inside.clone().any(|f| has_extension(f, &["safetensors", "pth"]));
        let of_model = |name: &str| {
            let weights = if safe { name.starts_with("model") } else { name.starts_with("pytorch_model") };
            let kinds: &[&str] = if safe { &["safetensors", "pth"] } else { &["bin"] };
            (weights && (has_extension(name, kinds) || name.ends_with(".index.json")))
                || ["config.json", "tokenizer.json"].contains(&name)
        };
        let wanted = |file: &&String| {
            let name = &file[prefix.len()..];
            match self {
                Self::Model => of_model(name),
                Self::Sae => has_extension(name, &["json", "safetensors", "npz", "pt"]),
                Self::Data => crate::corpus::CorpusKind::of(Path::new(name)).is_ok(),
            }
        };
        inside.filter(wanted).cloned().collect()
    }
}

/// A weight file and the configs that may belong to it, of those that the repository has: without them the file would
/// be encoded as what its tensors' names make it look like.
fn with_config(file: &str, files: &[String]) -> Vec<String> {
    let (folder, name) = file.rsplit_once('/').map_or(("", file), |(folder, name)| (folder, name));
    let inside = |folder: &str, name: &str| {
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut configs: Vec<String> =
        ["cfg.json", "config.json", "config.yaml", "hyperparams.json", "activation_scaler.json"]
            .map(|config| inside(folder, config))
            .to_vec();
    configs.push(inside(folder, &format!("{stem}_cfg.json")));
    if let Some(above) = folder.strip_suffix("checkpoints") {
        configs.push(inside(above.trim_end_matches('/'), "hyperparams.json"));
    }
    let configs = files.iter().filter(|f| *f != file && configs.contains(f)).cloned();
    std::iter::once(file.to_owned()).chain(configs).collect()
}

/// A name on the hub, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    repo: String,
    revision: String,
    path: Option<String>,
}

impl Name {
    /// `None` where `text` can only be a path.
    fn parse(text: &str, what: What) -> Option<Self> {
        let (repo, path) = text.split_once(':').map_or((text, None), |(repo, path)| (repo, Some(path)));
        let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
        };
        let parts: Vec<&str> = repo.split('/').collect();
        // A file that is missing here is a mistake, not a repository.
        let file =
            path.is_none() && what == What::Data && crate::corpus::CorpusKind::of(Path::new(text)).is_ok();
        let named = parts.len() <= 2 && parts.into_iter().all(plain) && !revision.is_empty() && !file;
        named.then(|| Self {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            path: path.map(str::to_owned),
        })
    }

    /// Fetches what is needed and not in the cache; gives back the file or folder in the cache.
    fn fetch(&self, what: What) -> Result<PathBuf> {
        let kind = if what == What::Data { RepoType::Dataset } else { RepoType::Model };
        let repo = Repo::with_revision(self.repo.clone(), kind, self.revision.clone());
        let cache = Cache::from_env();
        let offline = env::var("HF_HUB_OFFLINE").is_ok_and(|v| !["", "0", "false"].contains(&v.as_str()));
        let online = if offline { Err(anyhow!("HF_HUB_OFFLINE is set")) } else { listed(&repo) };
        let (api, files) = match online {
            Ok((api, files)) => (Some(api), files),
            Err(unreachable) => {
                let files = cached(&cache, &repo);
                ensure!(!files.is_empty(), "{unreachable:#}; wanted {}", self.wanted(what));
                (None, files)
            }
        };
        let needed = what.needed(&files, self.path.as_deref());
        ensure!(!needed.is_empty(), "{} has no {}", self.repo, self.wanted(what));
        let mut paths = Vec::new();
        let mut named = None;
        for file in &needed {
            let path = match &api {
                Some(api) => api.get(file).map_err(|e| anyhow!("{file}: {}", first_line(&e.to_string())))?,
                None => cache
                    .repo(repo.clone())
                    .get(file)
                    .with_context(|| format!("{file} is not in the cache"))?,
            };
            if self.path.as_ref() == Some(file) {
                named = Some(path.clone());
            }
            paths.push(path);
        }
        // A file is meant where exactly its path was given, the folder around the files otherwise.
        match (named, paths.iter().min_by_key(|path| path.components().count())) {
            (Some(file), _) => Ok(file),
            (None, Some(any)) => any.parent().map(Path::to_owned).context("a cached file has no folder"),
            (None, None) => bail!("nothing was fetched"),
        }
    }

    fn wanted(&self, what: What) -> String {
        let path = self.path.as_ref().map_or_else(String::new, |path| format!("{path} or {path}/"));
        match (what, path.is_empty()) {
            (_, false) => path,
            (What::Model, _) => {
                "config.json, tokenizer.json and model*.safetensors or pytorch_model*.bin".to_owned()
            }
            (What::Sae, _) => "cfg.json and weights".to_owned(),
            (What::Data, _) => ".jsonl, .parquet or .txt files".to_owned(),
        }
    }
}

/// All files of a repository, as the hub lists them.
fn listed(repo: &Repo) -> Result<(ApiRepo, Vec<String>)> {
    let token = env::var("HF_TOKEN").ok().filter(|t| !t.is_empty());
    let mut builder = ApiBuilder::from_env();
    if token.is_some() {
        builder = builder.with_token(token);
    }
    let api = builder.build()?.repo(repo.clone());
    let info = api.info().map_err(|e| anyhow!("{}", first_line(&e.to_string())))?;
    Ok((api, info.siblings.into_iter().map(|s| s.rfilename).collect()))
}

/// All files of a repository that are in the cache.
fn cached(cache: &Cache, repo: &Repo) -> Vec<String> {
    let root = cache.path().join(repo.folder_name());
    let Ok(commit) = std::fs::read_to_string(root.join("refs").join(repo.revision())) else {
        return Vec::new();
    };
    let snapshot = root.join("snapshots").join(commit.trim());
    let mut files = Vec::new();
    let mut folders = vec![snapshot.clone()];
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().into_iter().flatten().flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(&snapshot).ok().and_then(Path::to_str) {
                files.push(name.to_owned());
            }
        }
    }
    files
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The last two parts of a path, as in `owner/name`: a bundle tells what was read, not where it is kept.
pub fn end_of(path: &Path) -> String {
    let parts: Vec<_> = path.components().filter_map(|c| c.as_os_str().to_str()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = |repo: &str, revision: &str, path: Option<&str>| {
            Some(Name { repo: repo.into(), revision: revision.into(), path: path.map(Into::into) })
        };
        let parse = |text| Name::parse(text, What::Sae);
        assert_eq!(parse("gpt2"), name("gpt2", "main", None));
        assert_eq!(
            parse("NeelNanda/sparse_autoencoder:25.pt"),
            name("NeelNanda/sparse_autoencoder", "main", Some("25.pt"))
        );
        assert_eq!(
            parse("google/gemma-scope-2b-pt-res@v2:layer_12/width_16k/average_l0_82"),
            name("google/gemma-scope-2b-pt-res", "v2", Some("layer_12/width_16k/average_l0_82"))
        );
        for path in ["../model", "/models/gpt2", "a/b/c", "./gpt2", "~/gpt2", ""] {
            assert_eq!(parse(path), None, "{path}");
        }
        assert_eq!(Name::parse("corpus.jsonl", What::Data), None);
        assert_eq!(
            Name::parse("owner/name:corpus.jsonl", What::Data),
            name("owner/name", "main", Some("corpus.jsonl"))
        );
    }

    #[test]
    fn only_the_needed_files_are_fetched() {
        let files = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = files(&[
            "README.md",
            "config.json",
            "model-1.safetensors",
            "onnx/config.json",
            "tokenizer.json",
            "tf_model.h5",
        ]);
        assert_eq!(
            What::Model.needed(&all, None),
            files(&["config.json", "model-1.safetensors", "tokenizer.json"])
        );
        let old =
            files(&["config.json", "pytorch_model-1.bin", "pytorch_model.bin.index.json", "tf_model.h5"]);
        assert_eq!(What::Model.needed(&old, None), old[..3]);
        let both = files(&["config.json", "model.safetensors", "pytorch_model.bin"]);
        assert_eq!(What::Model.needed(&both, None), both[..2]);
        let all = files(&["25.pt", "25_cfg.json", "a/cfg.json", "a/sae_weights.safetensors", "ab/cfg.json"]);
        assert_eq!(What::Sae.needed(&all, Some("25.pt")), files(&["25.pt", "25_cfg.json"]));
        assert_eq!(
            What::Sae.needed(&all, Some("a/sae_weights.safetensors")),
            files(&["a/sae_weights.safetensors", "a/cfg.json"])
        );
        assert_eq!(What::Sae.needed(&all, Some("a")), files(&["a/cfg.json", "a/sae_weights.safetensors"]));
        assert!(What::Sae.needed(&all, Some("c")).is_empty());
    }

    #[test]
    fn names_of_what_is_here_do_not_tell_where_it_is_kept() {
        for (path, expected) in [("demo/model", "demo/model"), ("/a/b/gpt2/", "b/gpt2"), ("25.pt", "25.pt")] {
            assert_eq!(end_of(Path::new(path)), expected);
        }
    }
}
