//! Files of labels: which format, and the labels in it, in order.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use shared::labels::MAX_LABEL_BYTES;

use super::LabelError;

/// Names under which a feature stands.
const FEATURE: [&str; 2] = ["feature", "index"];
/// Names under which a label stands.
const TEXT: [&str; 4] = ["label", "description", "explanation", "text"];

/// A feature and its label.
type Entry = (u32, String);

/// What a file of labels holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// An object, or an array of objects.
    Json,
    /// An object a line.
    JsonLines,
    /// A head, and a line a label; the byte between cells.
    Table(u8),
}

impl Format {
    /// By the file's name, and whether it is compressed.
    fn of(path: &Path) -> Option<(Self, bool)> {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let plain = name.strip_suffix(".gz");
        let format = match plain.unwrap_or(&name).rsplit_once('.')?.1 {
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            "csv" => Self::Table(b','),
            "tsv" => Self::Table(b'\t'),
            _ => return None,
        };
        Some((format, plain.is_some()))
    }
}

/// The labels of the file at `path`, without empty ones.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, LabelError> {
    let (format, compressed) =
        Format::of(path).ok_or_else(|| LabelError::Format { path: path.to_owned() })?;
    let source = Source { path, text: text(path, compressed)? };
    match format {
        Format::Json => source.json(),
        Format::JsonLines => source.json_lines(),
        Format::Table(delimiter) => source.table(delimiter),
    }
}

/// The file's text, without the mark that some programs begin it with.
fn text(path: &Path, compressed: bool) -> Result<String, LabelError> {
    let failed = |source| LabelError::Read { source, path: path.to_owned() };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut reader: Box<dyn Read> =
        if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(failed)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A file of labels, read.
struct Source<'a> {
    path: &'a Path,
    text: String,
}

impl Source<'_> {
    fn json(&self) -> Result<Vec<Entry>, LabelError> {
        let value = serde_json::from_str(&self.text).map_err(|e| self.wrong(format!("not JSON: {e}")))?;
        match value {
            Value::Object(texts) => {
                let entry = |(feature, text): (String, Value)| {
                    let place = || format!("key {feature:?}");
                    self.entry(place, Some(&Value::from(feature.as_str())), Some(&text))
                };
                texts.into_iter().filter_map(|pair| entry(pair).transpose()).collect()
            }
            Value::Array(objects) => {
                let entry = |(i, object): (usize, Value)| self.object(|| format!("entry {}", i + 1), &object);
                objects.into_iter().enumerate().filter_map(|pair| entry(pair).transpose()).collect()
            }
            _ => Err(self.wrong("expected a JSON object or an array of objects".to_owned())),
        }
    }

    fn json_lines(&self) -> Result<Vec<Entry>, LabelError> {
        let lines = self.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let entry = |(i, line): (usize, &str)| {
            let place = || format!("line {}", i + 1);
            let object = serde_json::from_str(line).map_err(|e| {
                let said = e.to_string();
                let what = said.split_once(" at line ").map_or(said.as_str(), |(what, _)| what);
                self.wrong_entry(place(), format!("is not JSON: {what} at column {}", e.column()))
            })?;
            self.object(place, &object)
        };
        lines.filter_map(|line| entry(line).transpose()).collect()
    }

    fn table(&self, delimiter: u8) -> Result<Vec<Entry>, LabelError> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(self.text.as_bytes());
        let head = reader.headers().map_err(|e| self.wrong_row(&e))?.clone();
        let column = |names: &[&str]| {
            let at = |name: &&str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
            names.iter().find_map(at).ok_or_else(|| {
                let got = head.iter().collect::<Vec<_>>().join(", ");
                self.wrong(format!("no column {}, got {got}", any_of(names)))
            })
        };
        let (feature, text) = (column(&FEATURE)?, column(&TEXT)?);
        let entry = |row: Result<csv::StringRecord, csv::Error>| {
            let row = row.map_err(|e| self.wrong_row(&e))?;
            let place = || row.position().map_or_else(String::new, |position| self.line(position));
            let cell = |column: usize| row.get(column).map(Value::from);
            self.entry(place, cell(feature).as_ref(), cell(text).as_ref())
        };
        reader.records().filter_map(|row| entry(row).transpose()).collect()
    }

    /// The label in an object such as `{"index": "8", "description": "words after opening quotes"}`.
    fn object(&self, place: impl Fn() -> String, object: &Value) -> Result<Option<Entry>, LabelError> {
        let Value::Object(object) = object else {
            return Err(self.wrong_entry(place(), "is not a JSON object".to_owned()));
        };
        self.entry(place, first_of(object, &FEATURE), first_of(object, &TEXT))
    }

    /// A label as one line; `None` where its text is empty.
    fn entry(
        &self,
        place: impl Fn() -> String,
        feature: Option<&Value>,
        text: Option<&Value>,
    ) -> Result<Option<Entry>, LabelError> {
        let wrong = |reason: String| self.wrong_entry(place(), reason);
        let feature = feature.ok_or_else(|| wrong(format!("has no {}", any_of(&FEATURE))))?;
        let number =
            number(feature).ok_or_else(|| wrong(format!("names feature {feature}, expected an index")))?;
        let text = match text {
            None => return Err(wrong(format!("has no {}", any_of(&TEXT)))),
            Some(Value::Null) => "",
            Some(Value::String(text)) => text,
            Some(other) => return Err(wrong(format!("has the label {other}, expected text"))),
        };
        let label = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if label.len() > MAX_LABEL_BYTES {
            let n_bytes = label.len();
            return Err(wrong(format!(
                "has a label of {n_bytes} bytes, expected at most {MAX_LABEL_BYTES}: shorten it"
            )));
        }
        Ok((!label.is_empty()).then_some((number, label)))
    }

    /// The line of a row of the table: the reader counts blank lines before a row to it.
    fn line(&self, position: &csv::Position) -> String {
        let row = self.text.get(position.byte() as usize..).unwrap_or_default();
        let blank = row.bytes().take_while(|byte| b"\r\n".contains(byte));
        format!("line {}", position.line() + blank.filter(|byte| *byte == b'\n').count() as u64)
    }

    fn wrong(&self, reason: String) -> LabelError {
        LabelError::File { reason, path: self.path.to_owned() }
    }

    fn wrong_entry(&self, place: String, reason: String) -> LabelError {
        LabelError::Entry { place, reason, path: self.path.to_owned() }
    }

    fn wrong_row(&self, error: &csv::Error) -> LabelError {
        match error.kind() {
            csv::ErrorKind::UnequalLengths { pos: Some(pos), expected_len, len } => self.wrong_entry(
                self.line(pos),
                format!("has {len} cells, expected {expected_len}: is a label with a comma or a tab not in quotes?"),
            ),
            _ => self.wrong(error.to_string()),
        }
    }
}

/// The first of `names` that the object has.
fn first_of<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(*name))
}

/// A feature's index: a number, or one as text.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        number => u32::try_from(number.as_u64()?).ok(),
    }
}

/// `"a", "b" or "c"`.
fn any_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
