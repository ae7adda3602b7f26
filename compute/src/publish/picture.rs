//! A picture of how often features are active, drawn of their table.

use std::fmt::Write as _;

use shared::index::FeatureIndex;

/// Rows of the picture, at most: more SAEs than these are left out.
const MAX_ROWS: usize = 8;
const WIDTH: f64 = 640.0;
const ROW_HEIGHT: f64 = 110.0;
const LEFT: f64 = 16.0;
const BINS: usize = 60;
/// The axis, as powers of ten.
const AXIS: (i32, i32) = (-6, 0);

/// The histogram of log10 of density of each SAE, below one another on one axis, as SVG that fits light and dark.
pub fn densities(names: &[&str], indexes: &[FeatureIndex]) -> String {
    let n_rows = indexes.len().min(MAX_ROWS);
    let height = n_rows as f64 * ROW_HEIGHT + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text {{ fill: #555 }} .bar {{ fill: #6f7f9c }} .line {{ stroke: #9998 }} \
         @media (prefers-color-scheme: dark) {{ text {{ fill: #bbb }} .bar {{ fill: #8fa0c0 }} }}</style>\n"
    );
    for (row, (name, index)) in names.iter().zip(indexes).take(n_rows).enumerate() {
        let base = (row + 1) as f64 * ROW_HEIGHT;
        let counts = histogram(&index.density);
        let highest = counts.iter().copied().max().unwrap_or_default().max(1) as f64;
        let width = (WIDTH - 2.0 * LEFT) / BINS as f64;
        put(
            &mut svg,
            &format!("<text x=\"{LEFT}\" y=\"{}\">{}</text>", base - ROW_HEIGHT + 18.0, escaped(name)),
        );
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let tall = (ROW_HEIGHT - 34.0) * *count as f64 / highest;
            put(
                &mut svg,
                &format!(
                    "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                    LEFT + i as f64 * width,
                    base - tall,
                    width - 1.0
                ),
            );
        }
        put(
            &mut svg,
            &format!(
                "<line class=\"line\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>",
                WIDTH - LEFT
            ),
        );
    }
    for power in AXIS.0..=AXIS.1 {
        let share = f64::from(power - AXIS.0) / f64::from(AXIS.1 - AXIS.0);
        let x = LEFT + share * (WIDTH - 2.0 * LEFT);
        let anchor = if power == AXIS.0 {
            "start"
        } else if power == AXIS.1 {
            "end"
        } else {
            "middle"
        };
        let label = match power {
            0 => "1".to_owned(),
            power => format!("10<tspan dy=\"-4\" font-size=\"9\">{power}</tspan>"),
        };
        put(
            &mut svg,
            &format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>", height - 18.0),
        );
    }
    let middle = WIDTH / 2.0;
    put(
        &mut svg,
        &format!(
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">density: share of positions at which a feature is active</text>",
            height - 3.0
        ),
    );
    svg + "</svg>\n"
}

/// How many features lie in each bin; those that are never active in none.
fn histogram(densities: &[f32]) -> [usize; BINS] {
    let mut counts = [0; BINS];
    for density in densities.iter().filter(|density| **density > 0.0) {
        let share = (f64::from(*density).log10() - f64::from(AXIS.0)) / f64::from(AXIS.1 - AXIS.0);
        let bin = (share * BINS as f64).clamp(0.0, BINS as f64 - 1.0) as usize;
        counts[bin] += 1;
    }
    counts
}

fn put(svg: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(svg, "{line}").unwrap_or_default();
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_active_feature_is_in_a_bin() {
        let counts = histogram(&[0.0, 1e-9, 1e-6, 0.001, 1.0, f32::NAN]);
        assert_eq!(counts.iter().sum::<usize>(), 4);
        assert_eq!((counts[0], counts[30], counts[BINS - 1]), (2, 1, 1));
    }
}
