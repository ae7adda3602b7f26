//! Addresses of bundles.

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A `.saevis`.
    Archive(String),
    /// A folder, with its `/` at the end.
    Folder(String),
}

impl Address {
    /// Reads an address; a folder may also be named by its manifest, and what lies in a repository of the Hugging Face hub
    /// by `hf://owner/name[@revision][/path]`.
    pub fn of(address: &str) -> Self {
        let on_hub = address.strip_prefix("hf://").and_then(on_hub);
        let address = on_hub.as_deref().unwrap_or(address);
        if address.ends_with(".saevis") {
            return Self::Archive(address.to_owned());
        }
        let folder = address.strip_suffix("manifest.json").unwrap_or(address).trim_end_matches('/');
        Self::Folder(format!("{folder}/"))
    }
}

/// Where the hub has what `name` says: in a data set, unless it begins with `models/`.
fn on_hub(name: &str) -> Option<String> {
    let (kind, name) = match name.strip_prefix("models/") {
        Some(name) => ("", name),
        None => ("datasets/", name.strip_prefix("datasets/").unwrap_or(name)),
    };
    let mut parts = name.splitn(3, '/');
    let (owner, repo, path) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
    if owner.is_empty() || repo.is_empty() {
        return None;
    }
    let path = path.replace('%', "%25").replace('#', "%23").replace('?', "%3F");
    Some(format!("https://huggingface.co/{kind}{owner}/{repo}/resolve/{revision}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_its_manifest_name_the_same_bundle() {
        for address in ["https://host/b", "https://host/b/", "https://host/b/manifest.json"] {
            assert_eq!(Address::of(address), Address::Folder("https://host/b/".to_owned()));
        }
        let hub = |path: &str| Address::Folder(format!("https://huggingface.co/{path}"));
        assert_eq!(Address::of("hf://o/n"), hub("datasets/o/n/resolve/main/"));
        assert_eq!(Address::of("hf://datasets/o/n@v2/a b/c#"), hub("datasets/o/n/resolve/v2/a b/c%23/"));
        assert_eq!(Address::of("hf://models/o/n/b/manifest.json"), hub("o/n/resolve/main/b/"));
        assert_eq!(
            Address::of("hf://o/n/b.saevis"),
            Address::Archive("https://huggingface.co/datasets/o/n/resolve/main/b.saevis".to_owned())
        );
        assert_eq!(Address::of("hf://o"), Address::Folder("hf://o/".to_owned()));
        let archive = "https://host/b.saevis";
        assert_eq!(Address::of(archive), Address::Archive(archive.to_owned()));
    }
}
