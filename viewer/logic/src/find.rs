//! Which features the table shows, in which order.
//!
//! A text query is looked up in the vocabulary first, so that a search over the tokens of 65,536 features compares
//! numbers, not strings.

use shared::{index::FeatureIndex, labels::Labels, vocab::Vocab};

use crate::browse::{Browse, Column, Stat};

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
            min: Vec::new(),
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
}
