//! Labels as JSON: one value, or one a line.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use serde_json::Value;
use shared::explanations::ExplanationScore;

use super::{
    LabelError,
    formats::{Cell, Entry, EntryOrigin, FEATURE, MAX_ROW_MIB, ORIGIN, Source, TEXT, any_of},
};

/// Bytes of the longest line of JSON Lines, in MiB.
const MAX_LINE_MIB: u64 = 16;

/// The labels of an object of texts, or of an array of objects.
pub fn whole(source: Source<'_>, text: impl BufRead, mut take: impl FnMut(Entry)) -> Result<(), LabelError> {
    let mut found = LabelVisitor { source, take: &mut take, wrong: None };
    let mut json = serde_json::Deserializer::from_reader(WithoutNan::new(text));
    let parsed = (&mut found).deserialize(&mut json).and_then(|()| json.end());
    match (parsed, found.wrong) {
        (_, Some(wrong)) => Err(wrong),
        (Err(e), None) if e.is_io() => Err(source.unreadable(e.into())),
        (Err(e), None) if e.to_string().starts_with(EXPECTED) => Err(source.wrong(EXPECTED.to_owned())),
        (Err(e), None) => Err(source.wrong(format!("not JSON: {e}"))),
        (Ok(()), None) => Ok(()),
    }
}

/// The labels of an object a line.
pub fn lines(
    source: Source<'_>,
    mut text: impl BufRead,
    mut take: impl FnMut(Entry),
) -> Result<(), LabelError> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let at = || format!("line {number}");
        let limit = MAX_LINE_MIB << 20;
        let n = text.by_ref().take(limit + 1).read_until(b'\n', &mut line);
        if n.map_err(|e| source.unreadable(e))? == 0 {
            break;
        }
        if line.len() as u64 > limit {
            return Err(
                source.wrong_entry(at(), format!("has more than {MAX_LINE_MIB} MiB: is it JSON Lines?"))
            );
        }
        let shown = std::str::from_utf8(&line)
            .map_err(|_invalid| source.wrong_entry(at(), "is not valid UTF-8".to_owned()))?;
        if shown.trim().is_empty() {
            continue;
        }
        let object: Object = serde_json::from_reader(WithoutNan::new(line.as_slice())).map_err(|e| {
            if e.is_io() {
                return source.wrong_entry(at(), io::Error::from(e).to_string());
            }
            let said = e.to_string();
            let what = said.split_once(" at line ").map_or(said.as_str(), |(what, _)| what);
            source.wrong_entry(at(), format!("is not JSON: {what} at column {}", e.column()))
        })?;
        object.entry(source, at)?.map(&mut take).unwrap_or_default();
    }
    Ok(())
}

const EXPECTED: &str = "expected a JSON object or an array of objects";

/// Takes what is found in a JSON value while it is parsed, and keeps the first that is wrong.
struct LabelVisitor<'a> {
    source: Source<'a>,
    take: &'a mut dyn FnMut(Entry),
    wrong: Option<LabelError>,
}

impl LabelVisitor<'_> {
    fn add<E: Error>(&mut self, entry: Result<Option<Entry>, LabelError>) -> Result<(), E> {
        match entry {
            Ok(entry) => {
                entry.map(&mut self.take).unwrap_or_default();
                Ok(())
            }
            Err(wrong) => {
                self.wrong = Some(wrong);
                Err(E::custom("stopped"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut LabelVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut LabelVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object or an array of objects")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, text)) = map.next_entry::<String, Cell>()? {
            let at = || format!("key {key:?}");
            let feature = Cell::Text(key.clone());
            self.add(self.source.entry(at, Some(&feature), Some(&text), EntryOrigin::default()))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(object) = seq.next_element::<Object>()? {
            number += 1;
            self.add(object.entry(self.source, || format!("entry {number}")))?;
        }
        Ok(())
    }
}

/// An object such as `{"index": "8", "description": "words after opening quotes"}`: of its fields those that count.
#[derive(Debug)]
enum Object {
    Fields(Box<Fields>),
    Other,
}

#[derive(Debug, Default)]
struct Fields {
    features: [Option<Cell>; FEATURE.len()],
    texts: [Option<Cell>; TEXT.len()],
    origin: EntryOrigin,
}

impl Object {
    fn entry(self, source: Source<'_>, at: impl Fn() -> String) -> Result<Option<Entry>, LabelError> {
        match self {
            Self::Other => Err(source.wrong_entry(at(), "is not a JSON object".to_owned())),
            Self::Fields(fields) => {
                let Fields { features, texts, origin } = *fields;
                source.entry(at, features.iter().flatten().next(), texts.iter().flatten().next(), origin)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ObjectVisitor)
    }
}

struct ObjectVisitor;

/// Scores of a label: `{"test": "fuzzing", "value": 0.8}` each, or as Neuronpedia writes them. What has no value is none.
fn scores(value: &Value) -> Vec<ExplanationScore> {
    let score = |entry: &Value| {
        let text = |names: [&str; 2]| names.iter().find_map(|name| entry[*name].as_str()).map(str::to_owned);
        Some(ExplanationScore {
            test: text(["test", "explanationScoreTypeName"]).unwrap_or_else(|| "score".to_owned()),
            value: entry["value"].as_f64()?,
            judge: text(["judge", "explanationScoreModelName"]),
        })
    };
    value.as_array().into_iter().flatten().filter_map(score).collect()
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {} and {}", any_of(&FEATURE), any_of(&TEXT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Box::<Fields>::default();
        let Fields { features, texts, origin } = &mut *fields;
        while let Some(key) = map.next_key::<String>()? {
            if let Some(i) = FEATURE.iter().position(|name| key == *name) {
                features[i] = Some(map.next_value()?);
            } else if let Some(i) = TEXT.iter().position(|name| key == *name) {
                texts[i] = Some(map.next_value()?);
            } else if let Some(i) = ORIGIN.iter().position(|names| names.contains(&key.as_str())) {
                origin.texts[i] = map.next_value::<Cell>()?.text().or(origin.texts[i].take());
            } else if key == "scores" {
                origin.scores = scores(&map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Object::Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Object, E> {
        Ok(Object::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Object, E> {
        Ok(Object::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Object, E> {
        Ok(Object::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Object, E> {
        Ok(Object::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Object, E> {
        Ok(Object::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Object, E> {
        Ok(Object::Other)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Cell, E> {
        Ok(Cell::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Cell, E> {
        Ok(Cell::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Cell, E> {
        Ok(Cell::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Cell, E> {
        Ok(Cell::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Other(if value { "true" } else { "false" }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Other("an object"))
    }
}

/// JSON as Python writes it: numbers that are none, `NaN` and `Infinity`, read as null.
struct WithoutNan<R> {
    text: R,
    /// What is to be read next, backwards.
    ready: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// Bytes of the string that is read.
    n_string: usize,
}

impl<R: BufRead> WithoutNan<R> {
    fn new(text: R) -> Self {
        Self { text, ready: Vec::new(), in_string: false, escaped: false, n_string: 0 }
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.ready.pop() {
            return Ok(Some(byte));
        }
        let Some(byte) = self.byte()? else { return Ok(None) };
        if self.in_string {
            self.n_string += 1;
            if self.n_string > MAX_ROW_MIB << 20 {
                return Err(io::Error::other(format!("holds a text of more than {MAX_ROW_MIB} MiB")));
            }
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(Some(byte));
        }
        (self.in_string, self.n_string) = (byte == b'"', 0);
        let word: &[u8] = match byte {
            b'N' => b"NaN",
            b'I' => b"Infinity",
            b'-' if self.text.fill_buf()?.first() == Some(&b'I') => b"-Infinity",
            _ => return Ok(Some(byte)),
        };
        // Another word is no JSON, whatever is made of it.
        for expected in &word[1..] {
            if self.text.fill_buf()?.first() == Some(expected) {
                self.text.consume(1);
            } else {
                return Ok(Some(byte));
            }
        }
        self.ready.extend(b"llu");
        Ok(Some(b'n'))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.text.fill_buf()?.first().copied();
        self.text.consume(usize::from(byte.is_some()));
        Ok(byte)
    }
}

impl<R: BufRead> Read for WithoutNan<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < to.len() {
            let Some(byte) = self.next()? else { break };
            to[n] = byte;
            n += 1;
        }
        Ok(n)
    }
}
