//! Which features the table shows, in which order: filtering and sorting, without any page.
//!
//! A text query is looked up in the vocabulary first, so that a search over the tokens of 65,536 features compares
//! numbers, not strings.

use std::fmt::Write as _;

use shared::{index::FeatureIndex, labels::Labels, vocab::Vocab};

/// A statistic of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// The feature's own number.
    Index,
    /// Share of active positions.
    Density,
    /// Largest activation.
    Max,
    /// Mean of active values.
    Mean,
    /// Standard deviation of active values.
    Std,
    /// Skewness of active values.
    Skewness,
    /// Excess kurtosis of active values.
    Kurtosis,
}

impl Stat {
    /// All, in the order of the table's columns.
    pub const ALL: [Self; 7] =
        [Self::Index, Self::Density, Self::Max, Self::Mean, Self::Std, Self::Skewness, Self::Kurtosis];

    /// Name in links.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Density => "density",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Skewness => "skewness",
            Self::Kurtosis => "kurtosis",
        }
    }

    /// The statistic of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether it spans orders of magnitude and is drawn on a logarithmic axis.
    pub fn is_log(self) -> bool {
        matches!(self, Self::Density | Self::Max | Self::Mean | Self::Std)
    }

    /// Its value for the feature in entry `i`; NaN where a dead feature has none.
    pub fn of(self, index: &FeatureIndex, i: usize) -> f64 {
        let dead = index.density[i] <= 0.0;
        match self {
            Self::Index => index.features[i].into(),
            Self::Density => index.density[i].into(),
            _ if dead => f64::NAN,
            Self::Max => index.max[i].into(),
            Self::Mean => index.mean[i].into(),
            Self::Std => index.std[i].into(),
            Self::Skewness => index.skewness[i].into(),
            Self::Kurtosis => index.kurtosis[i].into(),
        }
    }
}

/// What the table can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A statistic.
    Stat(Stat),
    /// The label, alphabetically.
    Label,
}

impl Column {
    /// Name in links.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stat(stat) => stat.name(),
            Self::Label => "label",
        }
    }

    /// The column of that name.
    fn from_name(name: &str) -> Option<Self> {
        if name == Self::Label.name() { Some(Self::Label) } else { Stat::from_name(name).map(Self::Stat) }
    }
}

/// What the reader chose to see of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Browse {
    /// Text that a token or the label of the feature contains, or the beginning of its index.
    pub query: String,
    /// Column to sort by.
    pub sort: Column,
    /// Largest first.
    pub descending: bool,
    /// Statistics that must lie within bounds, inclusive.
    pub ranges: Vec<(Stat, f64, f64)>,
    /// Statistic of the histogram.
    pub bars: Stat,
    /// Axes of the scatter plot.
    pub axes: (Stat, Stat),
}

impl Default for Browse {
    fn default() -> Self {
        Self {
            query: String::new(),
            sort: Column::Stat(Stat::Index),
            descending: false,
            ranges: Vec::new(),
            bars: Stat::Density,
            axes: (Stat::Density, Stat::Max),
        }
    }
}

impl Browse {
    /// The parts of a link's query; unknown ones are left out.
    pub fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> Self {
        let mut browse = Self::default();
        for (key, value) in pairs {
            let stat = Stat::from_name(&value);
            match key {
                "q" => browse.query = value,
                "sort" => browse.sort = Column::from_name(&value).unwrap_or(browse.sort),
                "order" => browse.descending = value == "down",
                "by" => browse.bars = stat.unwrap_or(browse.bars),
                "x" => browse.axes.0 = stat.unwrap_or(browse.axes.0),
                "y" => browse.axes.1 = stat.unwrap_or(browse.axes.1),
                _ => {
                    let bounds = value.split_once("..").and_then(|(low, high)| {
                        Some((number(low, f64::NEG_INFINITY)?, number(high, f64::INFINITY)?))
                    });
                    if let (Some(stat), Some((low, high))) = (Stat::from_name(key), bounds) {
                        browse.set_range(stat, Some((low, high)));
                    }
                }
            }
        }
        browse
    }

    /// The parts of a link's query, those that differ from the default; `escape` makes any text safe in a link.
    pub fn to_query(&self, escape: impl Fn(&str) -> String) -> String {
        let default = Self::default();
        let mut query = String::new();
        let mut add = |key: &str, value: &str| {
            let first = if query.is_empty() { '?' } else { '&' };
            let written = write!(query, "{first}{key}={value}");
            debug_assert!(written.is_ok(), "a string takes any text");
        };
        if !self.query.is_empty() {
            add("q", &escape(&self.query));
        }
        if (self.sort, self.descending) != (default.sort, default.descending) {
            add("sort", self.sort.name());
            add("order", if self.descending { "down" } else { "up" });
        }
        for (stat, low, high) in &self.ranges {
            let bound = |v: &f64| if v.is_finite() { v.to_string() } else { String::new() };
            add(stat.name(), &format!("{}..{}", bound(low), bound(high)));
        }
        if self.bars != default.bars {
            add("by", self.bars.name());
        }
        if self.axes != default.axes {
            add("x", self.axes.0.name());
            add("y", self.axes.1.name());
        }
        query
    }

    /// The bounds of `stat`.
    pub fn range(&self, stat: Stat) -> Option<(f64, f64)> {
        self.ranges.iter().find(|r| r.0 == stat).map(|r| (r.1, r.2))
    }

    /// Bounds `stat`, or frees it.
    pub fn set_range(&mut self, stat: Stat, range: Option<(f64, f64)>) {
        self.ranges.retain(|r| r.0 != stat);
        self.ranges.extend(range.map(|(low, high)| (stat, low, high)));
    }

    /// Sorts by `column`; again, the other way round. Statistics begin with their largest.
    pub fn sort_by(&mut self, column: Column) {
        let begins_high = !matches!(column, Column::Label | Column::Stat(Stat::Index));
        self.descending = if self.sort == column { !self.descending } else { begins_high };
        self.sort = column;
    }
}

/// A bound in a link; nothing stands for `open`. `str::parse` would bring 15 KB of tables; JSON's parser is there.
fn number(text: &str, open: f64) -> Option<f64> {
    if text.is_empty() { Some(open) } else { serde_json::from_str(text).ok() }
}

/// Texts as searches read them: as they are shown, ASCII in lower case.
pub struct Searchable {
    /// By token id.
    tokens: Vec<String>,
    /// By entry of the index, empty where the feature has none.
    labels: Vec<String>,
}

impl Searchable {
    /// Prepares the vocabulary, and the labels of the features in `index`.
    pub fn of(vocab: &Vocab, labels: Option<&Labels>, index: &FeatureIndex) -> Self {
        let label =
            |feature: &u32| labels.and_then(|l| l.of(*feature)).unwrap_or_default().to_ascii_lowercase();
        Self {
            tokens: (0..vocab.len() as u32).map(|id| vocab.text(id).to_ascii_lowercase()).collect(),
            labels: index.features.iter().map(label).collect(),
        }
    }

    /// The place of each entry's label in the alphabet.
    fn ranks(&self) -> Vec<Option<u64>> {
        let mut sorted: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let rank = |label: &String| sorted.partition_point(|other| *other < label.as_str()) as u64;
        self.labels.iter().map(|label| (!label.is_empty()).then(|| rank(label))).collect()
    }
}

/// Entries of `index` that have `text` in a token or the label, or at the beginning of their number, and whose statistics
/// lie within `ranges`.
fn found(index: &FeatureIndex, texts: &Searchable, text: &str, ranges: &[(Stat, f64, f64)]) -> Vec<u32> {
    let query = text.to_ascii_lowercase();
    let number = query.trim();
    let known: Vec<bool> =
        if query.is_empty() { Vec::new() } else { texts.tokens.iter().map(|t| t.contains(&query)).collect() };
    let found = |tokens: &[u32]| tokens.iter().any(|t| known.get(*t as usize).copied().unwrap_or(false));
    let matches = |i: usize| {
        query.is_empty()
            || found(&index.active_tokens[i])
            || found(&index.logit_tokens[i])
            || texts.labels[i].contains(&query)
            || (!number.is_empty() && index.features[i].to_string().starts_with(number))
    };
    let inside =
        |i: usize| ranges.iter().all(|(stat, low, high)| (*low..=*high).contains(&stat.of(index, i)));
    (0..index.len()).filter(|&i| inside(i) && matches(i)).map(|i| i as u32).collect()
}

/// Entries of `index` that `browse` lets through, in its order. Features without a value or a label come last, whatever the
/// direction.
pub fn order(index: &FeatureIndex, texts: &Searchable, browse: &Browse) -> Vec<u32> {
    let ranks = if browse.sort == Column::Label { texts.ranks() } else { Vec::new() };
    let rank = |entry: u32| match browse.sort {
        Column::Stat(stat) => rank_of(stat.of(index, entry as usize)),
        Column::Label => ranks[entry as usize],
    };
    // A number and the entry in one: numbers are compared several times faster than what a sort asks a function for.
    let key = |&entry: &u32| match rank(entry) {
        None => (u64::MAX, entry),
        Some(rank) if browse.descending => (!rank, entry),
        Some(rank) => (rank, entry),
    };
    let mut keys: Vec<(u64, u32)> =
        found(index, texts, &browse.query, &browse.ranges).iter().map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, entry)| entry).collect()
}

/// A number that is in the order of `value`; none for NaN. (IEEE 754: the bits of positive numbers ascend with them, those
/// of negative ones descend.)
fn rank_of(value: f64) -> Option<u64> {
    let bits = value.to_bits();
    let ascending = if value.is_sign_negative() { !bits } else { bits | 1 << 63 };
    (!value.is_nan()).then_some(ascending)
}

/// An axis over the values of a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    log: bool,
    low: f64,
    high: f64,
}

impl Axis {
    /// The axis that holds all values of `stat`.
    pub fn of(index: &FeatureIndex, stat: Stat) -> Self {
        let log = stat.is_log();
        let values =
            (0..index.len()).map(|i| stat.of(index, i)).filter(|v| v.is_finite() && (!log || *v > 0.0));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let scale = |v: f64| if log { v.log10() } else { v };
        if low > high {
            return Self { log, low: 0.0, high: 1.0 };
        }
        let (low, high) = (scale(low), scale(high));
        let margin = if high > low { 0.0 } else { 0.5 };
        Self { log, low: low - margin, high: high + margin }
    }

    /// Where `value` lies, from 0 to 1; `None` off the axis.
    pub fn at(&self, value: f64) -> Option<f64> {
        let scaled = if self.log { value.log10() } else { value };
        let at = (scaled - self.low) / (self.high - self.low);
        (-1e-9..=1.0 + 1e-9).contains(&at).then(|| at.clamp(0.0, 1.0))
    }

    /// The value at `share` of the axis, rounded outwards so that what is drawn there is inside a range.
    pub fn value(&self, share: f64) -> f64 {
        let scaled = self.low + share.clamp(0.0, 1.0) * (self.high - self.low);
        if self.log { power_of_ten(scaled) } else { scaled }
    }

    /// Ticks with their places: powers of ten, or ends and middle.
    pub fn ticks(&self) -> Vec<(f64, f64)> {
        let at = |v: f64| (v, (v - self.low) / (self.high - self.low));
        let scaled: Vec<(f64, f64)> = if self.log {
            let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
            (first..=last).map(|p| at(p.into())).collect()
        } else {
            shared::histogram::ticks(self.low, self.high)
                .into_iter()
                .map(at)
                .filter(|(_, at)| (0.0..=1.0).contains(at))
                .collect()
        };
        let value = |v: f64| if self.log { power_of_ten(v) } else { v };
        scaled.into_iter().map(|(v, at)| (value(v), at)).collect()
    }
}

/// 10 to the power of `exponent`, to 14 digits. `f64::powf` would bring 2 KB; square roots are instructions.
fn power_of_ten(exponent: f64) -> f64 {
    let (mut power, mut root, mut rest) =
        (10f64.powi(exponent.floor() as i32), 10f64, exponent - exponent.floor());
    // The binary digits of what is left: a half is a square root, a quarter the root of it, and so on.
    while rest > 0.0 {
        root = root.sqrt();
        rest *= 2.0;
        if rest >= 1.0 {
            power *= root;
            rest -= 1.0;
        }
    }
    power
}

/// Number of features in each of `n` equal parts of `axis`.
pub fn counts(index: &FeatureIndex, stat: Stat, axis: &Axis, n: usize) -> Vec<u32> {
    let mut counts = vec![0; n];
    for at in (0..index.len()).filter_map(|i| axis.at(stat.of(index, i))) {
        counts[((at * n as f64) as usize).min(n - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> FeatureIndex {
        FeatureIndex {
            features: vec![3, 7, 12],
            density: vec![0.1, 0.0, 0.001],
            max: vec![2.0, 0.0, 5.0],
            mean: vec![1.0, 0.0, 2.0],
            std: vec![1.0, 0.0, 1.0],
            skewness: vec![0.0; 3],
            kurtosis: vec![0.0; 3],
            active_tokens: vec![vec![0], vec![], vec![1]],
            logit_tokens: vec![vec![1], vec![2], vec![2]],
        }
    }

    fn labels() -> Labels {
        Labels {
            features: vec![3, 5, 12],
            texts: ["Quotes", "not here", "a <b>mouse"].map(str::to_owned).into(),
        }
    }

    fn shown(browse: &Browse) -> Vec<u32> {
        let index = index();
        let texts = Searchable::of(&Vocab::of([" The", "cat", "dog"]), Some(&labels()), &index);
        order(&index, &texts, browse).into_iter().map(|i| index.features[i as usize]).collect()
    }

    #[test]
    fn a_query_finds_tokens_and_labels_in_any_case_and_indices_by_their_beginning() {
        let query = |q: &str| shown(&Browse { query: q.to_owned(), ..Browse::default() });
        assert_eq!(query(" the"), [3]);
        assert_eq!(query("CAT"), [3, 12]);
        assert_eq!(query("1"), [12]);
        assert_eq!((query("MOUSE"), query("quotes")), (vec![12], vec![3]));
        assert!(query("not here").is_empty(), "a label of a feature that the bundle lacks");
    }

    #[test]
    fn features_are_sorted_by_label_and_those_without_come_last_either_way() {
        let by = |descending| shown(&Browse { sort: Column::Label, descending, ..Browse::default() });
        assert_eq!((by(false), by(true)), (vec![12, 3, 7], vec![3, 12, 7]));
    }

    #[test]
    fn dead_features_come_last_either_way() {
        let by =
            |descending| shown(&Browse { sort: Column::Stat(Stat::Max), descending, ..Browse::default() });
        assert_eq!(by(true), [12, 3, 7]);
        assert_eq!(by(false), [3, 12, 7]);
    }

    #[test]
    fn a_range_keeps_what_lies_in_it() {
        let mut browse = Browse::default();
        browse.set_range(Stat::Density, Some((0.0005, 0.1)));
        assert_eq!(shown(&browse), [12], "0.1 as f32 is above 0.1");
        browse.set_range(Stat::Density, None);
        assert_eq!(shown(&browse), [3, 7, 12]);
    }

    #[test]
    fn a_view_of_the_table_survives_its_link() {
        let mut browse =
            Browse { query: "a b".to_owned(), axes: (Stat::Mean, Stat::Std), ..Browse::default() };
        browse.set_range(Stat::Density, Some((1e-4, 0.25)));
        browse.set_range(Stat::Max, Some((2.5, f64::INFINITY)));
        for column in [Column::Stat(Stat::Skewness), Column::Label] {
            browse.sort_by(column);
            let query = browse.to_query(|t| t.replace(' ', "%20"));
            let pairs = query[1..].split('&').filter_map(|p| p.split_once('='));
            assert_eq!(Browse::from_pairs(pairs.map(|(k, v)| (k, v.replace("%20", " ")))), browse);
        }
        assert_eq!(Browse::default().to_query(str::to_owned), "");
    }

    #[test]
    fn powers_of_ten_are_those_of_the_library() {
        for i in -90..=90 {
            let exponent = f64::from(i) / 7.0;
            assert!((power_of_ten(exponent) / 10f64.powf(exponent) - 1.0).abs() < 1e-13, "{exponent}");
        }
    }

    #[test]
    fn an_axis_places_its_ends_and_counts_every_live_feature() {
        let index = index();
        let axis = Axis::of(&index, Stat::Density);
        assert_eq!(counts(&index, Stat::Density, &axis, 2), [1, 1]);
        assert!((axis.value(axis.at(0.01).unwrap()) - 0.01).abs() < 1e-9);
        assert_eq!(axis.ticks().len(), 2);
        let one = FeatureIndex {
            features: vec![0],
            density: vec![0.0],
            max: vec![0.0],
            mean: vec![0.0],
            std: vec![0.0],
            skewness: vec![0.0],
            kurtosis: vec![0.0],
            active_tokens: vec![vec![]],
            logit_tokens: vec![vec![]],
        };
        assert_eq!(counts(&one, Stat::Max, &Axis::of(&one, Stat::Max), 4), [0; 4]);
    }
}
