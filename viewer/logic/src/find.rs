//! Which features the table shows, in which order.
//!
//! A text is looked up in the vocabulary first, so that a search over the tokens of a million features compares numbers,
//! not strings. Sorting and filtering are apart: a changed filter keeps the order.

use shared::{index::FeatureIndex, labels::Labels, vocab::Vocab};

use crate::{
    annotations::Annotations,
    browse::{Browse, Column, Stat},
    query::{Comparison, Field, Flag, Matching, Query},
};

/// Texts as searches read them: as they are shown, ASCII in lower case.
pub struct SearchTexts {
    /// By token id.
    tokens: Vec<String>,
    /// Entries of the index that have a label, ascending, with it.
    labels: Vec<(u32, String)>,
}

impl SearchTexts {
    /// Prepares the vocabulary, and the labels of the features in `index`.
    pub fn of(vocab: &Vocab, labels: Option<&Labels>, index: &FeatureIndex) -> Self {
        let features = labels.map_or(&[][..], |labels| &labels.features);
        let label = |feature: &u32| {
            let entry = index.features.binary_search(feature).ok()?;
            Some((entry as u32, labels?.of(*feature)?.to_ascii_lowercase()))
        };
        Self {
            tokens: (0..vocab.len() as u32).map(|id| vocab.text(id).to_ascii_lowercase()).collect(),
            labels: features.iter().filter_map(label).collect(),
        }
    }

    /// The token ids whose text matches.
    fn known(&self, matching: Matching, text: &str) -> Vec<bool> {
        self.tokens.iter().map(|token| matches(token, matching, text)).collect()
    }

    /// Where each entry's label comes in the alphabet; `u32::MAX` where it has none.
    fn ranks(&self, n: usize) -> Vec<u32> {
        let mut sorted: Vec<&str> = self.labels.iter().map(|(_, label)| label.as_str()).collect();
        sorted.sort_unstable();
        let mut ranks = vec![u32::MAX; n];
        for (entry, label) in &self.labels {
            ranks[*entry as usize] = sorted.partition_point(|other| *other < label.as_str()) as u32;
        }
        ranks
    }
}

fn matches(text: &str, matching: Matching, wanted: &str) -> bool {
    match matching {
        Matching::Contains => text.contains(wanted),
        Matching::Is => text == wanted,
    }
}

/// A query made ready for an index.
enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Stat(Stat, Comparison, f64),
    /// By entry.
    Entries(Vec<bool>),
    /// One of the entry's tokens is known.
    Tokens {
        known: Vec<bool>,
        top: bool,
        logits: bool,
    },
    /// The index begins with these digits.
    Begins(u32, u32),
    Dead,
}

impl Test {
    fn of(query: &Query, index: &FeatureIndex, texts: &SearchTexts, annotations: &Annotations) -> Self {
        let of = |query: &Query| Self::of(query, index, texts, annotations);
        match query {
            Query::All(parts) => Self::All(parts.iter().map(of).collect()),
            Query::Any(parts) => Self::Any(parts.iter().map(of).collect()),
            Query::Not(part) => Self::Not(Box::new(of(part))),
            Query::Stat(stat, comparison, value) => Self::Stat(*stat, *comparison, *value),
            Query::Rating(comparison, value) => {
                Self::marked(index, annotations, |mark| mark.is_rated(*comparison, *value))
            }
            Query::Flag(Flag::Dead) => Self::Dead,
            Query::Flag(Flag::Starred) => Self::marked(index, annotations, |mark| mark.starred),
            Query::Flag(Flag::Noted) => Self::marked(index, annotations, |mark| !mark.note.is_empty()),
            Query::Flag(Flag::Labelled) => {
                let own = Self::marked(index, annotations, |mark| !mark.label.is_empty());
                Self::Any(vec![Self::labelled(index, texts, |_| true), own])
            }
            Query::Text(field, matching, text) => {
                Self::text((*field, *matching, text), index, texts, annotations)
            }
        }
    }

    fn text(
        (field, matching, text): (Field, Matching, &str),
        index: &FeatureIndex,
        texts: &SearchTexts,
        annotations: &Annotations,
    ) -> Self {
        let tokens = |top, logits| Self::Tokens { known: texts.known(matching, text), top, logits };
        let label = || Self::labelled(index, texts, |label| matches(label, matching, text));
        let own = || Self::marked(index, annotations, |mark| mark.matches(field, matching, text));
        match field {
            Field::Top => tokens(true, false),
            Field::Logits => tokens(false, true),
            Field::Token => tokens(true, true),
            Field::Label => Self::Any(vec![label(), own()]),
            Field::Note | Field::List => own(),
            Field::Anything => {
                let mut any = vec![tokens(true, true), label(), own()];
                let digits = text.trim();
                if let Ok(number) = digits.parse::<u32>()
                    && number.to_string() == digits
                {
                    any.push(Self::Begins(number, digits.len() as u32));
                }
                Self::Any(any)
            }
        }
    }

    fn labelled(index: &FeatureIndex, texts: &SearchTexts, holds: impl Fn(&str) -> bool) -> Self {
        let mut entries = vec![false; index.len()];
        for (entry, label) in &texts.labels {
            entries[*entry as usize] = holds(label);
        }
        Self::Entries(entries)
    }

    fn marked(
        index: &FeatureIndex,
        annotations: &Annotations,
        holds: impl Fn(&crate::annotations::Annotation) -> bool,
    ) -> Self {
        let mut entries = vec![false; index.len()];
        for (feature, mark) in annotations.iter() {
            if let Ok(entry) = index.features.binary_search(&feature) {
                entries[entry] = holds(mark);
            }
        }
        Self::Entries(entries)
    }

    fn holds(&self, index: &FeatureIndex, i: usize) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(index, i)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(index, i)),
            Self::Not(part) => !part.holds(index, i),
            Self::Stat(stat, comparison, value) => comparison.holds(stat.of(index, i), *value),
            Self::Entries(entries) => entries[i],
            Self::Tokens { known, top, logits } => {
                let any =
                    |tokens: &[u32]| tokens.iter().any(|t| known.get(*t as usize).copied().unwrap_or(false));
                (*top && any(&index.active_tokens[i])) || (*logits && any(&index.logit_tokens[i]))
            }
            Self::Begins(number, n_digits) => begins(index.features[i], *number, *n_digits),
            Self::Dead => index.density[i] <= 0.0,
        }
    }
}

/// Whether the decimal digits of `feature` begin with those of `number`, which has `n_digits`.
fn begins(mut feature: u32, number: u32, n_digits: u32) -> bool {
    while feature.checked_ilog10().unwrap_or(0) >= n_digits {
        feature /= 10;
    }
    feature == number
}

/// All entries of `index` in the order of `browse`. Features without a value or a label come last, whatever the direction.
pub fn sorted(index: &FeatureIndex, texts: &SearchTexts, browse: &Browse) -> Vec<u32> {
    let mut keys: Vec<u32> = match browse.sort {
        Column::Label => texts.ranks(index.len()),
        Column::Stat(Stat::Index) => index.features.clone(),
        Column::Stat(stat) => (0..index.len()).map(|i| rank_of(stat.of(index, i) as f32)).collect(),
    };
    if browse.descending {
        for key in keys.iter_mut().filter(|key| **key != u32::MAX) {
            *key = u32::MAX - 1 - *key;
        }
    }
    order_of(&keys)
}

/// The entries of `sorted` that `browse` lets through, in their order.
pub fn filtered(
    sorted: &[u32],
    index: &FeatureIndex,
    texts: &SearchTexts,
    annotations: &Annotations,
    browse: &Browse,
) -> Vec<u32> {
    let test = Query::parse(&browse.query).ok().flatten().map(|q| Test::of(&q, index, texts, annotations));
    let ranges = &browse.ranges;
    let inside =
        |i: usize| ranges.iter().all(|(stat, low, high)| (*low..=*high).contains(&stat.of(index, i)));
    let passes = |i: usize| inside(i) && test.as_ref().is_none_or(|test| test.holds(index, i));
    if test.is_none() && ranges.is_empty() {
        return sorted.to_vec();
    }
    sorted.iter().copied().filter(|entry| passes(*entry as usize)).collect()
}

/// What of the texts that are shown was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hits {
    /// Token ids, ascending.
    tokens: Vec<u32>,
    /// Parts of labels, in lower case.
    labels: Vec<String>,
}

impl Hits {
    /// What the query of `browse` looks for.
    pub fn of(browse: &Browse, texts: &SearchTexts) -> Self {
        let mut hits = Self::default();
        if let Ok(Some(query)) = Query::parse(&browse.query) {
            hits.add(&query, texts);
        }
        hits.tokens.sort_unstable();
        hits
    }

    fn add(&mut self, query: &Query, texts: &SearchTexts) {
        match query {
            Query::All(parts) | Query::Any(parts) => parts.iter().for_each(|part| self.add(part, texts)),
            Query::Text(field, matching, text) => {
                if matches!(field, Field::Anything | Field::Label) {
                    self.labels.push(text.clone());
                }
                if matches!(field, Field::Anything | Field::Token | Field::Top | Field::Logits) {
                    let known = texts.known(*matching, text).into_iter().zip(0u32..);
                    self.tokens.extend(known.filter(|(known, _)| *known).map(|(_, id)| id));
                }
            }
            Query::Not(_) | Query::Stat(..) | Query::Rating(..) | Query::Flag(_) => {}
        }
    }

    /// Whether the token was looked for.
    pub fn has_token(&self, token_id: u32) -> bool {
        self.tokens.binary_search(&token_id).is_ok()
    }

    /// Where the first part of `label` is that was looked for.
    pub fn in_label(&self, label: &str) -> Option<std::ops::Range<usize>> {
        let lower = label.to_ascii_lowercase();
        self.labels.iter().find_map(|part| lower.find(part.as_str()).map(|start| start..start + part.len()))
    }
}

/// A number that is in the order of `value`, less than `u32::MAX`, which stands for NaN. (IEEE 754: the bits of positive
/// numbers ascend with them, those of negative ones descend.)
fn rank_of(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() {
        u32::MAX
    } else if value.is_sign_negative() {
        !bits
    } else {
        bits | 1 << 31
    }
}

/// The indices of `keys` in ascending order of their keys, equal ones in their own order: by the lower half of the bits, then
/// by the upper. A million keys take a fifth of the time of a sort that compares.
fn order_of(keys: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    let mut next = vec![0u32; keys.len()];
    for shift in [0, 16] {
        let digit = |entry: u32| (keys[entry as usize] >> shift & 0xffff) as usize;
        let mut starts = vec![0u32; 1 << 16];
        for &entry in &order {
            starts[digit(entry)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &entry in &order {
            let start = &mut starts[digit(entry)];
            next[*start as usize] = entry;
            *start += 1;
        }
        std::mem::swap(&mut order, &mut next);
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn annotations() -> Annotations {
        Annotations::parse("7\x1f1\x1f4\x1fMine\x1fOdd one\x1fto read\x1e12\x1f\x1f2\x1f\x1f\x1f")
    }

    fn shown(browse: &Browse) -> Vec<u32> {
        let index = index();
        let texts = SearchTexts::of(&Vocab::of([" The", "cat", "dog"]), Some(&labels()), &index);
        let order = filtered(&sorted(&index, &texts, browse), &index, &texts, &annotations(), browse);
        order.into_iter().map(|i| index.features[i as usize]).collect()
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
    fn conditions_find_by_statistics_tokens_labels_and_the_readers_marks() {
        for (query, found) in [
            ("density<0.01", &[7, 12][..]),
            ("density>=0.1 | max=5", &[3, 12]),
            ("!dead", &[3, 12]),
            ("index=7 & dead", &[7]),
            ("top~ THE", &[3]),
            ("top=\" the\"", &[3]),
            ("top=the", &[]),
            ("logits~dog", &[7, 12]),
            ("token~cat", &[3, 12]),
            ("label~quot", &[3]),
            ("label=mine", &[7]),
            ("labelled", &[3, 7, 12]),
            ("starred", &[7]),
            ("noted & note~odd", &[7]),
            ("list=\"to read\"", &[7]),
            ("rating<=2", &[12]),
            ("mine", &[7]),
            ("density<", &[3, 7, 12]),
        ] {
            assert_eq!(shown(&Browse { query: query.to_owned(), ..Browse::default() }), found, "{query}");
        }
    }

    #[test]
    fn what_was_looked_for_is_marked_but_not_what_was_excluded() {
        let texts = SearchTexts::of(&Vocab::of([" The", "cat", "dog"]), Some(&labels()), &index());
        let hits = |query: &str| Hits::of(&Browse { query: query.to_owned(), ..Browse::default() }, &texts);
        let tokens = |hits: &Hits| (0..3).filter(|id| hits.has_token(*id)).collect::<Vec<u32>>();
        assert_eq!(tokens(&hits("t")), [0, 1]);
        assert_eq!(tokens(&hits("top~dog & !top~cat")), [2]);
        assert_eq!(hits("MOUSE").in_label("a <b>Mouse"), Some(5..10));
        assert_eq!(hits("dead & token~mouse").in_label("a mouse"), None);
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_a_sort_that_compares_orders_them(keys in prop::collection::vec(any::<u32>(), 0..300)) {
            let mut expected: Vec<u32> = (0..keys.len() as u32).collect();
            expected.sort_by_key(|entry| keys[*entry as usize]);
            prop_assert_eq!(order_of(&keys), expected);
        }

        #[test]
        fn ranks_order_numbers(a in any::<f32>(), b in any::<f32>()) {
            if !a.is_nan() && !b.is_nan() && (a < b || b < a) {
                prop_assert_eq!(rank_of(a) < rank_of(b), a < b);
            }
        }

        #[test]
        fn an_index_begins_with_its_first_digits(feature in any::<u32>(), number in any::<u32>()) {
            let digits = number.to_string();
            let expected = feature.to_string().starts_with(&digits);
            prop_assert_eq!(begins(feature, number, digits.len() as u32), expected);
        }
    }
}
