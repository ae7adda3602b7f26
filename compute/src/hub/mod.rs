//! Models, SAEs and corpora by their names on the Hugging Face hub, through its usual cache.
//!
//! What exists on disk is never looked up. A name is `owner/name` or `name`, then `@revision`, then `:path` of a file or
//! folder in the repository: `gpt2`, `jbloom/GPT2-Small-SAEs-Reformatted:blocks.6.hook_resid_pre`; addresses of the hub's
//! pages and `hf://` names mean the same, and models go by TransformerLens's names too. The environment's `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`,
//! `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_HUB_OFFLINE` mean what they mean to other
//! programs. What is in the cache is used without the hub where the hub cannot be reached.

#[cfg(feature = "hub")]
mod api;
#[cfg(not(feature = "hub"))]
#[path = "no_api.rs"]
mod api;
mod cache;
#[cfg(feature = "hub")]
mod lfs;
mod name;
mod needed;
mod new_file;
mod repository;
mod saes;
#[cfg(feature = "hub")]
mod upload;
#[cfg(not(feature = "hub"))]
#[path = "no_upload.rs"]
mod upload;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use checkpoints::model::aliases;
use checkpoints::sae::{Lookup, Registry, RegistryEntry};
use serde::{Deserialize, Serialize};

pub use crate::corpus::end_of;
use crate::corpus::{CorpusFile, Source, is_data, split};
use crate::sae::Location;
pub use new_file::{Changes, Content, NewFile};
pub use upload::Upload;

use name::Name;
use needed::Needed;
use repository::Repository;

/// What is looked for, and so which files of a repository are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// config.json, tokenizer.json and weights.
    Model,
    /// tokenizer.json and the chat template beside it.
    Tokenizer,
    /// An SAE's config and weights.
    Sae,
    /// Text or token arrays.
    Data,
}

/// Something on disk, with the name that it is known by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name on the hub, or the end of its path.
    pub name: String,
    /// File or folder.
    pub path: PathBuf,
    /// The entry of the list of published SAEs by which it was named.
    #[serde(with = "registry_name")]
    pub registered: Option<RegistryEntry<'static>>,
    /// The repository's name at its commit, where weights are still to be fetched from the hub.
    pub weights_on_hub: Option<String>,
}

impl Artifact {
    fn on_disk(given: &Path, path: PathBuf) -> Self {
        Self { name: end_of(given), path, registered: None, weights_on_hub: None }
    }

    /// Fetches the weights that are not in the cache yet.
    pub fn fetch_weights(&self) -> Result<()> {
        let Some(name) = self.weights_on_hub.as_ref().and_then(|name| Name::parse(name, ArtifactKind::Model))
        else {
            return Ok(());
        };
        let repository = Repository::open(&name, ArtifactKind::Model)?;
        let needed = needed(&repository, &name, ArtifactKind::Model)?;
        repository.get_all(&needed.weights)
    }
}

/// An entry of the shipped list as its name, `release/id`.
mod registry_name {
    use checkpoints::sae::{Lookup, Registry, RegistryEntry};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(entry: &Option<RegistryEntry<'_>>, to: S) -> Result<S::Ok, S::Error> {
        entry.as_ref().map(RegistryEntry::name).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<RegistryEntry<'static>>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
        match Registry::shipped().look_up(&name) {
            Lookup::Sae(entry) => Ok(Some(entry)),
            _ => Err(D::Error::custom(format!("{name} is not in the list of published SAEs"))),
        }
    }
}

impl<'a> From<&'a Artifact> for Location<'a> {
    fn from(found: &'a Artifact) -> Self {
        Self { path: &found.path, registered: found.registered }
    }
}

/// Whether nothing is said of what is fetched.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on says nothing of what is fetched.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

impl ArtifactKind {
    fn text(self) -> &'static str {
        match self {
            Self::Model => "could not open the model",
            Self::Tokenizer => "could not open the tokenizer",
            Self::Sae => "could not open the SAE",
            Self::Data => "could not read the corpus",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Model => "config.json, tokenizer.json and model*.safetensors or pytorch_model*.bin",
            Self::Tokenizer => "tokenizer.json",
            Self::Sae => "cfg.json and weights",
            Self::Data => ".jsonl, .parquet or .txt files",
        }
    }
}

/// Finds a model or an SAE on disk, or else on the hub, from where what is missing is fetched: all but a model's weights,
/// which [`Artifact::fetch_weights`] brings.
pub fn find(given: &Path, what: ArtifactKind) -> Result<Artifact> {
    let text = given.to_str().unwrap_or_default();
    if given.exists() {
        let path = if what == ArtifactKind::Sae { saes::on_disk(given)? } else { given.to_owned() };
        return Ok(Artifact::on_disk(given, path));
    }
    if what == ArtifactKind::Sae && saes::is_layer(given) {
        return Ok(Artifact::on_disk(given, given.to_owned()));
    }
    if what == ArtifactKind::Sae
        && let Some(registered) = registered(text)?
    {
        let found = find(Path::new(&registered.hub_name()), what)?;
        return Ok(Artifact { name: text.to_owned(), registered: Some(registered), ..found });
    }
    if matches!(what, ArtifactKind::Model | ArtifactKind::Tokenizer)
        && let Some(hub_name) = aliases::hub_name(text)
        && hub_name != text
    {
        return find(Path::new(&hub_name), what);
    }
    let name = name_of(given, what)?;
    fetch(&name, what).with_context(|| not_found(what, text))
}

/// The SAEs that names with `*`, `?` and `[` stand for, of the disk, the shipped list and repositories on the hub; other
/// names as they are. None is looked up twice.
pub fn find_saes(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in given {
        let text = path.to_str().unwrap_or_default();
        let found =
            if path.exists() || !text.contains(['*', '?', '[']) { vec![path.clone()] } else { like(text)? };
        let new: Vec<PathBuf> = found.into_iter().filter(|found| !all.contains(found)).collect();
        all.extend(new);
    }
    Ok(all)
}

/// The SAEs whose names are like `pattern`.
fn like(pattern: &str) -> Result<Vec<PathBuf>> {
    let wrong = |e: glob::PatternError| anyhow!("could not read the pattern {pattern}: {e}");
    let on_disk: Vec<PathBuf> = glob::glob(pattern).map_err(wrong)?.filter_map(Result::ok).collect();
    if !on_disk.is_empty() {
        return Ok(on_disk);
    }
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    if let Lookup::Release(release) = Registry::shipped().look_up(pattern) {
        let ids = pattern[release.name.len()..].trim_start_matches(['/', ':']);
        let ids = glob::Pattern::new(ids).map_err(wrong)?;
        let like = release.saes.iter().filter(|sae| ids.matches_with(&sae.id, options));
        let found: Vec<PathBuf> = like.map(|sae| format!("{}/{}", release.name, sae.id).into()).collect();
        ensure!(
            !found.is_empty(),
            "{} has no SAE like {ids}: `compute saes {}/` lists its {}",
            release.name,
            release.name,
            release.saes.len()
        );
        return Ok(found);
    }
    let (repo, path) = pattern.split_once(':').unwrap_or((pattern, ""));
    let name = Name::parse(repo, ArtifactKind::Sae).filter(|_| !path.is_empty());
    let name =
        name.with_context(|| format!("no SAE is like this: no file, folder or known name ({pattern})"))?;
    let repository =
        Repository::open(&name, ArtifactKind::Sae).with_context(|| not_found(ArtifactKind::Sae, repo))?;
    let files: Vec<String> = repository.names().map(str::to_owned).collect();
    let paths = glob::Pattern::new(path).map_err(wrong)?;
    let found: Vec<PathBuf> = saes::saes(&files)
        .into_iter()
        .filter(|sae| paths.matches_with(sae, options))
        .map(|sae| format!("{repo}:{sae}").into())
        .collect();
    ensure!(!found.is_empty(), "{repo} has no SAE like {path}: it has {}", listed(&files));
    Ok(found)
}

/// The published SAE that `release/id` names; an error where the release is known and the id is not.
fn registered(text: &str) -> Result<Option<RegistryEntry<'static>>> {
    match Registry::shipped().look_up(text) {
        Lookup::Sae(registered) => Ok(Some(registered)),
        Lookup::Unknown => Ok(None),
        Lookup::Release(release) => {
            let first = release.saes.first().map_or("", |sae| &sae.id);
            let (name, n) = (&release.name, release.saes.len());
            let id = text[name.len()..].trim_start_matches(['/', ':']);
            let without = if id.is_empty() { String::new() } else { format!(", none of them {id}") };
            bail!(
                "could not open the SAE: {name} is a release of {n} SAEs{without}: name one, such as {name}/{first}; \
                 `compute saes {name}/` lists them"
            )
        }
    }
}

/// Finds a corpus on disk, or else on the hub, whose files are fetched when they are read.
pub fn find_data(given: &Path) -> Result<Source> {
    let text = given.to_str().unwrap_or_default();
    let is_name = Name::parse(text, ArtifactKind::Data).is_some_and(|name| name.path.is_some());
    let is_glob = !is_name && text.contains(['*', '?', '[']);
    if given.exists() || is_glob {
        return Ok(Source::on_disk(given, end_of(given))?);
    }
    let name = name_of(given, ArtifactKind::Data)?;
    data_set(&name, given).with_context(|| not_found(ArtifactKind::Data, text))
}

fn name_of(given: &Path, what: ArtifactKind) -> Result<Name> {
    let text = given.to_str().unwrap_or_default();
    Name::parse(text, what)
        .ok_or_else(|| anyhow!("{}: no such file or folder ({})", what.text(), given.display()))
}

fn not_found(what: ArtifactKind, text: &str) -> String {
    format!("{}: no such file or folder, and not to be had from the hub ({text})", what.text())
}

/// Fetches what is needed at once and not in the cache; gives back the file or folder in the cache.
fn fetch(name: &Name, what: ArtifactKind) -> Result<Artifact> {
    let repository = Repository::open(name, what)?;
    let needed = needed(&repository, name, what)?;
    repository.get_all(&needed.files)?;
    let at_commit = || Name { revision: repository.commit().to_owned(), ..name.clone() }.to_string();
    let weights_are_here = needed.weights.iter().all(|file| repository.path(file).exists());
    Ok(Artifact {
        name: name.to_string(),
        path: repository.path(&needed.at),
        registered: None,
        weights_on_hub: (!weights_are_here).then(at_commit),
    })
}

fn needed(repository: &Repository, name: &Name, what: ArtifactKind) -> Result<Needed> {
    let files: Vec<String> = repository.names().map(str::to_owned).collect();
    let needed = match what {
        ArtifactKind::Model => needed::model(&files, name.path.as_deref()),
        ArtifactKind::Tokenizer => needed::tokenizer(&files, name.path.as_deref()),
        _ => saes::choose(&files, name.path.as_deref(), &name.to_string())?,
    };
    needed.with_context(|| {
        let wanted = name.path.as_ref().map(|path| format!("{path} or {path}/"));
        let wanted = wanted.as_deref().unwrap_or(what.wanted());
        format!("{} has no {wanted}: it has {}", name.repo, listed(&files))
    })
}

/// A data set of the hub.
fn data_set(name: &Name, given: &Path) -> Result<Source> {
    let repository = Repository::open(name, ArtifactKind::Data)?.shared();
    let mut paths: Vec<String> = repository.names().filter(|path| is_data(path)).map(str::to_owned).collect();
    paths.sort();
    let repo = &name.repo;
    let (files, note) = if let Some(path) = &name.path {
        (in_data_set(&paths, path).map_err(|reason| anyhow!("{repo} {reason}"))?, None)
    } else {
        let choice = split::default_files(&text_first(&paths)).map_err(|several| {
            let example = paths.first().map(|path| split::config_of(path)).unwrap_or_default();
            anyhow!("{repo} {several}, such as {repo}:{example}")
        })?;
        (choice.files, choice.note)
    };
    if files.is_empty() {
        bail!("{repo} has no {}: it has {}", ArtifactKind::Data.wanted(), some(repository.names()));
    }
    let files = files.into_iter().map(|file| {
        let (shown, bytes) = (format!("{repo}/{file}"), repository.bytes(&file));
        CorpusFile::elsewhere(shown, bytes, repository.file(file))
    });
    Ok(Source {
        name: name.to_string(),
        given: given.to_owned(),
        files: files.collect(),
        notes: note.into_iter().collect(),
    })
}

/// Text and tables, where a data set has any, without arrays of tensors.
fn text_first(paths: &[String]) -> Vec<String> {
    let is_tensors = |path: &String| [".npy", ".pt", ".safetensors"].iter().any(|end| path.ends_with(end));
    let text: Vec<String> = paths.iter().filter(|path| !is_tensors(path)).cloned().collect();
    if text.is_empty() { paths.to_vec() } else { text }
}

/// The files that a path in a data set means: one, those of a glob, of a folder, or of a config or split.
fn in_data_set(paths: &[String], path: &str) -> Result<Vec<String>, String> {
    if paths.iter().any(|own| own == path) {
        return Ok(vec![path.to_owned()]);
    }
    if path.contains(['*', '?', '[']) {
        let pattern = glob::Pattern::new(path).map_err(|e| e.to_string())?;
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let found: Vec<String> =
            paths.iter().filter(|own| pattern.matches_with(own, options)).cloned().collect();
        return if found.is_empty() {
            Err(format!("has no file like {path}: it has {}", listed(paths)))
        } else {
            Ok(found)
        };
    }
    let prefix = format!("{}/", path.trim_end_matches('/'));
    let below: Vec<String> = paths.iter().filter(|own| own.starts_with(&prefix)).cloned().collect();
    let inside: Vec<String> =
        below.iter().filter(|own| !own[prefix.len()..].contains('/')).cloned().collect();
    if !inside.is_empty() {
        // A config's folder holds its splits: the train split is meant. A folder of shards is read whole.
        let is_config = split::config_of(&inside[0]) == path.trim_end_matches('/');
        return if is_config { split::default_files(&inside).map(|choice| choice.files) } else { Ok(inside) };
    }
    if !below.is_empty() {
        return split::default_files(&below).map(|choice| choice.files);
    }
    let named = split::named_files(paths, path);
    if named.is_empty() { Err(format!("has no {path}: it has {}", listed(paths))) } else { Ok(named) }
}

fn listed(paths: &[String]) -> String {
    some(paths.iter().map(String::as_str))
}

/// The first of some names.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = names.take(SHOWN + 1).collect();
    if names.is_empty() {
        return "no files".to_owned();
    }
    if names.len() > SHOWN {
        names[SHOWN] = "…";
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_is_here_do_not_tell_where_it_is_kept() {
        let cache = "/home/alice/.cache/huggingface/hub";
        for (path, expected) in [
            ("demo/model", "model"),
            ("/home/alice/gpt2/", "gpt2"),
            ("/home/alice/pile/*.jsonl", "*.jsonl"),
            ("25.pt", "25.pt"),
            (&format!("{cache}/models--gpt2/snapshots/607a30d7"), "gpt2"),
            (
                &format!("{cache}/models--google--gemma-scope-2b-pt-res/snapshots/fd571b/layer_12/width_16k"),
                "google/gemma-scope-2b-pt-res:layer_12/width_16k",
            ),
        ] {
            assert_eq!(end_of(Path::new(path)), expected);
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(end_of(Path::new(".")), here.file_name().unwrap().to_str().unwrap());
    }

    #[test]
    fn a_path_in_a_data_set_is_a_file_a_glob_a_folder_a_config_or_a_split() {
        let paths: Vec<String> = [
            "data/test-0.parquet",
            "data/train-0.parquet",
            "data/train-1.parquet",
            "de/train/0.jsonl",
            "de/val/0.jsonl",
        ]
        .map(str::to_owned)
        .to_vec();
        let of = |path: &str| in_data_set(&paths, path);
        assert_eq!(of("data/train-1.parquet").unwrap(), paths[2..3]);
        assert_eq!(of("data/train-*.parquet").unwrap(), paths[1..3]);
        assert_eq!(of("data").unwrap(), paths[..3], "a folder that is named is read whole");
        assert_eq!(of("de").unwrap(), paths[3..4]);
        assert_eq!(of("de/validation").unwrap(), paths[4..]);
        assert_eq!(of("test").unwrap(), paths[..1]);
        assert!(
            of("fr").unwrap_err().starts_with("has no fr: it has data/test-0.parquet, data/train-0.parquet")
        );
        assert!(of("*.csv").unwrap_err().starts_with("has no file like *.csv"));
    }
}
