//! Files of labels: which format, and the labels in it, in order.
//!
//! A file is read as a stream: what is held is its labels, never its text, whatever it unpacks to.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use shared::{explanations::ExplanationScore, labels::MAX_LABEL_BYTES};

use super::{LabelError, json, table};

/// Names under which a feature stands.
pub const FEATURE: [&str; 2] = ["feature", "index"];
/// Names under which a label stands.
pub const TEXT: [&str; 4] = ["label", "description", "explanation", "text"];
/// Bytes of the longest text that is read, in MiB: more than twice Neuronpedia's export of 131,072 features.
const MAX_TEXT_MIB: u64 = 256;

/// Bytes of the longest single text and of the longest row, in MiB: other columns may hold more than a label.
pub const MAX_ROW_MIB: usize = 1;

/// Names under which stands who or what wrote a label, how, and when: the last are Neuronpedia's.
pub const ORIGIN: [&[&str]; 3] =
    [&["author", "explanationModelName"], &["method", "typeName"], &["date", "createdAt"]];

/// A label, with who wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub feature: u32,
    pub text: String,
    pub origin: EntryOrigin,
}

/// Who or what wrote a label, how, when, and how well it did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EntryOrigin {
    /// In the order of [`ORIGIN`].
    pub texts: [Option<String>; ORIGIN.len()],
    pub scores: Vec<ExplanationScore>,
}

/// What a file of labels holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// An object, or an array of objects.
    Json,
    /// An object a line.
    JsonLines,
    /// A head, and a line a label; the byte that its name says is between cells.
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

/// Hands the labels of the file at `path` to `take`, without empty ones.
pub(super) fn read(path: &Path, take: impl FnMut(Entry)) -> Result<(), LabelError> {
    let (format, compressed) =
        Format::of(path).ok_or_else(|| LabelError::Format { path: path.to_owned() })?;
    let text = open(path, compressed).map_err(|cause| LabelError::Read { cause, path: path.to_owned() })?;
    let source = Source { path };
    match format {
        Format::Json => json::whole(source, text, take),
        Format::JsonLines => json::lines(source, text, take),
        Format::Table(separator) => table::rows(source, text, separator, take),
    }
}

/// The file's text, without the mark that some programs begin it with.
fn open(path: &Path, compressed: bool) -> io::Result<Box<dyn BufRead>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = BufReader::new(File::open(path)?);
    let text: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut text = BufReader::new(LimitedReader { text, left: MAX_TEXT_MIB << 20 });
    if text.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
        text.consume("\u{feff}".len());
    }
    Ok(Box::new(text))
}

/// A text that is too long fails before it is in memory.
struct LimitedReader<R> {
    text: R,
    left: u64,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.text.read(to)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(format!(
                "it holds more than {MAX_TEXT_MIB} MiB of text: reduce it to features and their labels, of at most {MAX_LABEL_BYTES} bytes each"
            ))
        })?;
        Ok(n)
    }
}

/// A value of a file of labels.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// None, as JSON's null or Python's NaN.
    Nothing,
    Text(String),
    Number(f64),
    /// Something that is neither, in words.
    Other(&'static str),
}

impl Cell {
    /// As messages show it.
    fn shown(&self) -> String {
        match self {
            Self::Nothing => "null".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            Self::Other(what) => (*what).to_owned(),
        }
    }

    /// The text that it is; none where it is none.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// A feature's index: a whole number, or one as text; pandas writes `7.0` where a column has gaps.
    fn index(&self) -> Option<u32> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Number(number) => *number,
            _ => return None,
        };
        let whole = number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0;
        whole.then_some(number as u32)
    }
}

/// A file of labels that is read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    path: &'a Path,
}

impl Source<'_> {
    /// A label as one line; `None` where its text is empty.
    ///
    /// - `at`: where in the file
    pub fn entry(
        self,
        at: impl Fn() -> String,
        feature: Option<&Cell>,
        text: Option<&Cell>,
        origin: EntryOrigin,
    ) -> Result<Option<Entry>, LabelError> {
        let wrong = |reason: String| self.wrong_entry(at(), reason);
        let feature = feature.ok_or_else(|| wrong(format!("has no {}", any_of(&FEATURE))))?;
        let number = feature
            .index()
            .ok_or_else(|| wrong(format!("names feature {}, expected an index", feature.shown())))?;
        let text = match text {
            None => return Err(wrong(format!("has no {}", any_of(&TEXT)))),
            Some(Cell::Nothing) => "",
            Some(Cell::Text(text)) => text,
            Some(other) => return Err(wrong(format!("has the label {}, expected text", other.shown()))),
        };
        let label = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if label.len() > MAX_LABEL_BYTES {
            let n_bytes = label.len();
            return Err(wrong(format!(
                "has a label of {n_bytes} bytes, expected at most {MAX_LABEL_BYTES}: shorten it"
            )));
        }
        Ok((!label.is_empty()).then_some(Entry { feature: number, text: label, origin }))
    }

    pub fn wrong(self, reason: String) -> LabelError {
        LabelError::File { reason, path: self.path.to_owned() }
    }

    pub fn wrong_entry(self, at: String, reason: String) -> LabelError {
        LabelError::Entry { at, reason, path: self.path.to_owned() }
    }

    pub fn unreadable(self, cause: io::Error) -> LabelError {
        LabelError::Read { cause, path: self.path.to_owned() }
    }
}

/// `"a", "b" or "c"`.
pub fn any_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
