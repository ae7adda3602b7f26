//! Where an SAE lies, and what is known of it besides its files.

use std::path::{Path, PathBuf};

use checkpoints::sae::{Normalize, Registry, RegistryEntry, SaeConfig, SaeFiles, SaeFormat};

use super::SaeError;

/// A file or folder, and the entry of the list of published SAEs by which it was named, if it was.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// File or folder.
    pub path: &'a Path,
    /// The entry of the list: settings that are in no file are taken from it.
    pub registered: Option<RegistryEntry<'a>>,
}

impl<'a> From<&'a Path> for Location<'a> {
    fn from(path: &'a Path) -> Self {
        Self { path, registered: None }
    }
}

impl<'a> From<&'a PathBuf> for Location<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self { path, registered: None }
    }
}

impl Location<'_> {
    /// What the files say, and the list; no weights are read.
    pub fn config(self, format: Option<SaeFormat>) -> Result<SaeConfig, SaeError> {
        Ok(self.open(format)?.config)
    }

    pub(super) fn open(self, format: Option<SaeFormat>) -> Result<SaeFiles, SaeError> {
        let format = format.or_else(|| self.registered.and_then(|known| known.release.format()));
        let mut files = SaeFiles::open(self.path, format)?;
        if let Some(registered) = self.registered {
            registered.apply(&mut files.config);
        }
        Ok(files)
    }
}

/// What the reader should know of an SAE before it is used, as a sentence without a full stop.
///
/// - `name`: as it was given
pub fn warning(config: &SaeConfig, name: &str) -> Option<String> {
    if config.summed_decoder {
        return Some(
            "a cross-layer transcoder: each feature writes to several layers, and here their sum is taken, which \
             reconstructs none of them"
                .to_owned(),
        );
    }
    if config.normalize != Normalize::ExpectedAverage {
        return None;
    }
    let listed = Registry::shipped().at(name).filter(|found| found.sae.norm_scaling_factor.is_some());
    let step = listed.map_or_else(
        || "fold it into the weights (SAELens's fold_activation_norm_scaling_factor)".to_owned(),
        |found| format!("the list of published SAEs has it: name the SAE as {}", found.name()),
    );
    Some(format!(
        "its config asks for expected_average_only_in, whose scale is not in its files, so activations are taken as they \
         are; {step}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_that_is_in_no_file_is_missed() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/hub_saes/llama_scope_r1_distill/hub/fnlp/Llama-Scope-R1-Distill/",
            "400M-Slimpajama-400M-OpenR1-Math-220k/L15R"
        );
        let mut config = SaeConfig::read(Path::new(folder), None).unwrap();
        let said = warning(&config, "somewhere/L15R").unwrap();
        assert!(said.contains("fold it into the weights"), "{said}");
        let name = "fnlp/Llama-Scope-R1-Distill:400M-Slimpajama-400M-OpenR1-Math-220k/L15R";
        let said = warning(&config, name).unwrap();
        assert!(
            said.ends_with("name the SAE as llama_scope_r1_distill/l15r_400m_slimpajama_400m_openr1_math"),
            "{said}"
        );
        Registry::shipped().at(name).unwrap().apply(&mut config);
        assert_eq!(warning(&config, name), None);
    }
}
