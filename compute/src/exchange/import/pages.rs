//! The pages that sae_vis 0.2 and 0.3 and SAEDashboard write: their data stand in a script, as JSON.

use std::{collections::BTreeMap, fmt, fs, marker::PhantomData, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use shared::{
    feature::{Correlated, Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    histogram::Histogram,
    manifest::{Manifest, Origin},
    prompt::{Metric, MetricScores, Prompt, PromptFeature, Score},
    sequence::EffectView,
};

use super::{
    Import, Subject,
    examples::{ImportedExample, ImportedGroup, ImportedToken, decimals, row_acts, sequences},
    sae_vis::kind,
    text::{aligned, correlated, histogram, n_positions, numbers, unescaped},
    tokens::TokenTable,
};
use crate::{exchange::json::unzipped, interrupt};

/// Bytes of a page, at most.
const MAX_BYTES: u64 = 2 << 30;

/// Members in the order of the file.
#[derive(Debug)]
struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut members = Vec::new();
        from.deserialize_map(Members {
            take: |name, value| {
                members.push((name, value));
                Ok(())
            },
            value: PhantomData,
        })?;
        Ok(Self(members))
    }
}

/// Hands on the members of an object one by one.
struct Members<T, F> {
    take: F,
    value: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<()>> Visitor<'de> for Members<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry()? {
            (self.take)(name, value).map_err(|e| serde::de::Error::custom(format!("{e:#}")))?;
        }
        Ok(())
    }
}

/// What a page holds of a feature, or of a key of sae_vis 0.2's prompt page: there and in SAEDashboard's page, part by part
/// of each column.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PageData {
    feature_tables_data: Ordered<TablesData>,
    acts_histogram_data: Ordered<Bars>,
    logits_table_data: Ordered<Logits>,
    logits_histogram_data: Ordered<Bars>,
    token_data: Ordered<GroupData>,
    grid_column_titles_data: Ordered<String>,
    feature_tables: Option<TablesData>,
    acts_histogram: Option<Bars>,
    logits_table: Option<Logits>,
    logits_histogram: Option<Bars>,
    seq_multi_group: Vec<Group>,
    prompt: Vec<Group>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TablesData {
    neuron_alignment: Vec<TableRow>,
    correlated_neurons: Vec<TableRow>,
    correlated_features: Vec<TableRow>,
    correlated_features_b: Vec<TableRow>,
}

#[derive(Debug, Deserialize)]
struct TableRow {
    index: u32,
    value: String,
    #[serde(rename = "percentageL1")]
    second: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Bars {
    x: Vec<f64>,
    y: Vec<u64>,
    title: serde_json::Value,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Logits {
    neg_logits: Vec<LogitRow>,
    pos_logits: Vec<LogitRow>,
}

#[derive(Debug, Deserialize)]
struct LogitRow {
    symbol: String,
    value: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupData {
    data: Vec<Vec<Token>>,
    #[serde(default)]
    title: Option<String>,
    /// Its column.
    #[serde(default)]
    id_suffix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    seq_group_data: Vec<SeqData>,
    #[serde(default)]
    seq_group_metadata: GroupTitle,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeqData {
    seq_data: Vec<Token>,
}

impl From<GroupData> for Group {
    fn from(group: GroupData) -> Self {
        Self {
            seq_group_data: group.data.into_iter().map(|seq_data| SeqData { seq_data }).collect(),
            seq_group_metadata: GroupTitle { title: group.title },
        }
    }
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct GroupTitle {
    title: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    tok: String,
    #[serde(rename = "tokID")]
    id: Option<u32>,
    token_logit: Option<f64>,
    #[serde(default)]
    is_bold: bool,
    #[serde(default)]
    feat_act: f64,
    #[serde(default)]
    pos_toks: Vec<String>,
    #[serde(default)]
    neg_toks: Vec<String>,
    #[serde(default)]
    pos_val: Vec<f64>,
    #[serde(default)]
    neg_val: Vec<f64>,
    loss_effect: Option<f64>,
    orig_prob: Option<f64>,
    new_prob: Option<f64>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct AggregateData {
    max: Vec<f64>,
    frac_nonzero: Vec<f64>,
}

/// A feature's score at a position of the prompt.
#[derive(Debug, Clone, Deserialize)]
struct ScoreEntry {
    feature: u32,
    title: String,
}

/// Makes the bundle `out` of the page `path`.
///
/// # Errors
///
/// Where the file cannot be read or is no such page, or `out` cannot be written.
pub fn import_page(path: &Path, out: &Path) -> Result<Manifest> {
    use std::io::Read as _;
    let reading = || format!("could not read the page ({})", path.display());
    ensure!(path.is_file(), "the page is not a regular file ({})", path.display());
    let mut page = String::new();
    let file = unzipped(fs::File::open(path).with_context(reading)?).with_context(reading)?;
    let n = file.take(MAX_BYTES + 1).read_to_string(&mut page).with_context(reading)?;
    ensure!(n as u64 <= MAX_BYTES, "the page has more than {MAX_BYTES} bytes ({})", path.display());
    let page = Page::find(&page).with_context(|| {
        format!("no page of sae_vis or SAEDashboard: it has no function defineData ({})", path.display())
    })?;
    ensure!(!page.is_othello, "a page of Othello boards, which have no tokens ({})", path.display());
    let mut import = Import::new(out)?;
    let vocab = page.read(&mut import).with_context(reading)?;
    let origin = Origin { format: page.format.to_owned(), own_token_ids: true };
    import.finish(Subject::default(), origin, &vocab)
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

    fn read(&self, import: &mut Import) -> Result<shared::vocab::Vocab> {
        // The ids of tokens come first: other tokens are named by their texts alone.
        let mut tokens = TokenTable::default();
        each(self.features, |_, data: PageData| data.tokens().try_for_each(|token| tokens.learn(token)))?;
        let aggregates: AggregateData = match self.aggregates {
            Some(json) => first_value(json)?,
            None => AggregateData::default(),
        };
        let mut prompt = PromptPage::default();
        let mut i = 0;
        let mut features: BTreeMap<u32, Feature> = BTreeMap::new();
        each(self.features, |name, data: PageData| {
            if let Some((metric, _)) = name.split_once('|') {
                let columns = data.columns();
                let scores: Vec<ScoreEntry> = columns.iter().map(|(score, _)| score.clone()).collect();
                for (score, data) in columns {
                    if !features.contains_key(&score.feature) {
                        prompt.take(score.feature, &data, &mut tokens);
                        features
                            .insert(score.feature, data.feature(score.feature, (None, None), &mut tokens));
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
            features.insert(index, data.feature(index, known, &mut tokens));
            Ok(())
        })?;
        if let Some(json) = self.scores.filter(|_| !prompt.token_ids.is_empty()) {
            each(json, |key, scores: Vec<ScoreEntry>| prompt.rank(&key, &scores))?;
        }
        for feature in features.into_values() {
            import.feature(feature)?;
        }
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
    serde_json::Deserializer::from_str(json).deserialize_map(Members { take, value: PhantomData })?;
    Ok(())
}

/// The value that `json` begins with.
fn first_value<T: DeserializeOwned>(json: &str) -> Result<T> {
    Ok(T::deserialize(&mut serde_json::Deserializer::from_str(json))?)
}

impl TokenTable {
    fn learn(&mut self, token: &Token) -> Result<()> {
        token.id.map_or(Ok(()), |id| self.put(id, &unescaped(&token.tok)))
    }
}

impl Token {
    fn imported(&self, tokens: &mut TokenTable) -> ImportedToken {
        let token_id = self.id.unwrap_or_else(|| tokens.id(&unescaped(&self.tok)));
        let mut list = |texts: &[String], by: &[f64]| {
            texts.iter().zip(by).map(|(text, by)| (tokens.id(&unescaped(text)), *by)).collect::<Vec<_>>()
        };
        let (boosted, suppressed) =
            (list(&self.pos_toks, &self.pos_val), list(&self.neg_toks, &self.neg_val));
        let prob_change = self.orig_prob.zip(self.new_prob).map(|(with, without)| with - without);
        ImportedToken {
            token_id,
            act: self.feat_act,
            logit: self.token_logit,
            effect: self.loss_effect.map(|loss_effect| EffectView {
                loss_effect,
                prob_change,
                boosted,
                suppressed,
            }),
        }
    }
}

fn example(tokens: &[Token], table: &mut TokenTable) -> ImportedExample {
    let bold = tokens.iter().position(|token| token.is_bold).unwrap_or(tokens.len() / 2);
    ImportedExample { tokens: tokens.iter().map(|token| token.imported(table)).collect(), bold }
}

impl PageData {
    fn tokens(&self) -> impl Iterator<Item = &Token> {
        let old = self.token_data.0.iter().flat_map(|(_, group)| group.data.iter().flatten());
        let new = self.seq_multi_group.iter().chain(&self.prompt).flat_map(|group| &group.seq_group_data);
        old.chain(new.flat_map(|sequence| &sequence.seq_data))
    }

    /// The features of sae_vis 0.2's prompt page, each in a column of its own: scores and data, best first.
    fn columns(self) -> Vec<(ScoreEntry, Self)> {
        fn of<T>(members: &mut Ordered<T>, column: &str) -> Option<T> {
            let at = members.0.iter().position(|(name, _)| name == column)?;
            Some(members.0.swap_remove(at).1)
        }
        let (mut tables, mut acts) = (self.feature_tables_data, self.acts_histogram_data);
        let (mut logits, mut logits_bars) = (self.logits_table_data, self.logits_histogram_data);
        let mut groups: BTreeMap<String, Vec<GroupData>> = BTreeMap::new();
        for (_, group) in self.token_data.0 {
            groups.entry(group.id_suffix.clone().unwrap_or_default()).or_default().push(group);
        }
        let data = |(column, title): (String, String)| {
            let feature = title.split_once('#')?.1;
            let digits = feature.find(|c: char| !c.is_ascii_digit()).unwrap_or(feature.len());
            let score = ScoreEntry { feature: feature[..digits].parse().ok()?, title: title.clone() };
            // What has no title is the prompt.
            let (groups, prompt): (Vec<Group>, Vec<Group>) = groups
                .remove(&column)
                .unwrap_or_default()
                .into_iter()
                .map(Group::from)
                .partition(|group| group.seq_group_metadata.title.is_some());
            let data = Self {
                feature_tables: of(&mut tables, &column),
                acts_histogram: of(&mut acts, &column),
                logits_table: of(&mut logits, &column),
                logits_histogram: of(&mut logits_bars, &column),
                seq_multi_group: groups,
                prompt,
                ..Self::default()
            };
            Some((score, data))
        };
        self.grid_column_titles_data.0.into_iter().filter_map(data).collect()
    }

    /// - `known`: the largest activation and the density, where the page has them beside its features
    fn feature(self, feature: u32, known: (Option<f64>, Option<f64>), tokens: &mut TokenTable) -> Feature {
        fn first<T>(members: Ordered<T>) -> Option<T> {
            members.0.into_iter().next().map(|(_, value)| value)
        }
        let acts = self.acts_histogram.or_else(|| first(self.acts_histogram_data));
        let title = acts.as_ref().and_then(|bars| bars.title.as_str()).unwrap_or_default();
        let density = known.1.or_else(|| Some(numbers(title).first()? / 100.0));
        let density = density.filter(|share| (0.0..=1.0).contains(share));
        let n_active = acts.as_ref().map(|bars| bars.y.iter().sum::<u64>());
        let n_corpus = n_active.zip(density).and_then(|(n_active, density)| n_positions(n_active, density));
        let old = self.token_data.0.into_iter().map(|(_, group)| (group.title, group.data));
        let new = self.seq_multi_group.into_iter().map(|group| {
            let sequences = group.seq_group_data.into_iter().map(|sequence| sequence.seq_data).collect();
            (group.seq_group_metadata.title, sequences)
        });
        let groups: Vec<ImportedGroup> = old
            .chain(new)
            .map(|(title, data): (Option<String>, Vec<Vec<Token>>)| {
                let (kind, n_positions) = kind(title.as_deref().unwrap_or_default(), n_corpus);
                let examples = data.iter().map(|sequence| example(sequence, tokens)).collect();
                ImportedGroup { kind, n_positions, examples }
            })
            .collect();
        let shown = groups.iter().flat_map(|group| &group.examples).flat_map(|example| &example.tokens);
        let largest = shown.map(|token| token.act).fold(f64::NAN, f64::max);
        let tables = self.feature_tables.or_else(|| first(self.feature_tables_data)).unwrap_or_default();
        let logits = self.logits_table.or_else(|| first(self.logits_table_data));
        let mut logit_rows = |rows: &[LogitRow]| -> Vec<TokenLogit> {
            let row = |row: &LogitRow| TokenLogit {
                token_id: tokens.id(&unescaped(&row.symbol)),
                logit: row.value as f32,
            };
            rows.iter().map(row).collect()
        };
        let bars =
            |bars: Option<Bars>| -> Option<Histogram> { bars.and_then(|bars| histogram(&bars.x, &bars.y)) };
        Feature {
            feature,
            stats: Stats {
                n_active,
                density,
                max: known.0.unwrap_or(largest) as f32,
                min: 0.0,
                moments: None,
            },
            quantiles: None,
            tables: tables.tables(),
            logits_table: logits.map(|logits| LogitsTable {
                top: logit_rows(&logits.pos_logits),
                bottom: logit_rows(&logits.neg_logits),
            }),
            acts_histogram: bars(acts),
            logits_histogram: bars(self.logits_histogram.or_else(|| first(self.logits_histogram_data))),
            sequences: (!groups.is_empty()).then(|| sequences(groups)),
        }
    }
}

impl TablesData {
    fn tables(&self) -> FeatureTables {
        fn column(rows: &[TableRow], of: fn(&TableRow) -> &str) -> Vec<f64> {
            let number = |row| of(row).trim_end_matches('%').parse().unwrap_or(f64::NAN);
            rows.iter().map(number).collect()
        }
        let indices = |rows: &[TableRow]| rows.iter().map(|row| row.index).collect::<Vec<_>>();
        let pair = |rows: &[TableRow]| -> Option<Vec<Correlated>> {
            correlated(&indices(rows), &column(rows, |row| &row.value), &column(rows, |row| &row.second))
        };
        let percent = |of: f64| of / 100.0;
        let alignment = &self.neuron_alignment;
        let shares: Vec<f64> = column(alignment, |row| &row.second).into_iter().map(percent).collect();
        FeatureTables {
            neuron_alignment: aligned(&indices(alignment), &column(alignment, |row| &row.value), &shares),
            correlated_neurons: pair(&self.correlated_neurons),
            correlated_features: pair(&self.correlated_features),
            correlated_b_features: pair(&self.correlated_features_b),
        }
    }
}

/// The prompt of a prompt page.
#[derive(Debug, Default)]
struct PromptPage {
    token_ids: Vec<u32>,
    features: Vec<PromptFeature>,
    scores: BTreeMap<&'static str, Vec<Vec<Score>>>,
}

impl PromptPage {
    fn take(&mut self, feature: u32, data: &PageData, tokens: &mut TokenTable) {
        let Some(sequence) = data.prompt.first().and_then(|group| group.seq_group_data.first()) else {
            return;
        };
        let example = example(&sequence.seq_data, tokens);
        self.token_ids = example.tokens.iter().map(|token| token.token_id).collect();
        let acts = row_acts(&[&example], example.tokens.len() as u32);
        if !acts.active.is_empty() {
            let logits: Option<Vec<f64>> = example.tokens.iter().map(|token| token.logit).collect();
            let token_logits = decimals(&logits.unwrap_or_default());
            self.features.push(PromptFeature { feature, acts, token_logits });
        }
    }

    /// Takes the scores of a key such as `act_size|' the' (3)`, best first.
    fn rank(&mut self, key: &str, scores: &[ScoreEntry]) -> Result<()> {
        let (name, token) =
            key.split_once('|').with_context(|| format!("expected a metric before |: {key}"))?;
        let position =
            token.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')?.parse::<usize>().ok());
        let Some(metric) = Metric::from_name(name) else { return Ok(()) };
        let n = self.token_ids.len();
        let place = self.scores.entry(metric.name()).or_insert_with(|| vec![Vec::new(); n]);
        let place = position.and_then(|position| place.get_mut(position));
        let place = place.with_context(|| format!("the prompt has no such position: {key}"))?;
        *place = scores.iter().filter_map(ScoreEntry::score).collect();
        Ok(())
    }

    fn prompt(mut self, vocab: &shared::vocab::Vocab) -> Prompt {
        self.features.sort_by_key(|feature| feature.feature);
        let text = self.token_ids.iter().map(|id| String::from_utf8_lossy(vocab.bytes_of(*id))).collect();
        let scores = Metric::ALL.into_iter().filter_map(|metric| {
            Some(MetricScores { metric, positions: self.scores.remove(metric.name())? })
        });
        Prompt {
            text,
            scores: scores.collect(),
            token_ids: self.token_ids,
            newer_metrics: Vec::new(),
            features: self.features,
        }
    }
}

impl ScoreEntry {
    /// By a title such as `<h3>#57<br>Activation Size = 0.208</h3><hr>`.
    fn score(&self) -> Option<Score> {
        let text = self.title.rsplit_once('=')?.1.split('<').next()?.trim();
        let (number, percent) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len()) as u8;
        let value: f64 = number.parse().ok()?;
        Some(Score {
            feature: self.feature,
            value: if percent { value / 100.0 } else { value },
            precision: if percent { decimals + 2 } else { decimals },
        })
    }
}
