//! What a page holds of a feature.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;
use shared::{
    feature::{Correlated, Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    sequence::EffectView,
};

use super::{
    super::{
        examples::{ImportedExample, ImportedGroup, ImportedToken, sequences},
        members::Ordered,
        sae_vis::kind,
        text::{aligned, correlated, histogram, largest, n_positions, numbers, unescaped},
        tokens::TokenTable,
    },
    prompt::ScoreEntry,
};

/// What a page holds of a feature, or of a key of sae_vis 0.2's prompt page: there and in SAEDashboard's page, part by part
/// of each column.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct PageData {
    pub feature_tables_data: Ordered<TablesData>,
    pub acts_histogram_data: Ordered<Bars>,
    pub logits_table_data: Ordered<Logits>,
    pub logits_histogram_data: Ordered<Bars>,
    pub token_data: Ordered<GroupData>,
    pub grid_column_titles_data: Ordered<String>,
    pub feature_tables: Option<TablesData>,
    pub acts_histogram: Option<Bars>,
    pub logits_table: Option<Logits>,
    pub logits_histogram: Option<Bars>,
    pub seq_multi_group: Vec<Group>,
    pub prompt: Vec<Group>,
    /// Whether groups say which share of all positions they are, not of the active ones.
    #[serde(skip)]
    shares_of_all: bool,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct TablesData {
    neuron_alignment: Vec<TableRow>,
    correlated_neurons: Vec<TableRow>,
    correlated_features: Vec<TableRow>,
    correlated_features_b: Vec<TableRow>,
}

#[derive(Debug, Deserialize)]
pub struct TableRow {
    index: u32,
    value: String,
    #[serde(rename = "percentageL1")]
    second: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub struct Bars {
    x: Vec<f64>,
    y: Vec<u64>,
    title: serde_json::Value,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Logits {
    neg_logits: Vec<LogitRow>,
    pos_logits: Vec<LogitRow>,
}

#[derive(Debug, Deserialize)]
pub struct LogitRow {
    symbol: String,
    value: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupData {
    pub data: Vec<Vec<Token>>,
    #[serde(default)]
    pub title: Option<String>,
    /// Its column.
    #[serde(default)]
    pub id_suffix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub seq_group_data: Vec<SeqData>,
    #[serde(default)]
    seq_group_metadata: GroupTitle,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeqData {
    pub seq_data: Vec<Token>,
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
pub struct GroupTitle {
    title: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    pub tok: String,
    #[serde(rename = "tokID")]
    pub id: Option<u32>,
    #[serde(rename = "tokenLogit")]
    pub logit: Option<f64>,
    #[serde(default)]
    pub is_bold: bool,
    #[serde(default)]
    pub feat_act: f64,
    #[serde(default)]
    pub pos_toks: Vec<String>,
    #[serde(default)]
    pub neg_toks: Vec<String>,
    #[serde(default)]
    pub pos_val: Vec<f64>,
    #[serde(default)]
    pub neg_val: Vec<f64>,
    pub loss_effect: Option<f64>,
    pub orig_prob: Option<f64>,
    pub new_prob: Option<f64>,
}

impl TokenTable {
    pub fn learn(&mut self, token: &Token) -> Result<()> {
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
            logit: self.logit,
            effect: self.loss_effect.map(|loss_effect| EffectView {
                loss_effect,
                prob_change,
                boosted,
                suppressed,
            }),
        }
    }
}

pub fn example(tokens: &[Token], table: &mut TokenTable) -> ImportedExample {
    let bold = tokens.iter().position(|token| token.is_bold).unwrap_or(tokens.len() / 2);
    ImportedExample { tokens: tokens.iter().map(|token| token.imported(table)).collect(), bold }
}

impl PageData {
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        let old = self.token_data.0.iter().flat_map(|(_, group)| group.data.iter().flatten());
        let new = self.seq_multi_group.iter().chain(&self.prompt).flat_map(|group| &group.seq_group_data);
        old.chain(new.flat_map(|sequence| &sequence.seq_data))
    }

    /// The features of sae_vis 0.2's prompt page, each in a column of its own: scores and data, best first.
    pub fn columns(self) -> Vec<(ScoreEntry, Self)> {
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
                shares_of_all: true,
                ..Self::default()
            };
            Some((score, data))
        };
        self.grid_column_titles_data.0.into_iter().filter_map(data).collect()
    }

    /// - `known`: the largest activation and the density, where the page has them beside its features
    pub fn feature(
        self,
        feature: u32,
        known: (Option<f64>, Option<f64>),
        tokens: &mut TokenTable,
    ) -> Feature {
        fn first<T>(members: Ordered<T>) -> Option<T> {
            members.0.into_iter().next().map(|(_, value)| value)
        }
        let acts = self.acts_histogram.or_else(|| first(self.acts_histogram_data));
        let title = acts.as_ref().and_then(|bars| bars.title.as_str()).unwrap_or_default();
        let density = known.1.or_else(|| Some(numbers(title).first()? / 100.0));
        let density = density.filter(|share| (0.0..=1.0).contains(share));
        let n_active = acts.as_ref().map(|bars| bars.y.iter().sum::<u64>());
        let n_corpus = n_active.zip(density).and_then(|(n_active, density)| n_positions(n_active, density));
        // Shares of a group are of all positions, in sae_vis 0.3 of the active ones.
        let old = self.token_data.0.into_iter().map(|(_, group)| (group.title, group.data, n_corpus));
        let new = self.seq_multi_group.into_iter().map(|group| {
            let sequences = group.seq_group_data.into_iter().map(|sequence| sequence.seq_data).collect();
            (group.seq_group_metadata.title, sequences, if self.shares_of_all { n_corpus } else { n_active })
        });
        let groups: Vec<ImportedGroup> = old
            .chain(new)
            .map(|(title, data, chosen_from): (Option<String>, Vec<Vec<Token>>, Option<u64>)| {
                let (kind, n_positions) = kind(title.as_deref().unwrap_or_default(), chosen_from);
                let examples = data.iter().map(|sequence| example(sequence, tokens)).collect();
                ImportedGroup { kind, n_positions, examples }
            })
            .collect();
        let shown = groups.iter().flat_map(|group| &group.examples).flat_map(|example| &example.tokens);
        let acts = acts.and_then(|bars| histogram(&bars.x, &bars.y));
        let max = known.0.unwrap_or_else(|| largest(shown.map(|token| token.act), acts.as_ref()));
        let tables = self.feature_tables.or_else(|| first(self.feature_tables_data)).unwrap_or_default();
        let logits = self.logits_table.or_else(|| first(self.logits_table_data));
        let mut logit_rows = |rows: &[LogitRow]| -> Vec<TokenLogit> {
            let row = |row: &LogitRow| TokenLogit {
                token_id: tokens.id(&unescaped(&row.symbol)),
                logit: row.value as f32,
            };
            rows.iter().map(row).collect()
        };
        let logit_bars = self.logits_histogram.or_else(|| first(self.logits_histogram_data));
        Feature {
            feature,
            stats: Stats { n_active, density, max: max as f32, min: 0.0, moments: None },
            quantiles: None,
            tables: tables.tables(),
            logits_table: logits.map(|logits| LogitsTable {
                top: logit_rows(&logits.pos_logits),
                bottom: logit_rows(&logits.neg_logits),
            }),
            acts_histogram: acts,
            logits_histogram: logit_bars.and_then(|bars| histogram(&bars.x, &bars.y)),
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
