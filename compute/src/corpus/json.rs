//! JSON rows: one a line, or the values of one array. What one library writes and another cannot read (`NaN`, lone
//! surrogates, bytes that are no UTF-8) does not cost the row.

use std::{borrow::Cow, fmt, io::BufRead, path::PathBuf};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{
    CorpusError,
    lines::{Next, array_value, line},
    open::Bytes,
    record::{Item, choose, from_json, shape},
};

/// Rows without any column that is read, at the beginning of a file, after which it is refused.
const PATIENCE: u64 = 1000;

/// The rows of a JSON file.
pub struct Rows {
    bytes: Bytes,
    path: PathBuf,
    /// The column that the reader named.
    given: Option<String>,
    /// The column that is read, once it is known.
    column: Option<String>,
    /// Whether the rows are the values of an array.
    array: bool,
    limit: u64,
    /// Bytes in which further lines may begin; `None` = all.
    left: Option<u64>,
    at: u64,
    row: Vec<u8>,
    ended: bool,
}

impl Rows {
    /// The rows that follow in `bytes`: of an array where it begins with `[`, else one a line.
    ///
    /// - `limit`: of a row, in bytes
    pub fn new(
        mut bytes: Bytes,
        path: PathBuf,
        column: Option<&str>,
        limit: u64,
    ) -> Result<Self, CorpusError> {
        let array =
            begins_an_array(&mut bytes).map_err(|cause| CorpusError::Read { cause, path: path.clone() })?;
        Ok(Self {
            bytes,
            path,
            given: column.map(str::to_owned),
            column: None,
            array,
            limit,
            left: None,
            at: 0,
            row: Vec::new(),
            ended: false,
        })
    }

    /// Only the lines that begin in the next `n` bytes.
    #[must_use]
    pub fn within(self, n: Option<u64>) -> Self {
        Self { left: n, ..self }
    }

    fn item(&mut self) -> Result<Item, CorpusError> {
        let (at, given) = (self.at, self.given.as_deref());
        let mut replaced = false;
        let record = if let Some(column) = &self.column {
            field(&self.row, column, &mut replaced).and_then(|value| match value {
                Some(value) => from_json(value),
                None => Err(format!("has no \"{column}\"")),
            })
        } else {
            whole(&self.row, &mut replaced).and_then(|mut row| {
                let columns: Vec<_> = row.iter().map(|(name, value)| (name.clone(), shape(value))).collect();
                let name = columns[choose(given, &columns)?].0.clone();
                let value = row.remove(&name).unwrap_or_default();
                self.column = Some(name);
                from_json(value)
            })
        };
        match record {
            Err(reason) if self.column.is_none() && at >= PATIENCE => {
                let reason = format!("{reason}; so are all rows before row {at}");
                Err(CorpusError::Column { reason, path: self.path.clone() })
            }
            record => Ok(Item { at, continues: false, replaced, record }),
        }
    }

    fn next_row(&mut self) -> Result<Next, CorpusError> {
        if self.left == Some(0) {
            return Ok(Next::End);
        }
        let read = if self.array { array_value } else { line };
        let next = read(&mut self.bytes, self.limit, &mut self.row)
            .map_err(|cause| CorpusError::Read { cause, path: self.path.clone() })?;
        self.at += 1;
        self.left = self.left.map(|left| left.saturating_sub(self.row.len() as u64 + 1));
        Ok(next)
    }
}

impl Iterator for Rows {
    type Item = Result<Item, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.next_row() {
                Ok(Next::Some) if self.row.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Next::Some) => {
                    let item = self.item();
                    self.ended = item.is_err();
                    return Some(item);
                }
                Ok(Next::TooLong) => {
                    self.ended = true;
                    let unit = if self.array { "row" } else { "line" };
                    let (at, limit, path) = (self.at, self.limit, self.path.clone());
                    return Some(Err(CorpusError::TooLongADocument { unit, at, limit, path }));
                }
                Ok(Next::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("path", &self.path).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Whether the first byte that is no space is `[`, which is then read.
fn begins_an_array(bytes: &mut Bytes) -> std::io::Result<bool> {
    loop {
        let part = bytes.fill_buf()?;
        if part.is_empty() {
            return Ok(false);
        }
        let (n, is_whole) = (part.iter().take_while(|b| b.is_ascii_whitespace()).count(), part.len());
        let first = part.get(n).copied();
        if first == Some(b'[') {
            bytes.consume(n + 1);
            return Ok(true);
        }
        if n < is_whole {
            return Ok(false);
        }
        bytes.consume(n);
    }
}

/// One field of a row; the others are passed over unread.
fn field(row: &[u8], name: &str, replaced: &mut bool) -> Result<Option<Value>, String> {
    let read = |row: &[u8]| {
        let mut json = serde_json::Deserializer::from_slice(row);
        Field(name).deserialize(&mut json).and_then(|value| json.end().map(|()| value))
    };
    read(row).or_else(|_| {
        let value = read(repaired(row).as_bytes()).map_err(|e| format!("is not a JSON object: {e}"))?;
        *replaced = value.as_ref().is_some_and(has_replacement);
        Ok(value)
    })
}

/// All fields of a row.
fn whole(row: &[u8], replaced: &mut bool) -> Result<serde_json::Map<String, Value>, String> {
    let value = serde_json::from_slice::<Value>(row).or_else(|_| {
        let value = serde_json::from_str::<Value>(&repaired(row));
        *replaced = value.as_ref().is_ok_and(has_replacement);
        value
    });
    match value {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(e) => Err(format!("is not a JSON object: {e}")),
    }
}

fn has_replacement(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::REPLACEMENT_CHARACTER),
        Value::Array(values) => values.iter().any(has_replacement),
        Value::Object(fields) => fields.values().any(has_replacement),
        _ => false,
    }
}

/// Reads an object and gives one field of it.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A row as JSON has it: bytes that are no UTF-8 and lone surrogates become U+FFFD, and numbers that JSON lacks null.
fn repaired(row: &[u8]) -> String {
    const NOT_JSON: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let text = String::from_utf8_lossy(row);
    let mut fixed = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        if !in_string && let Some(word) = NOT_JSON.iter().find(|word| rest.starts_with(**word)) {
            fixed.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let n = match c {
            '\\' if in_string => match surrogates(rest) {
                Some((n, true)) => n,
                Some((n, false)) => {
                    fixed.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[n..];
                    continue;
                }
                None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            },
            c => {
                in_string ^= c == '"';
                c.len_utf8()
            }
        };
        fixed.push_str(&rest[..n]);
        rest = &rest[n..];
    }
    fixed
}

/// Bytes of the escaped surrogates that `text` begins with, and whether they are a pair.
fn surrogates(text: &str) -> Option<(usize, bool)> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    match unit(text)? {
        0xD800..=0xDBFF => match text.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => Some((12, true)),
            _ => Some((6, false)),
        },
        0xDC00..=0xDFFF => Some((6, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::record::Record;

    fn read(text: &[u8], column: Option<&str>) -> Vec<Result<Item, CorpusError>> {
        let bytes: Bytes = Box::new(std::io::Cursor::new(text.to_vec()));
        Rows::new(bytes, "x.jsonl".into(), column, 1000).unwrap().collect()
    }

    fn texts(text: &[u8]) -> Vec<(u64, bool, Result<Record, String>)> {
        read(text, None).into_iter().map(Result::unwrap).map(|i| (i.at, i.replaced, i.record)).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is a result")]
    fn text(text: &str) -> Result<Record, String> {
        Ok(Record::Text(text.to_owned()))
    }

    #[test]
    fn rows_are_lines_or_values_of_an_array() {
        let expected = vec![(1, false, text("a")), (2, false, text("b"))];
        assert_eq!(texts(b"{\"text\": \"a\"}\n{\"id\": 3, \"text\": \"b\"}"), expected);
        assert_eq!(texts(b" [{\"text\": \"a\"},\n {\"text\": \"b\", \"x\": [1, {}]}]\n"), expected);
    }

    #[test]
    fn what_json_lacks_costs_no_row() {
        assert_eq!(
            texts(br#"{"score": NaN, "low": -Infinity, "text": "NaN \"NaN"}"#),
            [(1, false, text("NaN \"NaN"))]
        );
        assert_eq!(texts(br#"{"text": "a\ud83d b\ud83d\ude00"}"#), [(1, true, text("a\u{fffd} b\u{1f600}"))]);
        assert_eq!(texts(b"{\"text\": \"caf\xe9\"}"), [(1, true, text("caf\u{fffd}"))]);
        let elsewhere = b"{\"text\": \"a\"}\n{\"id\": \"\xe9\\ud800\", \"text\": \"b\"}";
        assert_eq!(texts(elsewhere)[1], (2, false, text("b")), "replaced where nobody reads");
    }

    #[test]
    fn rows_that_hold_no_text_say_why() {
        let rows = b"{\"text\": \"a\"}\n\n{\"body\": 1}\n{\"text\": null}\n{\"text\": 5}\n{\"text\"\n[1]";
        let reasons: Vec<_> = texts(rows).into_iter().filter_map(|(at, _, r)| Some((at, r.err()?))).collect();
        let expected = [
            (3, "has no \"text\""),
            (4, "is null"),
            (5, "is 5, expected text"),
            (6, "is not a JSON object"),
            (7, "is not a JSON object"),
        ];
        assert_eq!(reasons.len(), expected.len());
        for ((at, reason), (expected_at, said)) in reasons.iter().zip(expected) {
            assert!(*at == expected_at && reason.starts_with(said), "{at}: {reason}");
        }
    }

    #[test]
    fn a_file_without_the_column_is_refused_after_some_rows() {
        let rows = "{\"body\": \"a\"}\n".repeat(2000);
        let read = read(rows.as_bytes(), None);
        assert_eq!(read.len() as u64, PATIENCE);
        let error = read.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains("no column \"text\", it has body: name one with --text-column"), "{error}");
    }

    #[test]
    fn a_row_beyond_the_limit_is_an_error() {
        let long = format!("{{\"text\": \"{}\"}}", "a".repeat(2000));
        let error = read(long.as_bytes(), None).remove(0).unwrap_err().to_string();
        assert!(
            error.starts_with("line 1 of the corpus is longer than 1000 bytes: raise --max-document"),
            "{error}"
        );
    }
}
