//! Tries any bytes as a file of labels: JSON, JSON Lines, CSV or TSV, plain or gzipped, by the first byte.

use compute::labels::FeatureLabels;

use super::good;
use crate::folder::with_files;
use crate::verdict::{Outcome, told, outcome};

const NAMES: [&str; 6] =
    ["labels.json", "labels.jsonl", "labels.csv", "labels.tsv", "labels.json.gz", "labels.csv.gz"];

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, file) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let name = NAMES[first % NAMES.len()];
    with_files("labels", &[(name, file)], |folder| {
        let read = told(FeatureLabels::read(&folder.join(name), |feature| feature < 64));
        outcome(read.map(|labels| labels.to_string()))
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let file = |first: u8, text: &[u8]| [&[first], text].concat();
    let neuronpedia = br#"[{"index":"8","description":"quotes","explanationModelName":"m","typeName":"t","scores":[{"value":0.5,"explanationScoreTypeName":"detection"}]}]"#;
    vec![
        file(0, br#"{"8": "words after opening quotes", "3": ""}"#),
        file(0, neuronpedia),
        file(1, b"{\"feature\":8,\"label\":\"a\"}\n{\"feature\":9.0,\"text\":\"b\",\"author\":\"c\"}\n"),
        file(2, b"feature,label,date\n8,\"a, \"\"b\"\"\",2024\n9,c,\n"),
        file(3, b"index\ttext\n8\ta\n"),
        file(4, &good::gzip(br#"{"8": "words"}"#)),
        file(5, &good::gzip(b"feature,label\n8,a\n")),
    ]
}
