//! Where an SAE lies, and what is known of it besides its files.

use std::path::{Path, PathBuf};

use checkpoints::sae::{Registered, SaeConfig, SaeFiles, SaeFormat};

use super::SaeError;

/// A file or folder, and the entry of the list of published SAEs by which it was named, if it was.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// File or folder.
    pub path: &'a Path,
    /// The entry of the list: settings that are in no file are taken from it.
    pub registered: Option<Registered<'a>>,
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
