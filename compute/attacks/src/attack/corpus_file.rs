//! Tries any bytes as a corpus: text, JSON, JSON Lines, Parquet, Arrow, arrays of tokens, compressed or not, by the first byte.

use std::path::Path;
use std::sync::LazyLock;

use compute::corpus::{CorpusError, Options, Rows, Rule, Source, Tokenizer, form, load};

use super::good;
use crate::folder::with_files;
use crate::verdict::{Outcome, told, outcome};

const NAMES: [&str; 12] = [
    "c.txt", "c.jsonl", "c.json", "c.ndjson", "c.parquet", "c.arrow", "c.npy", "c.pt", "c.safetensors", "c.txt.gz",
    "c.jsonl.zst", "c.json.gz",
];

static TOKENIZER: LazyLock<Option<Tokenizer>> = LazyLock::new(|| {
    let model = crate::here().join("../../demo/model");
    Tokenizer::of_model(&model).ok().flatten()
});

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, file) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let name = NAMES[first % NAMES.len()];
    with_files("corpus", &[(name, file)], |folder| outcome(told(read(&folder.join(name), &Options::default()))))
}

/// Reads a corpus into rows of four tokens.
pub fn read(path: &Path, options: &Options) -> Result<Rows, CorpusError> {
    let source = Source::on_disk(path, String::new())?;
    let form = form(&source, options, 1024)?;
    let rule = Rule { seq_len: 4, end_of_text: 0, bos: None, shuffle_seed: None, max_rows: Some(64) };
    load(TOKENIZER.as_ref(), &source, options, (&rule, form), 1 << 16)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let file = |first: u8, text: &[u8]| [&[first], text].concat();
    let lines = b"{\"text\":\"def f(self):\\n    return self\"}\n{\"text\":\"Ein Satz\",\"n\":1}\n";
    let array = br#"[{"text":"a b c d e f g h"},{"text":"one two three four"}]"#;
    let ids = b"{\"input_ids\":[1,2,3,4]}\n{\"input_ids\":[5,6,7,8]}\n";
    vec![
        file(0, b"def f(self):\n    return self\n"),
        file(1, lines),
        file(1, ids),
        file(2, array),
        file(6, &good::npy_of("<i4", "(2, 4)", &[1, 0, 0, 0].repeat(8))),
        file(9, &good::gzip(b"one two three four five six")),
        file(11, &good::gzip(array)),
    ]
}
