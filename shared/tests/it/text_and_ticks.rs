//! Token text, and ticks.

use shared::{
    histogram::{Histogram, ticks},
    prompt::{Metric, Score},
    vocab::{Vocab, escape},
};

#[test]
fn tokens_show_what_cannot_be_seen() {
    for (bytes, text) in [
        (" the".as_bytes(), " the"),
        ("\n\t\r".as_bytes(), "\\n\\t\\r"),
        (b"\xe2\x80", "\\xe2\\x80"),
        ("a\u{200b}b".as_bytes(), "a\\u{200b}b"),
        ("\u{202e}x".as_bytes(), "\\u{202e}x"),
        ("<script>".as_bytes(), "<script>"),
        ("שלום é 日本".as_bytes(), "שלום é 日本"),
        (b"\x00", "\\u{0}"),
    ] {
        assert_eq!(escape(bytes), text);
    }
}

#[test]
fn joiners_inside_a_cluster_stay_and_others_are_escaped() {
    for (text, shown) in [
        ("👩\u{200d}💻", "👩\u{200d}💻"),
        ("❤\u{fe0f}\u{200d}🔥 ❤\u{fe0f}", "❤\u{fe0f}\u{200d}🔥 ❤\u{fe0f}"),
        ("فارسی\u{200c}ها", "فارسی\u{200c}ها"),
        ("क्\u{200d}ष", "क्\u{200d}ष"),
        ("🏴\u{e0067}\u{e007f}", "🏴\u{e0067}\u{e007f}"),
        ("\u{200d}", "\\u{200d}"),
        ("\u{200c}ها", "\\u{200c}ها"),
        ("a\u{200d}", "a\\u{200d}"),
        ("a\u{200d} b", "a\\u{200d} b"),
        ("a\u{fe0f}\u{fe0f}", "a\u{fe0f}\\u{fe0f}"),
        ("a\u{e0061}", "a\\u{e0061}"),
        ("\u{200b}\u{fe0f}", "\\u{200b}\\u{fe0f}"),
    ] {
        assert_eq!(escape(text.as_bytes()), shown);
    }
}

#[test]
fn what_a_joiner_holds_together_is_read_as_one() {
    let woman = [&b" \xf0\x9f"[..], b"\x91", b"\xa9"];
    let joiner = [&b"\xe2\x80"[..], b"\x8d"];
    let laptop = [&b"\xf0\x9f"[..], b"\x92", b"\xbb"];
    let words = [
        "فارسی".as_bytes(),
        "\u{200c}ها".as_bytes(),
        b" and",
        "\u{200c}".as_bytes(),
        b"x",
        "❤".as_bytes(),
        "\u{fe0f}".as_bytes(),
    ];
    let vocab = Vocab::of(woman.into_iter().chain(joiner).chain(laptop).chain(words));
    let joined = |ids: &[u32]| {
        vocab.joined_characters(ids).into_iter().map(|j| (j.tokens, j.text)).collect::<Vec<_>>()
    };
    assert_eq!(joined(&[0, 1, 2, 3, 4, 5, 6, 7]), [(0..8, " 👩\u{200d}💻".to_owned())]);
    assert_eq!(joined(&[8, 9, 10]), [(0..2, "فارسی\u{200c}ها".to_owned())]);
    assert_eq!(joined(&[10, 11, 10]), [], "what joins nothing is alone");
    assert_eq!(
        joined(&[10, 11, 12, 13, 14]),
        [(0..3, " and\u{200c}x".to_owned()), (3..5, "❤\u{fe0f}".to_owned())]
    );
    assert_eq!(vocab.texts(&[8, 9, 10]), ["فارسی\u{200c}ها", "", " and"]);
    assert_eq!(vocab.texts(&[9, 11]), ["\\u{200c}ها", "\\u{200c}"]);
}

#[test]
fn characters_split_over_tokens_are_joined() {
    let vocab = Vocab::of([&b"x"[..], b"\xe2\x80", b"\x94", b"\xf0\x9f", b"\x98", b"\x80y", b"\xff"]);
    let joined = |ids: &[u32]| {
        vocab.joined_characters(ids).into_iter().map(|j| (j.tokens, j.text)).collect::<Vec<_>>()
    };
    assert_eq!(joined(&[0, 1, 2, 0]), [(1..3, "—".to_owned())]);
    assert_eq!(joined(&[3, 4, 5]), [(0..3, "😀y".to_owned())]);
    assert_eq!(joined(&[1, 0, 6, 1]), []);
    assert_eq!(vocab.texts(&[0, 1, 2, 0]), ["x", "—", "", "x"]);
    assert_eq!(
        vocab.texts(&[2, 3, 4, 5, 1]),
        ["\\x94", "😀y", "", "", "\\xe2\\x80"],
        "cut at the ends: bytes"
    );
    assert_eq!((vocab.text(1), vocab.text(99)), ("\\xe2\\x80".to_owned(), "<99>".to_owned()));
}

#[test]
fn ticks_are_multiples_of_a_step_with_three_on_the_longer_side() {
    let close = |got: Vec<f64>, expected: &[f64]| {
        assert_eq!(got.len(), expected.len(), "{got:?}");
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?}");
    };
    close(ticks(0.0, 0.929), &[0.0, 0.3, 0.6, 0.9]);
    close(ticks(-0.9939, 0.8149), &[-0.9, -0.6, -0.3, 0.0, 0.3, 0.6]);
    close(ticks(0.0, 40.022), &[0.0, 13.3, 26.6, 39.9]);
    close(ticks(0.0, 0.045), &[0.0, 0.01, 0.02, 0.03]);
    close(ticks(0.0, 0.0), &[0.0]);
}

#[test]
fn equal_values_make_a_histogram_of_one_filled_bin() {
    for (value, min, max, bin) in [
        (2.0, 0.0, 2.0, 49),
        (0.002, 0.0, 0.002, 49),
        (1e8, 0.0, 1e8, 49),
        (f32::MAX, 0.0, f32::MAX, 49),
        (f32::from_bits(1), 0.0, f32::from_bits(1), 49),
        (-3.0, -3.0, 0.0, 0),
        (0.0, 0.0, 1.0, 0),
        (-0.0, 0.0, 1.0, 0),
    ] {
        let histogram = Histogram::of(&[value, value], 50).unwrap();
        assert_eq!((histogram.min, histogram.max), (min, max), "{value}");
        let filled: Vec<(usize, u64)> =
            histogram.counts.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect();
        assert_eq!(filled, [(bin, 2)], "{value}");
    }
    assert_eq!(Histogram::of(&[], 50), None);
}

#[test]
fn scores_are_printed_as_sae_vis_prints_them() {
    let score = |value, precision| Score { feature: 8, value, precision };
    assert_eq!(score(3.0042, 3).text(Metric::ActSize), "3.004");
    assert_eq!(score(0.99979, 5).text(Metric::ActQuantile), "99.979%");
    assert_eq!(score(0.9841, 4).text(Metric::ActQuantile), "98.41%");
    assert_eq!(score(-0.0214, 3).text(Metric::LossEffect), "-0.021");
}
