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
    /// Reads an address; a folder may also be named by its manifest.
    pub fn of(address: &str) -> Self {
        if address.ends_with(".saevis") {
            return Self::Archive(address.to_owned());
        }
        let folder = address.strip_suffix("manifest.json").unwrap_or(address).trim_end_matches('/');
        Self::Folder(format!("{folder}/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_its_manifest_name_the_same_bundle() {
        for address in ["https://host/b", "https://host/b/", "https://host/b/manifest.json"] {
            assert_eq!(Address::of(address), Address::Folder("https://host/b/".to_owned()));
        }
        let archive = "https://host/b.saevis";
        assert_eq!(Address::of(archive), Address::Archive(archive.to_owned()));
    }
}
