//! Corpora in every format that is read: the same documents give the same rows; what is wrong is named.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use compute::corpus::{Rows, Rule, load, tokenizer_of};
use parquet::{
    data_type::{ByteArrayType, Int32Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use tempfile::TempDir;

const TEXTS: [&str; 3] = ["def f(self):\n    return self", "Ein Satz, zwei Sätze.", "日本語 and \u{1f600}"];

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/model")
}

fn rule(seq_len: usize) -> Rule {
    Rule { seq_len, end_of_text: 0, bos: None, shuffle_seed: None, max_rows: None }
}

fn read(data: &Path) -> Result<Rows, String> {
    let tokenizer = tokenizer_of(&model()).map_err(|e| e.to_string())?;
    load(tokenizer.as_ref(), data, "text", &rule(4), 1 << 20).map_err(|e| e.to_string())
}

fn json_lines(texts: &[&str]) -> String {
    texts.iter().map(|t| serde_json::json!({ "text": t }).to_string() + "\n").collect()
}

fn parquet_file(path: &Path, schema: &str, write: impl FnOnce(&mut SerializedFileWriter<File>)) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
    write(&mut writer);
    writer.close().unwrap();
}

fn text_parquet(path: &Path, column: &str) {
    parquet_file(path, &format!("message m {{ required binary {column} (UTF8); }}"), |writer| {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<_> = TEXTS.iter().map(|t| (*t).into()).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    });
}

#[test]
fn every_format_gives_the_same_rows() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lines = json_lines(&TEXTS);
    fs::write(at("a.jsonl"), &lines).unwrap();
    let mut gzip =
        flate2::write::GzEncoder::new(File::create(at("a.jsonl.gz")).unwrap(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    gzip.finish().unwrap();
    fs::write(at("a.jsonl.zst"), zstd::encode_all(lines.as_bytes(), 3).unwrap()).unwrap();
    text_parquet(&at("a.parquet"), "text");
    let parts = at("parts");
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join("1.jsonl"), json_lines(&TEXTS[..1])).unwrap();
    fs::write(parts.join("2.txt"), TEXTS[1]).unwrap();
    fs::write(parts.join("3.jsonl"), json_lines(&TEXTS[2..])).unwrap();
    fs::write(parts.join("notes.md"), "not a part").unwrap();

    let expected = read(&at("a.jsonl")).unwrap();
    assert!(expected.n_rows() > 5);
    assert_eq!((expected.n_documents(), expected.documents()[0]), (3, 0));
    assert!(expected.documents().is_sorted() && expected.documents().contains(&2));
    for name in ["a.jsonl.gz", "a.jsonl.zst", "a.parquet", "parts", "parts/[123].*"] {
        let rows = read(&at(name)).unwrap();
        assert_eq!(rows.token_ids(), expected.token_ids(), "{name}");
        assert_eq!(rows.documents(), expected.documents(), "{name}");
    }
    let files: Vec<u32> = read(&parts).unwrap().files().iter().map(|f| f.1).collect();
    assert_eq!(files, [0, 1, 2], "each file's first document");
}

#[test]
fn lists_of_token_ids_are_rows() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.parquet");
    let schema =
        "message m { required group text (LIST) { repeated group list { required int32 element; } } }";
    parquet_file(&path, schema, |writer| {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let (defined, repeated) = ([1; 8], [0, 1, 1, 1, 0, 1, 1, 1]);
        column
            .typed::<Int32Type>()
            .write_batch(&[1, 2, 3, 4, 5, 6, 7, 8], Some(&defined), Some(&repeated))
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    });
    let rows = read(&path).unwrap();
    assert_eq!((rows.n_rows(), rows.token_ids()), (2, &[1, 2, 3, 4, 5, 6, 7, 8][..]));
    assert!(rows.documents().is_empty(), "token arrays know no documents");
}

#[test]
fn what_is_wrong_with_a_corpus_is_said() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("bad.jsonl"), "{\"text\": \"a\"}\n\n{\"body\": \"b\"}\n").unwrap();
    let whole = zstd::encode_all(json_lines(&TEXTS).as_bytes(), 3).unwrap();
    fs::write(at("cut.jsonl.zst"), &whole[..whole.len() - 5]).unwrap();
    text_parquet(&at("named.parquet"), "body");
    fs::write(at("cut.parquet"), &fs::read(at("named.parquet")).unwrap()[..40]).unwrap();
    fs::create_dir(at("mixed")).unwrap();
    fs::write(at("mixed/a.txt"), "text").unwrap();
    fs::copy(model().join("../tokens.npy"), at("mixed/b.npy")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    for (name, said) in [
        ("bad.jsonl", "line 3 of the corpus is not an object with a string \"text\": missing field `text`"),
        ("cut.jsonl.zst", "could not read the corpus"),
        ("named.parquet", "no column \"text\", it has body: name one with --text-column"),
        ("cut.parquet", "could not read the Parquet file"),
        ("mixed", "the corpus mixes text and token ids"),
        ("empty", "no file of a known format"),
        ("*.csv", "no file of a known format"),
        ("nowhere.jsonl", "could not read the corpus"),
        ("a.csv", "could not read the corpus"),
    ] {
        let error = read(&at(name)).unwrap_err();
        assert!(error.contains(said) && error.lines().count() == 1, "{name}: {error}");
        assert!(error.contains(name.trim_start_matches('*')), "no path: {error}");
    }
}

/// What numpy writes.
fn npy(path: &Path, descr: &str, shape: &str, bytes: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(bytes);
    fs::write(path, out).unwrap();
}

#[test]
fn fractions_and_truth_values_are_no_token_ids() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    npy(&at("acts.npy"), "<f4", "(2, 4)", &bytes(&[1.0, 2.37, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]));
    npy(&at("whole.npy"), "<f4", "(1, 4)", &bytes(&[7.0, 2.0, 3.0, 4.0]));
    npy(&at("mask.npy"), "|b1", "(1, 4)", &[1, 0, 1, 1]);
    npy(&at("ids.npy"), "<u2", "(1, 4)", &[1, 0, 2, 0, 3, 0, 4, 0]);
    for (name, said) in [
        ("acts.npy", "it holds 2.37, expected token ids"),
        ("whole.npy", "it holds 7, expected token ids: 32-bit floats are not integers"),
        ("mask.npy", "it holds true and false, expected token ids"),
    ] {
        let error = read(&at(name)).unwrap_err();
        assert!(error.contains(said) && error.contains(name), "{name}: {error}");
    }
    assert_eq!(read(&at("ids.npy")).unwrap().token_ids(), [1, 2, 3, 4]);
}
