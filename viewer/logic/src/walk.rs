//! Going from feature to feature through what the table found, in its order, rather than through the whole bundle.

use std::sync::Arc;

use shared::index::FeatureIndex;

use crate::browse::{Browse, Column, Stat};

/// What the table found when the reader left it. Cheap to clone.
#[derive(Clone)]
pub struct Walk {
    /// What was asked for.
    pub browse: Browse,
    order: Arc<Vec<u32>>,
    index: Arc<FeatureIndex>,
}

impl Walk {
    /// The entries `order` of `index`, which the table shows for `browse`; `None` where these are all, by their index.
    pub fn of(browse: Browse, order: Arc<Vec<u32>>, index: Arc<FeatureIndex>) -> Option<Self> {
        let all = browse.query.is_empty() && browse.ranges.is_empty();
        let by_index = browse.sort == Column::Stat(Stat::Index) && !browse.descending;
        (!(all && by_index)).then_some(Self { browse, order, index })
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.order.len()
    }

    /// How many features stand before `feature`; `None` where it was not found.
    pub fn rank(&self, feature: u32) -> Option<usize> {
        let entry = self.index.features.binary_search(&feature).ok()? as u32;
        self.order.iter().position(|e| *e == entry)
    }

    /// The feature that has `n` others before it.
    pub fn nth(&self, n: usize) -> Option<u32> {
        self.index.features.get(*self.order.get(n)? as usize).copied()
    }

    /// The feature `by` steps after `feature`, going round at the ends.
    pub fn neighbour(&self, feature: u32, by: i64) -> Option<u32> {
        let to = self.rank(feature)? as i64 + by;
        self.nth(to.rem_euclid(self.n_features() as i64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(browse: Browse) -> Option<Walk> {
        let index = FeatureIndex { features: vec![2, 3, 7, 9], ..FeatureIndex::default() };
        Walk::of(browse, Arc::new(vec![3, 0, 2]), Arc::new(index))
    }

    #[test]
    fn it_leads_through_what_was_found_and_round_its_ends() {
        let walk = walk(Browse { query: "x".to_owned(), ..Browse::default() }).unwrap();
        assert_eq!(
            (walk.neighbour(9, 1), walk.neighbour(2, 1), walk.neighbour(7, 1)),
            (Some(2), Some(7), Some(9))
        );
        assert_eq!((walk.neighbour(9, -1), walk.rank(7)), (Some(7), Some(2)));
        assert_eq!(walk.neighbour(3, 1), None, "a feature that was not found");
    }

    #[test]
    fn all_features_by_index_are_no_walk_but_all_by_another_column_are() {
        assert!(walk(Browse::default()).is_none());
        let mut by_max = Browse::default();
        by_max.sort_by(Column::Stat(Stat::Max));
        assert!(walk(by_max).is_some());
    }
}
