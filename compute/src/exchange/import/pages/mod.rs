//! The pages that sae_vis 0.2 and 0.3 and SAEDashboard write: their data stand in a script, as JSON.

mod data;
mod prompt;

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::{
    Deserialize,
    de::{DeserializeOwned, DeserializeSeed as _},
};
use shared::{
    manifest::{Manifest, Origin},
    vocab::Vocab,
};

use super::{Import, InOrder, Subject, members::Members, tokens::TokenTable};
use crate::{exchange::json::unzipped, interrupt};
use data::PageData;
use prompt::{PromptPage, ScoreEntry};

/// Bytes of a page, at most.
const MAX_BYTES: u64 = 2 << 30;

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct AggregateData {
    max: Vec<f64>,
    frac_nonzero: Vec<f64>,
}

/// Makes the bundle `out` of the page `path`.
///
/// # Errors
///
/// Where the file cannot be read or is no such page, or `out` cannot be written.
pub fn import_page(path: &Path, out: &Path) -> Result<Manifest> {
    let reading = || format!("could not read the page ({})", path.display());
    ensure!(path.is_file(), "the page is not a regular file ({})", path.display());
    let mut page = String::new();
    let file = unzipped(File::open(path).with_context(reading)?).with_context(reading)?;
    let n = file.take(MAX_BYTES + 1).read_to_string(&mut page).with_context(reading)?;
    ensure!(n as u64 <= MAX_BYTES, "the page has more than {MAX_BYTES} bytes ({})", path.display());
    let page = Page::find(&page).with_context(|| {
        format!("no page of sae_vis or SAEDashboard: it has no function defineData ({})", path.display())
    })?;
    ensure!(!page.is_othello, "a page of Othello boards, which have no tokens ({})", path.display());
    let mut import = Import::new(out)?;
    let vocab = page.read(&mut import).with_context(reading)?;
    let origin = Origin { format: page.format.to_owned(), own_token_ids: true };
    import.finish(Subject::named_by(path), origin, &vocab)
}

/// Where a page has its data.
struct Page<'a> {
    format: &'static str,
    /// An object of features.
    features: &'a str,
    aggregates: Option<&'a str>,
    /// An object of scores by metric and position.
    scores: Option<&'a str>,
    is_othello: bool,
}

impl<'a> Page<'a> {
    fn find(page: &'a str) -> Option<Self> {
        let data = returned(page, "function defineData")?;
        let member = |name: &str| {
            let at = data.find(name)? + name.len();
            Some(data[at..].trim_start())
        };
        let metadata = page.split_once("const METADATA = ").map_or("", |(_, rest)| rest);
        let metadata = metadata.split(';').next().unwrap_or_default();
        Some(match member("\"DASHBOARD_DATA\":") {
            Some(features) => Self {
                format: if data.contains("\"gridColumnTitlesData\"") {
                    "sae_vis 0.2 (prompt page)"
                } else {
                    "sae_vis 0.2 or SAEDashboard (page)"
                },
                features,
                aggregates: member("\"AGGDATA\":"),
                scores: None,
                is_othello: false,
            },
            None => Self {
                format: "sae_vis 0.3 (page)",
                features: data,
                aggregates: None,
                scores: returned(page, "function definePromptData"),
                is_othello: metadata.contains("\"othello\": true"),
            },
        })
    }

    fn read(&self, import: &mut Import) -> Result<Vocab> {
        // The ids of tokens come first: other tokens are named by their texts alone.
        let mut tokens = TokenTable::default();
        let mut names = Vec::new();
        each(self.features, |name, data: PageData| {
            names.push(name.parse::<u32>().ok());
            data.tokens().try_for_each(|token| tokens.learn(token))
        })?;
        let aggregates: AggregateData = match self.aggregates {
            Some(json) => first_value(json)?,
            None => AggregateData::default(),
        };
        let mut prompt = PromptPage::default();
        let mut i = 0;
        let mut features = InOrder::new(import, names.iter().all(Option::is_some) && names.is_sorted());
        each(self.features, |name, data: PageData| {
            if let Some((metric, _)) = name.split_once('|') {
                let columns = data.columns();
                let scores: Vec<ScoreEntry> = columns.iter().map(|(score, _)| score.clone()).collect();
                for (score, data) in columns {
                    if !features.has(score.feature) {
                        prompt.take(score.feature, &data, &mut tokens);
                        features.take(data.feature(score.feature, (None, None), &mut tokens))?;
                    }
                }
                return prompt.rank(&name, &scores).with_context(|| format!("the scores of {metric}"));
            }
            let index: u32 =
                name.parse().with_context(|| format!("expected a feature's number, got {name:?}"))?;
            let at = |numbers: &[f64]| numbers.get(i).copied();
            let known = (at(&aggregates.max), at(&aggregates.frac_nonzero));
            i += 1;
            prompt.take(index, &data, &mut tokens);
            features.take(data.feature(index, known, &mut tokens))
        })?;
        if let Some(json) = self.scores.filter(|_| !prompt.token_ids.is_empty()) {
            each(json, |key, scores: Vec<ScoreEntry>| prompt.rank(&key, &scores))?;
        }
        features.finish()?;
        let vocab = tokens.vocab();
        if !prompt.token_ids.is_empty() {
            import.prompt(prompt.prompt(&vocab));
        }
        Ok(vocab)
    }
}

/// What the function that begins so returns.
fn returned<'a>(page: &'a str, function: &str) -> Option<&'a str> {
    let (_, body) = page.split_once(function)?;
    let (_, returned) = body.split_once("return ")?;
    returned.trim_start().starts_with('{').then(|| returned.trim_start())
}

/// Hands on the members of the object that `json` begins with.
fn each<T: DeserializeOwned>(json: &str, mut take: impl FnMut(String, T) -> Result<()>) -> Result<()> {
    let take = |name, value| {
        interrupt::check()?;
        take(name, value)
    };
    Ok(Members::new(take).deserialize(&mut serde_json::Deserializer::from_str(json))?)
}

/// The value that `json` begins with.
fn first_value<T: DeserializeOwned>(json: &str) -> Result<T> {
    Ok(T::deserialize(&mut serde_json::Deserializer::from_str(json))?)
}
