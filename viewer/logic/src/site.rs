//! A site of several bundles, as its own pages read it: what lists them, the tables of all their features, and each
//! feature's neighbours in the others. Answers are JSON, for the scripts that show them.

use std::rc::Rc;

use serde::Serialize;
use shared::{
    BundleError,
    bundle::decode,
    index::FeatureIndex,
    layers::NEIGHBOURS,
    manifest::{FileInfo, Manifest},
    neighbours::{Neighbour, Neighbours},
    paths,
    site::{Site, SiteBundle},
    vocab::Vocab,
};
use thiserror::Error;

use crate::{
    annotations::Annotations,
    browse::{Browse, Column, Stat},
    find::{Hits, SearchTexts, filtered, sorted},
    query::Query,
};

/// Tokens shown of each list.
const N_TOKENS: usize = 5;

/// Why a site cannot be shown.
#[derive(Debug, Error)]
pub enum SiteError {
    /// A file of it is wrong.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It has not what was asked for.
    #[error("{0}")]
    Missing(String),
}

/// A site, with as much of its bundles as was read.
pub struct SiteView {
    site: Site,
    bundles: Vec<Opened>,
    /// Vocabularies that were read, by their paths in the site.
    vocabs: Vec<(String, Rc<Vocab>)>,
}

/// What was read of a bundle.
#[derive(Default)]
struct Opened {
    manifest: Option<Manifest>,
    table: Option<Table>,
}

/// A bundle's table, ready to be searched.
struct Table {
    index: FeatureIndex,
    vocab: Rc<Vocab>,
    texts: SearchTexts,
}

/// A bundle in the list.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    bundle: &'a SiteBundle,
    loss_recovered: Option<f64>,
}

/// Features of a bundle that a search found.
#[derive(Serialize)]
struct Found {
    /// How many there are.
    n: usize,
    /// The first of them.
    features: Vec<FoundFeature>,
}

#[derive(Serialize)]
struct FoundFeature {
    feature: u32,
    density: Option<f32>,
    max: Option<f32>,
    active: Vec<FoundToken>,
    logits: Vec<FoundToken>,
}

#[derive(Serialize)]
struct FoundToken {
    text: String,
    hit: bool,
}

/// Neighbours in one other bundle.
#[derive(Serialize)]
struct Alike<'a> {
    path: &'a str,
    by_direction: &'a [Neighbour],
    by_activation: &'a [Neighbour],
}

impl SiteView {
    /// Reads the list, `site.json`.
    pub fn new(json: &[u8]) -> Result<Self, SiteError> {
        let site = Site::from_json(json)?;
        let bundles = site.bundles.iter().map(|_| Opened::default()).collect();
        Ok(Self { site, bundles, vocabs: Vec::new() })
    }

    /// The bundles, in order.
    pub fn list(&self) -> String {
        let listed = |bundle| Listed { bundle, loss_recovered: bundle.health.loss_recovered() };
        json(&self.site.bundles.iter().map(listed).collect::<Vec<_>>())
    }

    /// Takes the manifest of bundle `i`.
    pub fn open(&mut self, i: usize, manifest: &[u8]) -> Result<(), SiteError> {
        self.bundles[i].manifest = Some(Manifest::from_json(manifest)?);
        Ok(())
    }

    /// Where the table of bundle `i` lies, and its vocabulary, as paths in the site; no vocabulary where it is there already.
    pub fn table_paths(&self, i: usize) -> Result<Vec<String>, SiteError> {
        let vocab = self.path(i, paths::VOCAB)?;
        let known = self.vocabs.iter().any(|(path, _)| *path == vocab);
        Ok(std::iter::once(self.path(i, paths::INDEX)?).chain((!known).then_some(vocab)).collect())
    }

    /// Takes the table of bundle `i`; an empty `vocab` is one that is there already.
    pub fn add(&mut self, i: usize, index: &[u8], vocab: &[u8]) -> Result<(), SiteError> {
        let path = self.path(i, paths::VOCAB)?;
        let manifest = self.manifest(i)?;
        let index: FeatureIndex = decode(manifest, paths::INDEX, index)?;
        let known = self.vocabs.iter().find(|(known, _)| *known == path).map(|(_, vocab)| Rc::clone(vocab));
        let vocab = match known {
            Some(vocab) => vocab,
            None => Rc::new(decode::<Vocab>(manifest, paths::VOCAB, vocab)?),
        };
        self.vocabs.push((path, Rc::clone(&vocab)));
        let texts = SearchTexts::of(&vocab, None, &index);
        self.bundles[i].table = Some(Table { index, vocab, texts });
        Ok(())
    }

    /// Why `query` cannot be read; `None` where it can.
    pub fn wrong(query: &str) -> Option<String> {
        Query::parse(query).err()
    }

    /// The first `n_rows` features of bundle `i` that the table's search finds by `query`. Those stand first whose strongest
    /// tokens are what was looked for, then the most active.
    pub fn search(&self, i: usize, query: &str, n_rows: usize) -> Result<String, SiteError> {
        let table = self.bundles[i].table.as_ref().ok_or_else(|| Self::not_read(i))?;
        let (sort, query) = (Column::Stat(Stat::Max), query.to_owned());
        let browse = Browse { query, sort, descending: true, ..Browse::default() };
        let hits = Hits::of(&browse, &table.texts);
        let order = sorted(&table.index, &table.texts, &browse);
        let mut found = filtered(&order, &table.index, &table.texts, &Annotations::default(), &browse);
        found.sort_by_key(|entry| table.rank(*entry as usize, &hits));
        let features = found.iter().take(n_rows).map(|entry| table.feature(*entry as usize, &hits)).collect();
        Ok(json(&Found { n: found.len(), features }))
    }

    /// Where the neighbours of `feature` of bundle `i` are stored, as a path in the site; `None` where there are none.
    pub fn neighbours_path(&self, i: usize, feature: u32) -> Result<Option<String>, SiteError> {
        let manifest = self.manifest(i)?;
        if !manifest.has_layer(&NEIGHBOURS) || !manifest.has_feature(feature) {
            return Ok(None);
        }
        self.path(i, &NEIGHBOURS.path_of(manifest.block_of(feature)?)).map(Some)
    }

    /// The neighbours of `feature` of bundle `i`, from the file that has them.
    pub fn neighbours(&self, i: usize, feature: u32, bytes: &[u8]) -> Result<String, SiteError> {
        let manifest = self.manifest(i)?;
        let path = NEIGHBOURS.path_of(manifest.block_of(feature)?);
        let neighbours: Neighbours = decode(manifest, &path, bytes)?;
        let alike = neighbours.of(feature).map(|(path, found)| Alike {
            path,
            by_direction: &found.by_direction,
            by_activation: &found.by_activation,
        });
        Ok(json(&alike.collect::<Vec<_>>()))
    }

    fn manifest(&self, i: usize) -> Result<&Manifest, SiteError> {
        self.bundles[i].manifest.as_ref().ok_or_else(|| Self::not_read(i))
    }

    fn not_read(i: usize) -> SiteError {
        SiteError::Missing(format!("bundle {i} of the site was not read yet"))
    }

    /// Where a file of bundle `i` lies, as a path in the site.
    fn path(&self, i: usize, path: &str) -> Result<String, SiteError> {
        let (manifest, own) = (self.manifest(i)?, &self.site.bundles[i].path);
        let FileInfo { shared, .. } = manifest.file(path)?;
        let folder = match manifest.shared.as_ref().filter(|_| *shared) {
            Some(folder) => folder.in_site(own).map_err(|e| SiteError::Missing(e.0))?,
            None => own,
        };
        Ok(format!("{folder}/{path}"))
    }
}

impl Table {
    /// How far down an entry's lists the first token is that was looked for: most active first, then logits, then others.
    fn rank(&self, entry: usize, hits: &Hits) -> usize {
        let at = |tokens: &[u32]| tokens.iter().position(|token| hits.has_token(*token));
        let (active, logits) = (&self.index.active_tokens[entry], &self.index.logit_tokens[entry]);
        at(active).unwrap_or_else(|| active.len() + at(logits).unwrap_or(logits.len()))
    }

    fn feature(&self, entry: usize, hits: &Hits) -> FoundFeature {
        let tokens = |tokens: &[u32]| -> Vec<FoundToken> {
            let token = |id: &u32| FoundToken { text: self.vocab.text(*id), hit: hits.has_token(*id) };
            tokens.iter().take(N_TOKENS).map(token).collect()
        };
        let known = |value: f32| value.is_finite().then_some(value);
        FoundFeature {
            feature: self.index.features[entry],
            density: known(self.index.density[entry]),
            max: known(self.index.max[entry]),
            active: tokens(&self.index.active_tokens[entry]),
            logits: tokens(&self.index.logit_tokens[entry]),
        }
    }
}

/// JSON of a value that always has one.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
