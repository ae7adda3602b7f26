//! Numbers and names that other programs' files hold as text.

use shared::{
    feature::{AlignedNeuron, Correlated},
    histogram::Histogram,
};

/// How far the end of the bars may be off: some files have their centres with three decimals.
const ROUNDING: f64 = 2e-3;

/// A histogram of bars at `centres`; none where there is no bar. Where all values are equal the bars have no width: the
/// bins then go from 0 to the value.
pub fn histogram(centres: &[f64], heights: &[u64]) -> Option<Histogram> {
    let (first, last) = (*centres.first()?, *centres.last()?);
    if centres.len() != heights.len() {
        return None;
    }
    let half = (last - first) / (centres.len().max(2) - 1) as f64 / 2.0;
    if half > 0.0 {
        let (min, max) = ((first - half) as f32, (last + half) as f32);
        return (min < max).then(|| Histogram { min, max, counts: heights.to_vec() });
    }
    let mut counts = vec![0; heights.len()];
    *(if first > 0.0 { counts.last_mut()? } else { counts.first_mut()? }) = heights.iter().sum();
    let (min, max) = (first.min(0.0) as f32, first.max(0.0) as f32);
    (min < max).then_some(Histogram { min, max, counts })
}

/// The largest activation, of those that examples show and the end of the bars, which is the largest of all but rounded; NaN
/// where neither is known. Programs leave out the ends of rows, so no example may show it.
pub fn largest(shown: impl Iterator<Item = f64>, bars: Option<&Histogram>) -> f64 {
    let shown = shown.fold(f64::NAN, f64::max);
    let end = bars.map(|bars| f64::from(bars.max));
    end.filter(|end| shown.is_nan() || *end > shown + ROUNDING).unwrap_or(shown)
}

/// The neuron alignment table of three columns; none where the first is empty.
pub fn aligned(neurons: &[u32], values: &[f64], shares: &[f64]) -> Option<Vec<AlignedNeuron>> {
    let rows = neurons.iter().zip(values).zip(shares);
    let row = |((neuron, value), share): ((&u32, &f64), &f64)| AlignedNeuron {
        neuron: *neuron,
        value: *value as f32,
        l1_share: *share as f32,
    };
    (!neurons.is_empty()).then(|| rows.map(row).collect())
}

/// A table of correlations of three columns; none where the first is empty.
pub fn correlated(indices: &[u32], pearson: &[f64], cosine: &[f64]) -> Option<Vec<Correlated>> {
    let rows = indices.iter().zip(pearson).zip(cosine);
    let row = |((index, pearson), cosine): ((&u32, &f64), &f64)| Correlated {
        index: *index,
        pearson: *pearson as f32,
        cosine: *cosine as f32,
    };
    (!indices.is_empty()).then(|| rows.map(row).collect())
}

/// The numbers in a title such as `INTERVAL 0.837 - 0.929<br>CONTAINS 0.002%`, markup left out.
pub fn numbers(title: &str) -> Vec<f64> {
    let mut plain = String::new();
    let mut inside = false;
    for c in title.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    let words = plain.split(|c: char| c.is_whitespace() || matches!(c, '%' | '=' | ','));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Positions of the corpus, from those at which a feature is active and their share.
pub fn n_positions(n_active: u64, density: f64) -> Option<u64> {
    (density > 0.0).then(|| (n_active as f64 / density).round() as u64)
}

/// Text of HTML, whose tokens programs escape.
pub fn unescaped(text: &str) -> String {
    const NAMED: [(&str, &str); 7] = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        // The last: what it makes is no escape.
        ("&amp;", "&"),
    ];
    if !text.contains('&') {
        return text.to_owned();
    }
    NAMED.iter().fold(text.to_owned(), |text, (name, stands_for)| text.replace(name, stands_for))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_hold_their_numbers() {
        assert_eq!(numbers("INTERVAL 0.837 - 0.929<br>CONTAINS 0.002%"), [0.837, 0.929, 0.002]);
        assert_eq!(
            numbers("INTERVAL -0.1 - 1.007<br><span style='color:#666'>CONTAINS 3.846%</span>"),
            [-0.1, 1.007, 3.846]
        );
        assert_eq!(numbers("TOP ACTIVATIONS<br>MAX = 0.929"), [0.929]);
    }

    #[test]
    fn bars_without_width_begin_at_zero() {
        let of = |value: f64| histogram(&[value; 3], &[1, 0, 1]).map(|h| (h.min, h.max, h.counts));
        assert_eq!(of(2.0), Some((0.0, 2.0, vec![0, 0, 2])));
        assert_eq!(of(-2.0), Some((-2.0, 0.0, vec![2, 0, 0])));
        assert_eq!(of(0.0), None);
        let whole = histogram(&[0.5, 1.5], &[3, 4]).unwrap();
        assert_eq!((whole.min, whole.max, whole.counts), (0.0, 2.0, vec![3, 4]));
    }

    #[test]
    fn escapes_are_text_again() {
        assert_eq!(unescaped("&lt;a&gt;&nbsp;&amp;lt;"), "<a> &lt;");
    }
}
