//! Corpora in every format that is read: the same documents give the same rows; what is wrong is named.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use compute::corpus::{Form, Options, Rows, Rule, Source, Tokenizer, form, load};
use parquet::{
    data_type::{ByteArrayType, Int32Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use tempfile::TempDir;

use crate::written;

pub const TEXTS: [&str; 3] =
    ["def f(self):\n    return self", "Ein Satz, zwei Sätze.", "日本語 and \u{1f600}"];

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/model")
}

fn rule(seq_len: usize) -> Rule {
    Rule { seq_len, end_of_text: 0, bos: None, shuffle_seed: None, max_rows: None }
}

pub fn read(data: &Path) -> Result<Rows, String> {
    read_with(data, &Options::default(), &rule(4))
}

fn read_with(data: &Path, options: &Options, rule: &Rule) -> Result<Rows, String> {
    let source = Source::on_disk(data, String::new()).map_err(|e| e.to_string())?;
    let read = || {
        let tokenizer = Tokenizer::of_model(&model())?;
        let form = form(&source, options, 1024)?;
        load(tokenizer.as_ref(), &source, options, (rule, form), 1 << 20)
    };
    read().map_err(|e| e.to_string())
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
    fs::write(at("bad.jsonl"), "{\"body\": \"a\", \"id\": 1}\n").unwrap();
    let whole = zstd::encode_all(json_lines(&TEXTS).as_bytes(), 3).unwrap();
    fs::write(at("cut.jsonl.zst"), &whole[..whole.len() - 5]).unwrap();
    text_parquet(&at("named.parquet"), "body");
    fs::write(at("cut.parquet"), &fs::read(at("named.parquet")).unwrap()[..40]).unwrap();
    fs::create_dir(at("mixed")).unwrap();
    fs::write(at("mixed/a.txt"), "text").unwrap();
    fs::copy(model().join("../tokens.npy"), at("mixed/b.npy")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    for (name, said) in [
        ("bad.jsonl", "no column \"text\", it has body, id: name one with --text-column"),
        ("cut.jsonl.zst", "could not read the corpus"),
        ("named.parquet", "no column \"text\", it has body: name one with --text-column"),
        ("cut.parquet", "could not read the Parquet file"),
        ("mixed", "the corpus mixes text and token arrays"),
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
    let ids = tch::Tensor::from_slice(&[1i64, 2, 3, 4, 5, 6, 7, 8]).view([2, 4]);
    let items = vec![("input_ids", written::Item::Tensor(&ids))];
    written::torch_save(&at("ids.pt"), &written::Item::Dict(items));
    assert_eq!(read(&at("ids.pt")).unwrap().token_ids(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

pub fn ids(texts: &[&str]) -> Vec<Vec<u32>> {
    let tokenizer = Tokenizer::of_model(&model()).unwrap().unwrap();
    texts.iter().map(|text| tokenizer.encode(text).unwrap()).collect()
}

/// Documents joined by end-of-text 0 and cut into rows of 4.
pub fn joined(documents: &[Vec<u32>]) -> Vec<u32> {
    let mut joined = documents.join(&0);
    joined.truncate(joined.len() / 4 * 4);
    joined
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn bad_rows_cost_themselves_alone_and_are_counted() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = "{\"text\": \"one two three four five\"}\n{\"text\": \"six seven eight nine ten\"}\n";
    let expected = joined(&ids(&["one two three four five", "six seven eight nine ten"]));
    for (name, bad, sentence) in [
        (
            "null.jsonl",
            "{\"text\": null}\n{\"id\": 3}\n{\"text\": 7}\n",
            "3 rows skipped, the first: line 1 of ",
        ),
        ("broken.jsonl", "{\"text\": \"cut of\n", "1 row skipped, the first: line 1 of "),
        ("empty.jsonl", "{\"text\": \"\"}\n", "1 row without any token left out, the first: line 1 of "),
    ] {
        fs::write(at(name), format!("{bad}{good}")).unwrap();
        let rows = read(&at(name)).unwrap();
        assert_eq!(rows.token_ids(), expected, "{name}");
        let sentences = rows.reading().sentences();
        assert!(sentences.len() == 1 && sentences[0].starts_with(sentence), "{sentences:?}");
        assert!(sentences[0].contains(name), "{sentences:?}");
    }
    for (name, bytes) in [
        ("bom.jsonl", format!("\u{feff}{good}")),
        ("crlf.jsonl", good.replace('\n', "\r\n")),
        ("nan.jsonl", good.replace("{\"text\"", "{\"score\": NaN, \"low\": -Infinity, \"text\"")),
    ] {
        fs::write(at(name), bytes).unwrap();
        let rows = read(&at(name)).unwrap();
        assert_eq!(rows.token_ids(), expected, "{name}");
        assert!(rows.reading().sentences().is_empty(), "{name}");
    }
    let strict = Options { strict: true, ..Options::default() };
    let error = read_with(&at("null.jsonl"), &strict, &rule(4)).unwrap_err();
    assert!(error.starts_with("line 1 of the corpus is null: without --strict it is skipped"), "{error}");
    assert!(read_with(&at("nan.jsonl"), &strict, &rule(4)).is_ok());
}

#[test]
fn what_is_no_character_becomes_the_replacement_character() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("lone.jsonl"), "{\"text\": \"caf\\ud800 noir and so on\"}\n").unwrap();
    fs::write(at("latin.jsonl"), b"{\"text\": \"caf\xe9 noir and so on\"}\n").unwrap();
    fs::write(at("latin.txt"), b"caf\xe9 noir and so on").unwrap();
    let expected = joined(&ids(&["caf\u{fffd} noir and so on"]));
    for name in ["lone.jsonl", "latin.jsonl", "latin.txt"] {
        let rows = read(&at(name)).unwrap();
        assert_eq!(rows.token_ids(), expected, "{name}");
        let sentences = rows.reading().sentences();
        assert!(sentences[0].starts_with("1 row read with U+FFFD for what is no character"), "{sentences:?}");
    }
    fs::write(at("utf16.txt"), b"\xff\xfea\0b\0").unwrap();
    assert!(read(&at("utf16.txt")).unwrap_err().contains("it is UTF-16, expected UTF-8"));
}

#[test]
fn json_under_all_its_names() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lines = json_lines(&TEXTS);
    let array =
        serde_json::to_string_pretty(&TEXTS.map(|t| serde_json::json!({ "id": [1], "text": t }))).unwrap();
    fs::write(at("a.ndjson"), &lines).unwrap();
    fs::write(at("lines.json"), &lines).unwrap();
    fs::write(at("array.json"), &array).unwrap();
    fs::write(at("c4-train.00000-of-01024.json.gz"), gzip(lines.as_bytes())).unwrap();
    fs::write(at("array.json.zst"), zstd::encode_all(array.as_bytes(), 3).unwrap()).unwrap();
    let expected = joined(&ids(&TEXTS));
    for name in ["a.ndjson", "lines.json", "array.json", "c4-train.00000-of-01024.json.gz", "array.json.zst"]
    {
        assert_eq!(read(&at(name)).unwrap().token_ids(), expected, "{name}");
    }
}

/// A batch of one column of text and one of numbers.
#[test]
fn lists_of_unequal_length_are_documents() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lists = |lists: &[Vec<u32>]| -> String {
        lists.iter().map(|ids| serde_json::json!({ "id": 1, "input_ids": ids }).to_string() + "\n").collect()
    };
    let ragged = [vec![1, 2, 3, 4, 5], vec![6, 7], vec![8, 9, 10, 11]];
    fs::write(at("ragged.jsonl"), lists(&ragged)).unwrap();
    let rows = read(&at("ragged.jsonl")).unwrap();
    assert_eq!(rows.token_ids(), [1, 2, 3, 4, 5, 0, 6, 7, 0, 8, 9, 10]);
    assert_eq!(rows.documents(), [0, 0, 1]);
    let equal = [vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
    fs::write(at("equal.jsonl"), lists(&equal)).unwrap();
    let rows = read(&at("equal.jsonl")).unwrap();
    assert_eq!((rows.token_ids(), rows.documents().len()), (&[1, 2, 3, 4, 5, 6, 7, 8][..], 0));
    // One of another length far behind: documents after all.
    let mut late = vec![vec![1, 2, 3, 4]; 3000];
    late.push(vec![5]);
    fs::write(at("late.jsonl"), lists(&late)).unwrap();
    assert_eq!(read(&at("late.jsonl")).unwrap().token_ids(), joined(&late));
    fs::write(at("negative.jsonl"), "{\"input_ids\": [1, -2, 3, 4]}\n").unwrap();
    let error = read(&at("negative.jsonl")).unwrap_err();
    assert!(error.contains("holds -2 in a list, expected token ids"), "{error}");
}

const CHATML: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}";

#[test]
fn conversations_are_read_through_the_chat_template_with_their_roles() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("chat.jinja"), CHATML).unwrap();
    let messages = "{\"messages\": [{\"role\": \"system\", \"content\": \"be kind\"}, {\"role\": \"user\", \"content\": \"hello there\"}, {\"role\": \"assistant\", \"content\": \"hello to you\"}]}\n";
    fs::write(at("chat.jsonl"), messages).unwrap();
    fs::write(at("sharegpt.jsonl"), "{\"conversations\": [{\"from\": \"system\", \"value\": \"be kind\"}, {\"from\": \"human\", \"value\": \"hello there\"}, {\"from\": \"gpt\", \"value\": \"hello to you\"}]}\n").unwrap();
    let options = Options { chat_template: Some(at("chat.jinja")), ..Options::default() };
    let text = "<system>be kind\n<user>hello there\n<assistant>hello to you\n";
    for name in ["chat.jsonl", "sharegpt.jsonl"] {
        let rows = read_with(&at(name), &options, &rule(4)).unwrap();
        assert_eq!(rows.token_ids(), joined(&ids(&[text])), "{name}");
        let vocab = compute::corpus::vocab(Tokenizer::of_model(&model()).unwrap().as_ref(), 1 << 16);
        let said = |role: u8| {
            let tokens = rows.token_ids().iter().zip(rows.roles()).filter(|(_, own)| **own == role);
            let bytes: Vec<u8> = tokens.flat_map(|(id, _)| vocab.bytes_of(*id).to_vec()).collect();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!((said(1).as_str(), said(2).as_str()), ("be kind", "hello there"), "{name}");
        assert!(said(3).starts_with("hello t") && said(5).starts_with("<system>\n<user>"), "{name}");
    }
    let error = read(&at("chat.jsonl")).unwrap_err();
    assert!(error.contains("has no chat_template: name one with --chat-template"), "{error}");
}

#[test]
fn a_large_corpus_is_sampled_and_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("big.jsonl");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    for i in 0..60_000 {
        writeln!(file, "{{\"id\": {i}, \"text\": \"{}\"}}", format!("number {i} ").repeat(30)).unwrap();
    }
    file.into_inner().unwrap();
    let sampled = Rule { shuffle_seed: Some(1), max_rows: Some(16), ..rule(64) };
    let rows = read_with(&path, &Options::default(), &sampled).unwrap();
    assert_eq!(rows.n_rows(), 16);
    assert!(rows.reading().skipped.n == 0, "stretches begin where lines do: {:?}", rows.reading());
    let said = &rows.reading().sentences()[0];
    assert!(said.starts_with("the rows are a sample: 32 stretches drawn by --seed were read"), "{said}");
    assert!(rows.n_read() < 1_000_000, "read {} tokens", rows.n_read());
    assert!(rows.files().iter().any(|(name, _)| name.contains("big.jsonl after byte ")));
    assert_eq!(rows, read_with(&path, &Options::default(), &sampled).unwrap(), "the same each time");
    let other = Rule { shuffle_seed: Some(2), ..sampled };
    assert_ne!(rows.token_ids(), read_with(&path, &Options::default(), &other).unwrap().token_ids());
}

#[test]
fn a_folder_says_what_of_it_is_not_read() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["test.jsonl", "train.jsonl", "notes.md"] {
        fs::write(at(name), json_lines(&TEXTS)).unwrap();
    }
    fs::create_dir(at("more")).unwrap();
    let source = Source::on_disk(folder.path(), String::new()).unwrap();
    assert_eq!(source.files.len(), 2);
    assert_eq!(source.notes[0], "left out: more/, notes.md");
    assert!(source.notes[1].starts_with("reads the splits test and train together"), "{:?}", source.notes);
    assert!(matches!(form(&source, &Options::default(), 64), Ok(Form::Documents)));
}

#[test]
fn hostile_corpora_are_refused_before_they_fill_the_memory() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    // 300 MB of one line.
    let line = vec![b'a'; 300 << 20];
    fs::write(at("line.jsonl.gz"), gzip(&[b"{\"text\": \"", &line[..], b"\"}"].concat())).unwrap();
    fs::write(at("line.jsonl.zst"), zstd::encode_all(&line[..], 1).unwrap()).unwrap();
    for name in ["line.jsonl.gz", "line.jsonl.zst"] {
        let error = read(&at(name)).unwrap_err();
        assert!(error.starts_with("line 1 of the corpus is longer than 67108864 bytes"), "{error}");
    }
    // A page of 300 MB, from some KB.
    let text: arrow_array::ArrayRef =
        Arc::new(arrow_array::StringArray::from(vec![String::from_utf8(line).unwrap()]));
    let batch = arrow_array::RecordBatch::try_from_iter([("text", text)]).unwrap();
    let zstd = parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default());
    let properties = parquet::file::properties::WriterProperties::builder();
    let properties = properties.set_compression(zstd).set_dictionary_enabled(false).build();
    let file = File::create(at("page.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    drop(batch);
    let error = read(&at("page.parquet")).unwrap_err();
    assert!(error.contains("a page claims more than 268435456 bytes unpacked"), "{error}");
    let pipe = std::ffi::CString::new(at("pipe.jsonl").to_str().unwrap()).unwrap();
    #[expect(unsafe_code, reason = "the standard library makes no pipes with names")]
    // SAFETY: the path ends in a zero.
    let made = unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) };
    assert_eq!(made, 0);
    assert!(read(&at("pipe.jsonl")).unwrap_err().contains("not a regular file"));
    fs::write(at("lfs.jsonl"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n").unwrap();
    assert!(read(&at("lfs.jsonl")).unwrap_err().contains("Git LFS pointer"));
}

#[test]
fn a_bundle_of_conversations_has_roles_and_how_features_fare_by_them() {
    use compute::bundle::Bundle;
    use shared::{
        layers::{ROLE_STATS, ROLES},
        roles::{ChunkRoles, RoleStats},
    };
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("chat.jinja"), CHATML).unwrap();
    let turn = |role: &str, said: &str| serde_json::json!({ "role": role, "content": said.repeat(20) });
    let messages = serde_json::json!({ "messages": [turn("user", "why is that so? "), turn("assistant", "because it is. ")] });
    fs::write(at("chat.jsonl"), format!("{messages}\n{{\"messages\": null}}\n")).unwrap();
    let demo = model();
    let demo = demo.parent().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args(["run", "-q", "--seq-len", "16", "--features", "0..64", "--no-effects", "--no-shuffle"]);
    command.arg("--model").arg(demo.join("model")).arg("--sae").arg(demo.join("sae-resid"));
    command.arg("--data").arg(at("chat.jsonl")).arg("--chat-template").arg(at("chat.jinja"));
    let done = command.arg("--out").arg(at("bundle")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let bundle = Bundle::open(&at("bundle")).unwrap();
    let manifest = &bundle.manifest;
    let note = &manifest.dataset.notes[0];
    assert!(
        note.starts_with("1 row skipped, the first: line 2 of ") && note.ends_with("chat.jsonl is null"),
        "{note}"
    );
    assert!(!note.contains(folder.path().to_str().unwrap()), "{note}");
    let chunk: ChunkRoles = bundle.file(&ROLES.path_of(0)).unwrap();
    let n_rows = manifest.dataset.n_rows.unwrap() as usize;
    assert_eq!(chunk.roles.len(), n_rows * 16);
    let stats: RoleStats = bundle.file(&ROLE_STATS.path()).unwrap();
    assert_eq!(stats.roles, [2, 3, 5]);
    for (role, n) in stats.roles.iter().zip(&stats.n_tokens) {
        let own = chunk.roles.iter().map(|own| u64::from(own == role)).sum::<u64>();
        assert_eq!(own, *n);
    }
    assert_eq!(stats.density.len(), 64 * 3);
    assert!(stats.max.iter().any(|max| *max > 0.0) && stats.max.iter().all(|max| *max >= 0.0));
    let active = |(density, max): (&f32, &f32)| (*density > 0.0) == (*max > 0.0);
    assert!(stats.density.iter().zip(&stats.max).all(active));
}
