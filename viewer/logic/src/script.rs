//! Tokens as the writing that they make together.
//!
//! Alone, a token's text shows what could not be seen: line breaks, joiners, bytes that are part of a character. In a
//! line, a character that several tokens make stands whole at the first of them, and the joiners, variation selectors and
//! tags that letters and emoji are made with are left as they are between them, so that Arabic, Devanagari, Persian and
//! emoji of several parts read as one writes them.

use shared::vocab::{Vocab, escape};

/// A line's tokens as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// One for each token.
    pub pieces: Vec<Piece>,
    /// Whether a script in which letters take their form from their neighbours is among them.
    pub shaped: bool,
}

/// A token's part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// Text as shown; empty for the rest of a character that stands at an earlier token.
    pub text: String,
    /// The text that it stands for, where `text` shows an escape for it.
    pub raw: Option<String>,
    /// The character that the token makes together with its neighbours.
    pub joined: Option<String>,
}

/// The tokens `token_ids` as one line.
pub fn run(vocab: &Vocab, token_ids: &[u32]) -> Run {
    let mut pieces: Vec<Piece> =
        vocab.texts(token_ids).into_iter().map(|text| Piece { text, ..Piece::default() }).collect();
    for (piece, id) in pieces.iter_mut().zip(token_ids) {
        let bytes = vocab.bytes_of(*id);
        if !piece.text.is_empty() && piece.text.as_bytes() != bytes {
            piece.raw = std::str::from_utf8(bytes).ok().filter(|raw| !raw.is_empty()).map(str::to_owned);
            // An id without text and lone bytes have no other text than the one that is shown.
            piece.raw.get_or_insert_with(|| piece.text.clone());
        }
    }
    for joined in vocab.joined_characters(token_ids) {
        let bytes: Vec<u8> =
            token_ids[joined.tokens.clone()].iter().flat_map(|id| vocab.bytes_of(*id)).copied().collect();
        let first = joined.tokens.start;
        for piece in &mut pieces[joined.tokens] {
            piece.raw = None;
            piece.joined = Some(joined.text.clone());
        }
        if let Ok(raw) = String::from_utf8(bytes)
            && raw != joined.text
        {
            pieces[first].raw = Some(raw);
        }
    }
    let text = |piece: &Piece| piece.raw.clone().unwrap_or_else(|| piece.text.clone());
    let shaped = pieces.iter().any(|p| text(p).chars().any(is_shaped));
    keep_joiners(&mut pieces);
    Run { pieces, shaped }
}

/// Puts joiners back where they join something.
fn keep_joiners(pieces: &mut [Piece]) {
    let mut before = None;
    for i in 0..pieces.len() {
        let after = pieces[i + 1..].iter().find(|p| !p.text.is_empty());
        let after = after.and_then(|p| p.raw.as_ref().unwrap_or(&p.text).chars().next());
        let piece = &mut pieces[i];
        if let Some(raw) = piece.raw.take() {
            piece.text = escaped_but_joiners(&raw, before, after);
            before = raw.chars().last().or(before);
            piece.raw = Some(raw).filter(|raw| *raw != piece.text);
        } else if let Some(last) = piece.text.chars().last() {
            before = Some(last);
        }
    }
}

/// `raw` with escapes, except joiners between `before` and `after` and within.
fn escaped_but_joiners(raw: &str, before: Option<char>, after: Option<char>) -> String {
    let mut text = String::with_capacity(raw.len());
    let chars: Vec<char> = raw.chars().collect();
    for (i, &c) in chars.iter().enumerate() {
        let before = if i == 0 { before } else { chars.get(i - 1).copied() };
        let after = chars.get(i + 1).copied().or(after);
        if joins(before, c, after) {
            text.push(c);
        } else {
            text.push_str(&escape(c.encode_utf8(&mut [0; 4]).as_bytes()));
        }
    }
    text
}

/// Whether `c` forms what stands around it: a joiner between letters or emoji, a selector or a tag after a sign.
fn joins(before: Option<char>, c: char, after: Option<char>) -> bool {
    let written = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !c.is_whitespace());
    match c {
        '\u{200c}' | '\u{200d}' => written(before) && written(after),
        '\u{fe00}'..='\u{fe0f}' => {
            written(before) || before.is_some_and(|c| c.is_ascii_digit() || "#*".contains(c))
        }
        '\u{e0020}'..='\u{e007f}' => written(before),
        _ => false,
    }
}

/// Scripts whose letters take their form from their neighbours, and emoji of several parts.
fn is_shaped(c: char) -> bool {
    matches!(c,
        '\u{600}'..='\u{8ff}' // Arabic, Syriac, Thaana, N'Ko
        | '\u{900}'..='\u{dff}' // the scripts of India and Sri Lanka
        | '\u{e00}'..='\u{109f}' // Thai, Lao, Tibetan, Burmese
        | '\u{1780}'..='\u{18af}' // Khmer, Mongolian
        | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' // presentation forms
        | '\u{200d}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' // joiner, flags, skin tones
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vocabulary of the bytes of `text`, cut before each of `cuts`, and its tokens in order.
    fn cut(text: &str, cuts: &[usize]) -> (Vocab, Vec<u32>) {
        let mut from = 0;
        let ends = cuts.iter().copied().chain([text.len()]);
        let tokens: Vec<&[u8]> =
            ends.map(|end| &text.as_bytes()[std::mem::replace(&mut from, end)..end]).collect();
        let ids = (0..tokens.len() as u32).collect();
        (Vocab::of(tokens), ids)
    }

    fn read(text: &str, cuts: &[usize]) -> (String, bool) {
        let (vocab, ids) = cut(text, cuts);
        let run = run(&vocab, &ids);
        (run.pieces.iter().map(|p| p.text.as_str()).collect(), run.shaped)
    }

    #[test]
    fn shaped_writing_reads_as_it_is_written_however_it_is_cut() {
        for text in [
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👨\u{200d}👩\u{200d}👧",
            "🏴\u{e0067}\u{e0062}\u{e007f}",
            "مرحبا",
        ] {
            let all: Vec<usize> = (1..text.len()).collect();
            for cuts in [&[][..], &all, &all[..1], &all[all.len() / 2..]] {
                let (read, shaped) = read(text, cuts);
                assert_eq!(read, text, "{cuts:?}");
                assert!(shaped || text.starts_with('🏴'));
            }
        }
        assert_eq!(read("1\u{fe0f}", &[]).0, "1\u{fe0f}");
    }

    #[test]
    fn joiners_that_join_nothing_are_shown_as_escapes() {
        assert_eq!(read("a\u{200d} b", &[1]), ("a\\u{200d} b".to_owned(), true));
        assert_eq!(read("\u{200c}", &[]).0, "\\u{200c}");
        assert_eq!(read("a \u{fe0f}", &[]).0, "a \\u{fe0f}");
        assert_eq!(read("ب\u{202e}ر", &[]).0, "ب\\u{202e}ر");
    }

    #[test]
    fn what_is_escaped_keeps_its_text_for_copies() {
        let (vocab, ids) = cut("a\nb", &[1, 2]);
        let pieces = run(&vocab, &ids).pieces;
        assert_eq!((pieces[1].text.as_str(), pieces[1].raw.as_deref()), ("\\n", Some("\n")));
        assert_eq!(pieces[0].raw, None);
    }

    #[test]
    fn a_character_of_several_tokens_stands_at_the_first() {
        let (vocab, ids) = cut("é", &[1]);
        let pieces = run(&vocab, &ids).pieces;
        assert_eq!((pieces[0].text.as_str(), pieces[1].text.as_str()), ("é", ""));
        assert!(pieces.iter().all(|p| p.joined.as_deref() == Some("é")));
    }
}
