//! The bytes that each token stands for.

use shared::vocab::Vocab;
use tokenizers::Tokenizer as Inner;

use super::Tokenizer;

/// The vocabulary's bytes for the ids below `d_vocab`; ids that the tokenizer lacks stand for nothing.
///
/// An added token is the text that it decodes to, so `▁▁▁▁` is four spaces; a special one stays as it is written.
pub fn vocab(tokenizer: Option<&Tokenizer>, d_vocab: usize) -> Vocab {
    let Some(tokenizer) = tokenizer.map(Tokenizer::inner) else {
        return Vocab::of((0..d_vocab).map(|_| []));
    };
    let byte_of = byte_level_alphabet();
    let is_byte_level = is_byte_level(tokenizer);
    // The whole map is copied, which has thousands of tokens in some models.
    let added = tokenizer.get_added_tokens_decoder();
    Vocab::of((0..d_vocab as u32).map(|id| match added.get(&id) {
        Some(token) if token.special || is_byte_level => token.content.clone().into_bytes(),
        Some(token) => sentence_piece_bytes(&token.content),
        None => {
            let token = tokenizer.id_to_token(id).unwrap_or_default();
            if is_byte_level {
                byte_level_bytes(&token, &byte_of).unwrap_or_else(|| token.into_bytes())
            } else {
                sentence_piece_bytes(&token)
            }
        }
    }))
}

fn is_byte_level(tokenizer: &Inner) -> bool {
    serde_json::to_string(&tokenizer.get_decoder()).is_ok_and(|json| json.contains("\"ByteLevel\""))
}

/// The bytes behind GPT-2's printable alphabet, in which each byte is one character.
///
/// Printable Latin-1 stands for itself; the other bytes, in order, are the characters from U+0100 on.
fn byte_level_alphabet() -> Vec<(char, u8)> {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let shifted = (0..=255u8).filter(|b| !printable(b)).zip('\u{100}'..).map(|(b, c)| (c, b));
    let mut alphabet: Vec<_> =
        (0..=255u8).filter(printable).map(|b| (char::from(b), b)).chain(shifted).collect();
    alphabet.sort_unstable();
    alphabet
}

fn byte_level_bytes(token: &str, byte_of: &[(char, u8)]) -> Option<Vec<u8>> {
    let byte = |c: char| byte_of.binary_search_by_key(&c, |e| e.0).ok().map(|i| byte_of[i].1);
    token.chars().map(byte).collect()
}

/// SentencePiece: `▁` is a space, `<0xE2>` a byte.
fn sentence_piece_bytes(token: &str) -> Vec<u8> {
    let byte = token.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => token.replace('▁', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_level_tokens_are_the_bytes_they_stand_for() {
        let alphabet = byte_level_alphabet();
        assert_eq!(alphabet.len(), 256);
        let bytes = |t| byte_level_bytes(t, &alphabet);
        assert_eq!(bytes("Ġthe").unwrap(), b" the");
        assert_eq!(bytes("âĢĶ").unwrap(), "—".as_bytes());
        assert_eq!(bytes("Ċ").unwrap(), b"\n");
        assert_eq!(bytes("日"), None);
    }

    /// As Gemma's: runs of spaces are tokens of the vocabulary and added tokens at once.
    const WITH_ADDED_SPACES: &str = r#"{
        "version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
        "added_tokens": [
            {"id": 0, "content": "<bos>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 3, "content": "▁▁▁▁", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false},
            {"id": 4, "content": "▁end▁", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "decoder": {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        "model": {"type": "BPE", "vocab": {"<bos>": 0, "▁": 1, "<0x0A>": 2, "▁▁▁▁": 3}, "merges": []}
    }"#;

    #[test]
    fn added_runs_of_spaces_are_spaces_and_special_tokens_stay_as_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), WITH_ADDED_SPACES).unwrap();
        let tokenizer = Tokenizer::of_model(folder.path()).unwrap().unwrap();
        let vocab = vocab(Some(&tokenizer), 6);
        let bytes: Vec<&[u8]> = (0..6).map(|id| vocab.bytes_of(id)).collect();
        assert_eq!(bytes, [b"<bos>".as_slice(), b" ", b"\n", b"    ", "▁end▁".as_bytes(), b""]);
    }

    #[test]
    fn sentence_pieces_are_spaces_and_bytes() {
        assert_eq!(sentence_piece_bytes("▁the"), b" the");
        assert_eq!(sentence_piece_bytes("<0xE2>"), [0xe2]);
        assert_eq!(sentence_piece_bytes("<0xEX>"), b"<0xEX>");
    }
}
