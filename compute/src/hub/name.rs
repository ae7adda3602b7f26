//! Names on the hub, taken apart.

use std::{fmt, path::Path};

use super::ArtifactKind;
use crate::corpus::CorpusKind;

/// A name on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `owner/name` or `name`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// File or folder in the repository.
    pub path: Option<String>,
}

/// What every repository has.
const MAIN: &str = "main";

impl Name {
    /// `None` where `text` can only be a path.
    pub fn parse(text: &str, what: ArtifactKind) -> Option<Self> {
        if let Some(address) = without_host(text) {
            return Self::from_address(address);
        }
        let (repo, path) = text.split_once(':').map_or((text, None), |(repo, path)| (repo, Some(path)));
        // A file that is missing here is a mistake, not a repository.
        let is_file = path.is_none() && what == ArtifactKind::Data && CorpusKind::of(Path::new(text)).is_ok();
        let (repo, revision) = repo.split_once('@').unwrap_or((repo, MAIN));
        let parts: Vec<&str> = repo.split('/').collect();
        let named = parts.len() <= 2 && parts.into_iter().all(is_plain) && !revision.is_empty() && !is_file;
        named.then(|| Self::new(repo, revision, path.unwrap_or_default()))
    }

    /// Of a page's address, without the host: `datasets/owner/name/tree/main/folder`, or `owner/name@revision/file`.
    fn from_address(address: &str) -> Option<Self> {
        let address = address.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        let address =
            address.strip_prefix("datasets/").or(address.strip_prefix("models/")).unwrap_or(address);
        let mut parts = address.split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
        let rest: Vec<&str> = parts.collect();
        let (revision, path) = match rest.as_slice() {
            ["tree" | "blob" | "resolve", revision, path @ ..] => (*revision, path),
            path => (revision, path),
        };
        (is_plain(owner) && is_plain(name))
            .then(|| Self::new(&format!("{owner}/{name}"), revision, &path.join("/")))
    }

    fn new(repo: &str, revision: &str, path: &str) -> Self {
        let path = path.trim_matches('/');
        Self {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            path: (!path.is_empty()).then(|| path.to_owned()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        self.path.as_ref().map_or(Ok(()), |path| write!(f, ":{path}"))
    }
}

fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}

/// What follows the hub's host or `hf://`.
fn without_host(text: &str) -> Option<&str> {
    [
        "hf://",
        "https://huggingface.co/",
        "http://huggingface.co/",
        "https://hf.co/",
        "huggingface.co/",
        "hf.co/",
    ]
    .iter()
    .find_map(|host| text.strip_prefix(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is an option")]
    fn name(repo: &str, revision: &str, path: &str) -> Option<Name> {
        Some(Name::new(repo, revision, path))
    }

    #[test]
    fn names_are_taken_apart() {
        let parse = |text| Name::parse(text, ArtifactKind::Sae);
        assert_eq!(parse("gpt2"), name("gpt2", "main", ""));
        let sparse = name("NeelNanda/sparse_autoencoder", "main", "25.pt");
        assert_eq!(parse("NeelNanda/sparse_autoencoder:25.pt"), sparse);
        let scope = name("google/gemma-scope-2b-pt-res", "v2", "layer_12/width_16k/average_l0_82");
        assert_eq!(parse("google/gemma-scope-2b-pt-res@v2:layer_12/width_16k/average_l0_82"), scope);
        assert_eq!(
            scope.unwrap().to_string(),
            "google/gemma-scope-2b-pt-res@v2:layer_12/width_16k/average_l0_82"
        );
        for path in ["../model", "/models/gpt2", "a/b/c", "./gpt2", "~/gpt2", ""] {
            assert_eq!(parse(path), None, "{path}");
        }
        assert_eq!(Name::parse("corpus.jsonl", ArtifactKind::Data), None);
        assert_eq!(
            Name::parse("owner/name:corpus.jsonl", ArtifactKind::Data),
            name("owner/name", "main", "corpus.jsonl")
        );
    }

    #[test]
    fn addresses_of_pages_are_names() {
        let parse = |text| Name::parse(text, ArtifactKind::Data);
        let folder = name("o/n", "main", "en/data");
        for text in [
            "https://huggingface.co/datasets/o/n/tree/main/en/data",
            "https://huggingface.co/datasets/o/n/blob/main/en/data?download=true",
            "hf://datasets/o/n/en/data",
            "hf.co/o/n/resolve/main/en/data/",
        ] {
            assert_eq!(parse(text), folder, "{text}");
        }
        assert_eq!(parse("hf://o/n@v1/x"), name("o/n", "v1", "x"));
        assert_eq!(parse("https://huggingface.co/o/n"), name("o/n", "main", ""));
        assert_eq!(parse("https://huggingface.co/o"), None);
    }
}
