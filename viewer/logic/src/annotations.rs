//! The reader's annotations: stars, labels, notes, ratings and lists. `www/annotations.js` keeps them in the browser and hands them
//! over as text.

use std::collections::BTreeMap;

use crate::query::{Comparison, Field, Matching};

/// What the reader wrote at a feature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotation {
    /// Whether it is starred.
    pub starred: bool,
    /// From 1 to 5; 0 = none.
    pub rating: u8,
    /// The reader's own label; empty = none.
    pub label: String,
    /// A longer text; empty = none.
    pub note: String,
    /// Lists that the feature is on.
    pub lists: Vec<String>,
}

/// The annotations of features.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations(BTreeMap<u32, Annotation>);

impl Annotations {
    /// Reads annotations: features between U+001E, their members between U+001F: feature, 1 where starred, rating, label, note,
    /// lists. What cannot be read is left out.
    pub fn parse(text: &str) -> Self {
        let mark = |record: &str| {
            let mut members = record.split('\x1f');
            let feature = members.next()?.parse().ok()?;
            let mut next = || members.next().unwrap_or_default().to_owned();
            let mark = Annotation {
                starred: next() == "1",
                rating: next().parse().unwrap_or(0),
                label: next(),
                note: next(),
                lists: members.filter(|list| !list.is_empty()).map(str::to_owned).collect(),
            };
            Some((feature, mark))
        };
        Self(text.split('\x1e').filter_map(mark).collect())
    }

    /// The annotation of `feature`.
    pub fn of(&self, feature: u32) -> Option<&Annotation> {
        self.0.get(&feature)
    }

    /// Annotated features in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Annotation)> {
        self.0.iter().map(|(feature, mark)| (*feature, mark))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Annotation {
    /// Whether a text of the mark matches `text`, which is in lower case.
    pub(crate) fn matches(&self, field: Field, matching: Matching, text: &str) -> bool {
        let matches = |of: &str| match matching {
            Matching::Contains => of.to_ascii_lowercase().contains(text),
            Matching::Is => of.to_ascii_lowercase() == text,
        };
        match field {
            Field::Label => matches(&self.label),
            Field::Note => matches(&self.note),
            Field::List => self.lists.iter().any(|list| matches(list)),
            Field::Anything => matches(&self.label) || matches(&self.note),
            Field::Top | Field::Logits | Field::Token => false,
        }
    }

    pub(crate) fn is_rated(&self, comparison: Comparison, than: f64) -> bool {
        self.rating > 0 && comparison.holds(self.rating.into(), than)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_and_what_is_none_is_left_out() {
        let text = "4\x1f1\x1f3\x1fquotes\x1fwhy\x1fto read\x1fodd\x1e986\x1f\x1f\x1f\x1f\x1enonsense\x1e";
        let annotations = Annotations::parse(text);
        let lists = vec!["to read".to_owned(), "odd".to_owned()];
        let mark = Annotation {
            starred: true,
            rating: 3,
            label: "quotes".to_owned(),
            note: "why".to_owned(),
            lists,
        };
        assert_eq!(
            (annotations.of(4), annotations.of(986), annotations.of(5)),
            (Some(&mark), Some(&Annotation::default()), None)
        );
        assert_eq!(annotations.iter().count(), 2);
    }
}
