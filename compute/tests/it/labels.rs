//! Files of labels: every format, and what is said of those that are wrong.

use std::{fs, io::Write, process::Command};

use compute::{bundle::Bundle, labels::FeatureLabels};
use flate2::{Compression, write::GzEncoder};

/// Reads a file of that name and content for a bundle with features 0 to 9.
fn read(name: &str, content: impl AsRef<[u8]>) -> Result<FeatureLabels, String> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(name);
    fs::write(&path, content).unwrap();
    let name = path.display().to_string();
    FeatureLabels::read(&path, |feature| feature < 10).map_err(|e| e.to_string().replace(&name, "FILE"))
}

/// Its labels, in order.
fn labels(name: &str, content: impl AsRef<[u8]>) -> Vec<(u32, String)> {
    let labels = read(name, content).unwrap().labels;
    labels.features.into_iter().zip(labels.texts).collect()
}

fn gzipped(content: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

const LINES: &str = concat!(
    r#"{"modelId": "m", "layer": "6-res", "index": "8", "description": " opening quotes", "typeName": "a"}"#,
    "\n\n",
    r#"{"feature": 2, "label": "a, \"b\""}"#,
    "\n"
);

#[test]
fn every_format_gives_the_same_labels() {
    let objects = format!("[{}]", LINES.trim().replace("\n\n", ","));
    let expected = [(2, "a, \"b\"".to_owned()), (8, "opening quotes".to_owned())];
    for (name, content) in [
        ("a.json", r#"{"8": "opening quotes", "2": "a, \"b\""}"#),
        ("a.JSON", &objects),
        ("a.jsonl", LINES),
        ("a.csv", "\u{feff}layer,Feature,Explanation\n6,8,opening quotes\n6,2,\"a, \"\"b\"\"\"\n"),
        ("a.tsv", "index\ttext\n8\topening quotes\n2\t\"a, \"\"b\"\"\"\n"),
    ] {
        assert_eq!(labels(name, content), expected, "{name}");
        assert_eq!(labels(&format!("{name}.gz"), gzipped(content)), expected, "{name}.gz");
    }
}

#[test]
fn tables_as_spreadsheets_and_python_write_them() {
    let expected = [(0, "opening, quotes".to_owned()), (1, "a \"b\"".to_owned())];
    for (name, content) in [
        ("semicolons.csv", "feature;label\n0;opening, quotes\n1;\"a \"\"b\"\"\"\n"),
        ("tabs.csv", "feature\tlabel\n0\topening, quotes\n1\t\"a \"\"b\"\"\"\n"),
        ("commas.tsv", "feature,label\r\n0,\"opening, quotes\"\r\n1,\"a \"\"b\"\"\""),
        ("gaps.csv", ",feature,label\n0,0.0,\"opening, quotes\"\n1,1.0,\"a \"\"b\"\"\"\n"),
        (
            "nan.json",
            r#"[{"index": 0, "score": NaN, "label": "opening, quotes"}, {"feature": 1.0, "x": [-Infinity], "text": "a \"b\""},
                {"index": 2, "label": NaN}]"#,
        ),
        (
            "nan.jsonl",
            "{\"index\": \"0\", \"a\": Infinity, \"label\": \"opening, quotes\"}\n{\"index\": 1, \"label\": \"a \\\"b\\\"\"}\n",
        ),
    ] {
        assert_eq!(labels(name, content), expected, "{name}");
    }
    let kept = labels("words.json", r#"{"3": "NaN, \"Infinity\" and \\"}"#);
    assert_eq!(kept, [(3, "NaN, \"Infinity\" and \\".to_owned())]);
}

/// A text that goes on with the same byte, gzipped.
fn long(begin: &str, byte: u8, n_mib: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(begin.as_bytes()).unwrap();
    let part = vec![byte; 1 << 20];
    (0..n_mib).for_each(|_| gzip.write_all(&part).unwrap());
    gzip.finish().unwrap()
}

#[test]
fn a_text_that_unpacks_to_more_than_labels_can_be_is_refused() {
    for (name, begin) in [
        ("a.json.gz", "{\"1\": \""),
        ("a.json.gz", "{\""),
        ("a.json.gz", "[{\"index\": 1, \"other\": \""),
        ("a.csv.gz", "feature,label\n1,"),
        ("a.csv.gz", "feature,label\n1,\""),
        ("a.csv.gz", "feature,"),
    ] {
        let said = read(name, long(begin, b'0', 3)).unwrap_err();
        assert!(said.contains("more than 1 MiB"), "{name} {begin}: {said}");
    }
    let said = read("a.json.gz", long("{", b' ', 257)).unwrap_err();
    assert!(said.contains("more than 256 MiB of text"), "{said}");
    let said = read("a.jsonl.gz", long("{\"label\": \"", b'0', 17)).unwrap_err();
    assert!(said.contains("line 1 of the labels has more than 16 MiB"), "{said}");
}

#[test]
fn a_label_is_one_line_and_an_empty_text_is_none() {
    let content = "feature,label\n1,\" two\r\nlines\tand\u{a0}more \"\n2,\n3,\" \t\"\n4,a\u{202e}b\n";
    let expected = [(1, "two lines and more".to_owned()), (4, "a\u{202e}b".to_owned())];
    assert_eq!(labels("a.csv", content), expected);
    assert_eq!(labels("a.json", r#"{"1": null, "5": "x"}"#), [(5, "x".to_owned())]);
}

#[test]
fn of_several_labels_of_a_feature_the_last_counts() {
    let content = "feature,label\n1,first\n2,b\n1,last\n1,\n";
    let chosen = read("a.csv", content).unwrap();
    assert_eq!(labels("a.csv", content), [(1, "last".to_owned()), (2, "b".to_owned())]);
    assert_eq!(chosen.to_string(), "2, 1 replaced by later ones of the same feature");
}

#[test]
fn labels_of_other_features_are_counted_and_left_out() {
    let chosen = read("a.json", r#"{"9": "in", "10": "out", "4000": "out"}"#).unwrap();
    assert_eq!(chosen.labels.features, [9]);
    assert_eq!(chosen.to_string(), "1, 2 more name features that the bundle lacks");
}

#[test]
fn wrong_files_of_labels_say_what_and_where() {
    let long = format!(r#"{{"1": "{}"}}"#, "x".repeat(4097));
    for (name, content, expected) in [
        (
            "a.txt",
            "",
            "could not tell the labels' format: expected .json, .jsonl, .csv or .tsv, each also with .gz (FILE)",
        ),
        ("a.json.gz", "{\"1\": \"plain\"}", "could not read the labels: invalid gzip header (FILE)"),
        (
            "a.json",
            "{\"1\": \"x\"",
            "could not read the labels: not JSON: EOF while parsing an object at line 1 column 9 (FILE)",
        ),
        ("a.json", "3", "could not read the labels: expected a JSON object or an array of objects (FILE)"),
        ("a.json", "{}", "could not read the labels: it has none (FILE)"),
        (
            "a.json",
            "{\"12\": \"x\", \"13\": \"y\"}",
            "the labels name 2 features, and the bundle has none of them: are they of another SAE? (FILE)",
        ),
        (
            "a.json",
            "{\"-1\": \"x\"}",
            "key \"-1\" of the labels names feature \"-1\", expected an index (FILE)",
        ),
        ("a.json", "{\"1\": 5}", "key \"1\" of the labels has the label 5, expected text (FILE)"),
        (
            "a.json",
            "[{\"index\": 1.5, \"text\": \"\"}]",
            "entry 1 of the labels names feature 1.5, expected an index (FILE)",
        ),
        ("a.json", "[[1]]", "entry 1 of the labels is not a JSON object (FILE)"),
        (
            "a.json",
            &long,
            "key \"1\" of the labels has a label of 4097 bytes, expected at most 4096: shorten it (FILE)",
        ),
        (
            "a.jsonl",
            "{\"index\": 1, \"text\": \"x\"}\n{\"index\" 2}\n",
            "line 2 of the labels is not JSON: expected `:` at column 10 (FILE)",
        ),
        ("a.jsonl", "\n{\"name\": 1}", "line 2 of the labels has no \"feature\" or \"index\" (FILE)"),
        (
            "a.jsonl",
            "{\"index\": 1}",
            "line 1 of the labels has no \"label\", \"description\", \"explanation\" or \"text\" (FILE)",
        ),
        (
            "a.jsonl",
            "{\"index\": 4294967296, \"text\": \"x\"}",
            "line 1 of the labels names feature 4294967296, expected an index (FILE)",
        ),
        (
            "a.csv",
            "id,label\n1,x\n",
            "could not read the labels: no column \"feature\" or \"index\" in the first line, whose cells are separated by commas: got id, label (FILE)",
        ),
        (
            "a.csv",
            "feature,label\n1,x\n2,a, b\n",
            "line 3 of the labels has 3 cells, expected 2 separated by commas: is a label with one of them not in quotes? (FILE)",
        ),
        (
            "a.csv",
            "feature,label\r\n1,\"x\r\ny\"\r\n\r\n2\r\n",
            "line 5 of the labels has 1 cells, expected 2 separated by commas: is a label with one of them not in quotes? (FILE)",
        ),
        (
            "a.csv",
            "feature,label\n1,x\n2,\"a label that is cut",
            "line 3 of the labels begins a quote that is never closed: is the file cut off? (FILE)",
        ),
        (
            "a.tsv",
            "feature\tlabel\n1\t\"x\n2\ty\n3\tz\n",
            "line 2 of the labels begins a quote that is never closed: is the file cut off? (FILE)",
        ),
        (
            "a.tsv",
            "feature\tlabel\n1\tx\n\ny\tx\n",
            "line 4 of the labels names feature \"y\", expected an index (FILE)",
        ),
    ] {
        assert_eq!(read(name, content).unwrap_err(), expected, "{name}");
    }
    let json = read("a.json", "{\"1\": NaN5}").unwrap_err();
    assert!(json.contains("not JSON"), "{json}");
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read("a.json", nested).unwrap_err().contains("entry 1 of the labels is not a JSON object"));
    assert!(read("a.jsonl", b"\xff\xfe").unwrap_err().contains("valid UTF-8"));
}

#[test]
fn merged_labels_leave_the_others_and_keep_every_explanation() {
    let temp = tempfile::tempdir().unwrap();
    let (bundle, file) = (temp.path().join("bundle"), temp.path().join("labels.json"));
    let text = |path: &std::path::Path| path.display().to_string();
    let compute = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_compute")).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let batch = temp.path().join("batch-0.json");
    fs::write(&batch, r#"{"features":[{"feature_index":1},{"feature_index":2},{"feature_index":5}]}"#)
        .unwrap();
    compute(&["import", "-q", "--from", "neuronpedia", &text(&batch), "--out", &text(&bundle)]);
    let merge = |content: &str| {
        fs::write(&file, content).unwrap();
        compute(&["label", "--merge", &text(&bundle), &text(&file)])
    };
    merge(r#"{"1": "one", "2": "two"}"#);
    let second = r#"[{"feature": 2, "label": "zwei", "author": "A", "method": "read", "date": "2026-01-02",
                      "scores": [{"test": "fuzzing", "value": 0.5, "judge": "B"}, {"value": null}]},
                     {"feature": 5, "label": "fünf"}, {"feature": 7, "label": "elsewhere"}]"#;
    for _again in 0..2 {
        let said = merge(second);
        assert!(said.contains("together  3 labels, 4 explanations"), "{said}");
    }
    let bundle = Bundle::open(&bundle).unwrap();
    let labels = bundle.labels().unwrap();
    assert_eq!(labels.features, [1, 2, 5]);
    assert_eq!(labels.texts, ["one", "zwei", "fünf"]);
    let explanations = bundle.explanations().unwrap();
    let of_two = explanations.of(2);
    assert_eq!(of_two.iter().map(|e| e.text.as_str()).collect::<Vec<_>>(), ["two", "zwei"]);
    let second = &of_two[1];
    let who = [&second.author, &second.method, &second.date].map(Option::as_deref);
    assert_eq!(who, [Some("A"), Some("read"), Some("2026-01-02")]);
    assert_eq!(second.scores.len(), 1);
    assert_eq!((second.scores[0].test.as_str(), second.scores[0].judge.as_deref()), ("fuzzing", Some("B")));
    assert_eq!(bundle.manifest.layers.len(), 2);
}

#[test]
fn tables_name_authors_too() {
    let read = read("a.csv", "feature,label,Author,typeName\n3,commas,gpt-4o,oai\n4,stops,,\n").unwrap();
    let who: Vec<_> = read.explanations.iter().map(|e| (e.author.as_deref(), e.method.as_deref())).collect();
    assert_eq!(who, [(Some("gpt-4o"), Some("oai")), (None, None)]);
}
