//! Numbers as the page prints them.

/// `0.00765` → `0.765%`.
pub fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}%", share * 100.0)
}

/// A share of all positions: `0.00765` → `0.765%`, and of rare ones two digits, `3e-6` → `0.00030%`.
pub fn share(share: f64) -> String {
    let percents = share * 100.0;
    if percents <= 0.0 {
        return "0%".to_owned();
    }
    let magnitude = percents.log10().floor() as i32;
    format!("{percents:.*}%", (1 - magnitude).clamp(3, 12) as usize)
}

/// `1.25` → `+1.250` with three decimals.
pub fn signed(value: f64, decimals: usize) -> String {
    format!("{value:+.decimals$}")
}

/// `131072` → `131,072`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1` → `1 position`.
pub fn positions(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "position" } else { "positions" })
}

/// `1500` → `1.5k`: for the narrow axis of counts.
pub fn short_count(n: u64) -> String {
    let (unit, suffix) = match n {
        0..1_000 => return n.to_string(),
        1_000..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    format!("{}{suffix}", trimmed(n as f64 / unit))
}

/// At most six decimals, without trailing zeros: `13.300` → `13.3`.
pub fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Four significant digits, whatever the scale; for statistics whose unit is the feature's own.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return trimmed(value);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if (-4..6).contains(&magnitude) {
        format!("{value:.*}", (3 - magnitude).clamp(0, 7) as usize)
    } else {
        format!("{value:.2e}")
    }
}

/// The first words of a text, in one line of some thirty characters.
pub fn first_words(text: &str) -> String {
    const LONGEST: usize = 32;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let cut: String = line.chars().take(LONGEST - 2).collect();
    // At a word's end, unless the only word is longer than the line.
    let cut = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{cut} …")
}

/// `240000` → `240 KB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.0} KB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(7), "7");
        assert_eq!(count(131_072), "131,072");
        assert_eq!(count(1_000_000), "1,000,000");
    }

    #[test]
    fn short_counts_keep_one_suffix() {
        assert_eq!(short_count(999), "999");
        assert_eq!(short_count(1500), "1.5k");
        assert_eq!(short_count(20_000), "20k");
        assert_eq!(short_count(2_500_000), "2.5M");
    }

    #[test]
    fn statistics_keep_four_digits_at_any_scale() {
        assert_eq!(significant(4.58612), "4.586");
        assert_eq!(significant(-0.001_234_56), "-0.001235");
        assert_eq!(significant(12_345.6), "12346");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(1.5e-7), "1.50e-7");
    }

    #[test]
    fn percent_and_sign_are_as_sae_vis_prints_them() {
        assert_eq!(percent(0.007_654, 3), "0.765%");
        assert_eq!(signed(0.194, 3), "+0.194");
        assert_eq!(signed(-2.0, 2), "-2.00");
    }

    #[test]
    fn first_words_end_at_a_word_and_fit_a_line() {
        assert_eq!(first_words("def __init__\n(self)"), "def __init__ (self)");
        assert_eq!(first_words("When you read this you will have to wait"), "When you read this you will …");
        assert_eq!(first_words(&"x".repeat(50)), format!("{} …", "x".repeat(30)));
    }

    #[test]
    fn a_share_of_few_positions_is_never_shown_as_none() {
        assert_eq!(share(0.007_654), "0.765%");
        assert_eq!(share(2.0 / 655_360.0), "0.00031%");
        assert_eq!(share(1.5e-9), "0.00000015%");
        assert_eq!(share(0.0), "0%");
    }

    #[test]
    fn trimming_never_shows_a_negative_zero() {
        assert_eq!(trimmed(-0.000_000_01), "0");
        assert_eq!(trimmed(13.3), "13.3");
    }
}
