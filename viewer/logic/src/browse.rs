//! What the reader chose to see of the table of features, and how a link says it.

use std::fmt::Write as _;

use shared::index::FeatureIndex;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
