//! The largest few of many, without sorting the many.

/// Indices of the `n` values for which `before` holds most, in that order; equal values keep their order.
///
/// NaN never comes before anything.
fn best(values: &[f32], n: usize, before: impl Fn(f32, f32) -> bool) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::with_capacity(n + 1);
    for (i, &v) in values.iter().enumerate() {
        if found.len() == n && !found.last().is_some_and(|&last| before(v, values[last])) || v.is_nan() {
            continue;
        }
        let at = found.partition_point(|&k| !before(v, values[k]));
        found.insert(at, i);
        found.truncate(n);
    }
    found
}

/// Indices of the `n` largest values, largest first.
pub fn largest(values: &[f32], n: usize) -> Vec<usize> {
    best(values, n, |a, b| a > b)
}

/// Indices of the `n` smallest values, smallest first.
pub fn smallest(values: &[f32], n: usize) -> Vec<usize> {
    best(values, n, |a, b| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn largest_and_smallest_agree_with_a_stable_sort(
            values in prop::collection::vec((-20i8..20).prop_map(f32::from), 0..200), n in 0usize..30,
        ) {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            prop_assert_eq!(largest(&values, n), order[..n.min(values.len())].to_vec());
            order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
            prop_assert_eq!(smallest(&values, n), order[..n.min(values.len())].to_vec());
        }
    }
}
