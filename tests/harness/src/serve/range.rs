//! The `Range` header, RFC 9110 section 14: one byte range, or the whole file.

/// Which bytes to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// All of them: no range was asked for, or one that a server may ignore.
    Whole,
    /// Bytes `start..end`, not empty.
    Part {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// The range lies outside the file.
    Outside,
}

/// Reads a `Range` header for a file of `n_bytes`.
///
/// A header that is malformed, or that asks for several ranges, is ignored, as the standard allows.
pub(super) fn parse_range(header: Option<&str>, n_bytes: u64) -> Span {
    let Some((first, last)) =
        header.and_then(|value| value.trim().strip_prefix("bytes=")).and_then(|range| range.split_once('-'))
    else {
        return Span::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        (Number::Is(first), Number::Is(last)) if first <= last => (first, last.saturating_add(1)),
        (Number::Is(first), Number::Absent) => (first, n_bytes),
        (Number::Absent, Number::Is(n_last)) => (n_bytes.saturating_sub(n_last), n_bytes),
        _ => return Span::Whole,
    };
    let end = end.min(n_bytes);
    if start < end { Span::Part { start, end } } else { Span::Outside }
}

/// One side of a range.
enum Number {
    Is(u64),
    Absent,
    Wrong,
}

fn number(text: &str) -> Number {
    match text.trim() {
        "" => Number::Absent,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_or(Number::Wrong, Number::Is)
        }
        _ => Number::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_a_part() {
        assert_eq!(parse_range(Some("bytes=2-5"), 10), Span::Part { start: 2, end: 6 });
        assert_eq!(parse_range(Some("bytes=7-"), 10), Span::Part { start: 7, end: 10 });
        assert_eq!(parse_range(Some("bytes=-3"), 10), Span::Part { start: 7, end: 10 });
        assert_eq!(parse_range(Some("bytes=-30"), 10), Span::Part { start: 0, end: 10 });
        assert_eq!(parse_range(Some("bytes=8-4000"), 10), Span::Part { start: 8, end: 10 });
    }

    #[test]
    fn a_range_past_the_end_is_outside() {
        assert_eq!(parse_range(Some("bytes=10-"), 10), Span::Outside);
        assert_eq!(parse_range(Some("bytes=-0"), 10), Span::Outside);
        assert_eq!(parse_range(Some("bytes=0-0"), 0), Span::Outside);
    }

    #[test]
    fn anything_else_is_ignored() {
        for value in ["bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=+1-2", ""] {
            assert_eq!(parse_range(Some(value), 10), Span::Whole, "{value}");
        }
        assert_eq!(parse_range(Some("bytes=99999999999999999999999-"), 10), Span::Whole);
        assert_eq!(parse_range(None, 10), Span::Whole);
    }
}
