//! Plain text: each file one document, read in pieces so that none is ever whole in memory.

use std::{fmt, io::Read, path::PathBuf};

use super::{
    CorpusError,
    open::Bytes,
    record::{Item, Record},
};

/// Bytes of text that are tokenized at once. A longer document is cut where a line ends, or else before a space: there
/// tokens end as well, in all but a few tokenizers.
pub const PIECE_BYTES: usize = 256 << 10;

/// The pieces of a text file.
pub struct Pieces {
    bytes: Bytes,
    path: PathBuf,
    /// Read, but not given yet.
    left: Vec<u8>,
    /// Whether the stream has ended.
    ended: bool,
    begun: bool,
}

impl Pieces {
    /// The text that follows in `bytes`.
    pub fn new(bytes: Bytes, path: PathBuf) -> Self {
        Self { bytes, path, left: Vec::new(), ended: false, begun: false }
    }

    fn piece(&mut self) -> std::io::Result<Option<Item>> {
        let missing = (PIECE_BYTES - self.left.len()) as u64;
        let n = self.bytes.by_ref().take(missing).read_to_end(&mut self.left)? as u64;
        self.ended = n < missing;
        if self.left.is_empty() {
            return Ok(None);
        }
        let n = if self.ended { self.left.len() } else { cut(&self.left) };
        let rest = self.left.split_off(n);
        let piece = std::mem::replace(&mut self.left, rest);
        let (text, replaced) = match String::from_utf8(piece) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        let continues = std::mem::replace(&mut self.begun, true);
        Ok(Some(Item { at: 1, continues, replaced, record: Ok(Record::Text(text)) }))
    }
}

impl Iterator for Pieces {
    type Item = Result<Item, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.piece();
        self.ended |= piece.is_err();
        piece.map_err(|cause| CorpusError::Read { cause, path: self.path.clone() }).transpose()
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Pieces of a text of at most [`PIECE_BYTES`].
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let n = if rest.len() <= PIECE_BYTES { rest.len() } else { cut(&rest.as_bytes()[..PIECE_BYTES]) };
        let (piece, after) = rest.split_at(n);
        rest = after;
        Some(piece)
    })
}

/// Where to cut: at the end of the last line in the second half after which text begins, or else before the last space
/// there, or else between characters.
fn cut(bytes: &[u8]) -> usize {
    let half = bytes.len() / 2;
    let is_space = |i: usize| bytes[i].is_ascii_whitespace();
    let of = |is_cut: &dyn Fn(usize) -> bool| (half.max(1)..bytes.len()).rev().find(|i| is_cut(*i));
    let line_end = || of(&|i| bytes[i - 1] == b'\n' && !is_space(i));
    let space = || of(&|i| bytes[i] == b' ' && !is_space(i - 1));
    let character = || of(&|i| bytes[i] & 0xC0 != 0x80);
    line_end().or_else(space).or_else(character).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(bool, bool, String)> {
        let bytes: Bytes = Box::new(std::io::Cursor::new(text.to_vec()));
        Pieces::new(bytes, "x.txt".into())
            .map(Result::unwrap)
            .map(|item| match item.record {
                Ok(Record::Text(text)) => (item.continues, item.replaced, text),
                other => unreachable!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn long_text_is_cut_where_lines_end() {
        let text = "a line of text\n\n".repeat(40_000);
        let found = read(text.as_bytes());
        assert!(found.len() > 2 && found.iter().all(|(_, _, piece)| piece.len() <= PIECE_BYTES));
        assert!(found.iter().all(|(_, _, piece)| piece.starts_with('a') && piece.ends_with("\n\n")));
        assert_eq!(found.iter().map(|(continues, _, _)| *continues).filter(|c| !c).count(), 1);
        assert_eq!(found.iter().map(|(_, _, piece)| piece.as_str()).collect::<String>(), text);
        assert_eq!(pieces(&text).collect::<Vec<_>>(), found.iter().map(|f| f.2.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn text_without_lines_or_spaces_is_cut_between_characters() {
        for word in ["wort ", "日本語"] {
            let text = word.repeat(100_000);
            let found: Vec<&str> = pieces(&text).collect();
            assert!(found.len() > 1 && found.concat() == text);
            assert!(word != "wort " || found[1..].iter().all(|piece| piece.starts_with(" wort")));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(read(b"caf\xe9 noir"), [(false, true, "caf\u{fffd} noir".to_owned())]);
        assert!(read(b"").is_empty());
    }
}
