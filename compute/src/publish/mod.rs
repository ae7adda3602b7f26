//! A bundle or a site, put into a data set's repository on the hub, with a card that says what it is.

mod card;
mod picture;

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use shared::{
    error::BundleError,
    index::FeatureIndex,
    manifest::{FileInfo, Manifest},
    paths,
};

use crate::{
    bundle::{Bundle, read_site},
    hub::{Changes, Content, NewFile, Upload},
    interrupt,
};

pub use card::CardOptions;

/// Bytes that are checked at once.
const PART: usize = 1 << 20;
/// The card, and the picture in it.
const CARD: &str = "README.md";
const PICTURE: &str = "sae-vis.svg";

/// What is published.
pub struct Publication {
    /// Each bundle's folder in it, empty for the only one, and the bundle.
    bundles: Vec<(String, Bundle)>,
    files: Vec<NewFile>,
}

/// What of an older manifest is read: its own files.
#[derive(Deserialize)]
struct OldManifest {
    files: Vec<OldFile>,
}

#[derive(Deserialize)]
struct OldFile {
    path: String,
    #[serde(default)]
    shared: bool,
}

impl Publication {
    /// The bundle or the site in `folder`; every file of it is read and checked. What no manifest lists is left out.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut publication = Self { bundles: Vec::new(), files: Vec::new() };
        if folder.join(paths::SITE).is_file() {
            let site = read_site(folder)?;
            for listed in site.bundles {
                publication.add(folder, listed.path)?;
            }
            publication.put(paths::SITE.to_owned(), folder.join(paths::SITE));
        } else {
            Bundle::check_folder(folder)?;
            publication.add(folder, String::new())?;
        }
        ensure!(!publication.bundles.is_empty(), "the site has no bundles yet ({})", folder.display());
        Ok(publication)
    }

    fn add(&mut self, folder: &Path, path: String) -> Result<()> {
        let at = folder.join(&path);
        let bundle = Bundle::open(&at)?;
        let inside = |file: &str| if path.is_empty() { file.to_owned() } else { format!("{path}/{file}") };
        for info in &bundle.manifest.files {
            let place = match bundle.manifest.shared.as_ref().filter(|_| info.shared) {
                None => inside(&info.path),
                Some(shared) => {
                    let folder = shared.in_site(&path).map_err(|_outside| {
                        anyhow::anyhow!(
                            "the bundle is one of a site: publish the site's folder ({})",
                            at.display()
                        )
                    })?;
                    format!("{folder}/{}", info.path)
                }
            };
            let source = bundle.path_of(info)?;
            // Of bundles that share a file the first brings it.
            if self.files.iter().all(|file| file.path != place) {
                check(&source, info)?;
                self.put(place, source);
            }
        }
        self.put(inside(paths::MANIFEST), at.join(paths::MANIFEST));
        self.bundles.push((path, bundle));
        Ok(())
    }

    fn put(&mut self, path: String, source: std::path::PathBuf) {
        self.files.push(NewFile { path, content: Content::File(source) });
    }

    /// Puts it into the repository that `name` says, `owner/name`, with `@branch` and `:folder` where wanted.
    ///
    /// - `dry`: whether nothing is changed
    pub fn publish(
        self,
        name: &str,
        options: &CardOptions,
        (private, dry): (bool, bool),
    ) -> Result<(Changes, String)> {
        let (upload, folder) = Upload::open(name)?;
        let within = |path: &str| match &folder {
            Some(folder) => format!("{folder}/{path}"),
            None => path.to_owned(),
        };
        let address = address(&upload, folder.as_deref());
        let mut files: Vec<NewFile> =
            self.files.iter().map(|file| NewFile { path: within(&file.path), ..file.clone() }).collect();
        let remove = self.outdated(&upload, &files, within)?;
        let old_card = upload.text(CARD)?;
        if old_card.as_ref().is_none_or(|card| folder.is_none() && card::is_ours(card)) {
            let manifests: Vec<(&str, &Manifest)> =
                self.bundles.iter().map(|(path, bundle)| (path.as_str(), &bundle.manifest)).collect();
            let indexes = self.bundles.iter().map(|(_, bundle)| bundle.file::<FeatureIndex>(paths::INDEX));
            let indexes: Vec<FeatureIndex> = indexes.collect::<Result<_>>()?;
            let names: Vec<&str> = manifests.iter().map(|(_, manifest)| manifest.sae.name.as_str()).collect();
            let picture = picture::densities(&names, &indexes);
            files.push(NewFile { path: PICTURE.to_owned(), content: Content::Text(picture) });
            let text = card::card(&manifests, &address, PICTURE, options);
            files.push(NewFile { path: CARD.to_owned(), content: Content::Text(text) });
        }
        let summary = format!("Publish {}", self.title());
        let changes = if dry {
            upload.changes(&files, &remove)?
        } else {
            upload.commit(&files, &remove, (private, &summary))?
        };
        Ok((changes, address))
    }

    fn title(&self) -> String {
        match self.bundles.as_slice() {
            [(_, bundle)] => {
                format!("{} features of {}", bundle.manifest.n_features(), bundle.manifest.sae.name)
            }
            several => format!("{} SAEs", several.len()),
        }
    }

    /// Files of bundles that were published at the same places before, and that the new ones lack; no one else's.
    fn outdated(
        &self,
        upload: &Upload,
        new: &[NewFile],
        within: impl Fn(&str) -> String,
    ) -> Result<Vec<String>> {
        let mut old = Vec::new();
        for (path, _) in &self.bundles {
            let inside =
                |file: &str| if path.is_empty() { within(file) } else { within(&format!("{path}/{file}")) };
            // What is no manifest of ours lists nothing of ours.
            let manifest = upload.text(&inside(paths::MANIFEST))?;
            let manifest = manifest.and_then(|json| serde_json::from_str::<OldManifest>(&json).ok());
            let own = manifest.into_iter().flat_map(|manifest| manifest.files);
            let own = own.filter(|file| !file.shared && paths::is_inside(&file.path));
            old.extend(own.map(|file| inside(&file.path)));
        }
        let shared = within("shared/");
        if upload.there().any(|path| path == within(paths::SITE)) {
            old.extend(upload.there().filter(|path| path.starts_with(&shared)).map(str::to_owned));
        }
        old.retain(|path| new.iter().all(|file| file.path != *path));
        Ok(old)
    }
}

/// The address by which a page opens it.
fn address(upload: &Upload, folder: Option<&str>) -> String {
    let (repo, branch) = upload.name();
    let branch = if branch == "main" { String::new() } else { format!("@{branch}") };
    let folder = folder.map_or_else(String::new, |folder| format!("/{folder}"));
    format!("hf://{repo}{branch}{folder}")
}

/// Fails where the file at `path` is not what `info` says.
fn check(path: &Path, info: &FileInfo) -> Result<()> {
    let reading = || format!("could not read the bundle ({})", path.display());
    let got = fs::metadata(path).with_context(reading)?.len();
    let shown = || info.path.clone();
    ensure!(got == info.bytes, BundleError::Truncated { expected: info.bytes, got, path: shown() });
    let (mut file, mut part, mut hash) =
        (File::open(path).with_context(reading)?, vec![0; PART], crc32fast::Hasher::new());
    loop {
        interrupt::check()?;
        match file.read(&mut part).with_context(reading)? {
            0 => break,
            n => hash.update(&part[..n]),
        }
    }
    let (expected, got) = (info.crc32, hash.finalize());
    ensure!(got == expected, BundleError::Checksum { expected, got, path: shown() });
    Ok(())
}
