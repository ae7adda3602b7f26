//! A JSON or YAML config beside the weights, read with its types checked.
//!
//! A field that is missing or null is `None`; a field of another type than expected is an error that names it. Were the
//! second taken for the first, an SAE would be read as another one.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::SaeError;

/// The most bytes that a config may have.
const MAX_BYTES: u64 = 4 << 20;

/// An object of settings. Names are dotted paths: `trainer.k` is the field `k` of the object `trainer`.
#[derive(Debug)]
pub struct Settings {
    fields: Map<String, Value>,
    path: PathBuf,
    /// Where a field is looked up that is not at the top.
    section: Option<&'static str>,
}

impl Settings {
    /// Reads a JSON file that must be there and hold one object.
    pub fn read(path: &Path) -> Result<Self, SaeError> {
        Self::parse(path, |text| {
            serde_json::from_str(text).map_err(|error| format!("the config is not JSON: {error}"))
        })
    }

    /// Reads a JSON file if it is there; else nothing is set.
    pub fn read_if_any(path: &Path) -> Result<Self, SaeError> {
        if path.exists() { Self::read(path) } else { Ok(Self::empty(path)) }
    }

    /// Reads a YAML file if it is there; else nothing is set.
    pub fn read_yaml_if_any(path: &Path) -> Result<Self, SaeError> {
        if !path.exists() {
            return Ok(Self::empty(path));
        }
        Self::parse(path, |text| {
            serde_yaml_ng::from_str(text).map_err(|error| format!("the config is not YAML: {error}"))
        })
    }

    fn parse(path: &Path, parse: impl Fn(&str) -> Result<Value, String>) -> Result<Self, SaeError> {
        let error = |reason: String| SaeError::Config { reason, path: path.to_owned() };
        let read = |source: std::io::Error| error(unreadable(&source));
        let metadata = std::fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            return Err(error(
                "the config is not a file, expected one: give the SAE's own folder".to_owned(),
            ));
        }
        if metadata.len() > MAX_BYTES {
            return Err(error(format!("the config has {} bytes, no config is that long", metadata.len())));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        match parse(&text).map_err(error)? {
            Value::Object(fields) => Ok(Self { fields, path: path.to_owned(), section: None }),
            other => Err(error(format!("the config is {}, expected an object", kind(&other)))),
        }
    }

    fn empty(path: &Path) -> Self {
        Self { fields: Map::new(), path: path.to_owned(), section: None }
    }

    /// Fields that are not at the top are looked up in `section` as well.
    #[must_use]
    pub fn with_section(mut self, section: &'static str) -> Self {
        self.section = Some(section);
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a field is set, to whatever it may be.
    pub fn has(&self, name: &str) -> bool {
        matches!(self.value(name), Ok(Some(_)))
    }

    /// A field of any type.
    pub fn value(&self, name: &str) -> Result<Option<&Value>, SaeError> {
        let top = self.lookup(&mut name.split('.'), name)?;
        match (top, self.section) {
            (None, Some(section)) => self.lookup(&mut std::iter::once(section).chain(name.split('.')), name),
            (top, _) => Ok(top),
        }
    }

    fn lookup<'a>(
        &self,
        parts: &mut impl Iterator<Item = &'a str>,
        name: &str,
    ) -> Result<Option<&Value>, SaeError> {
        let mut fields = &self.fields;
        let mut part = parts.next().unwrap_or_default();
        loop {
            let value = match fields.get(part) {
                None | Some(Value::Null) => return Ok(None),
                Some(value) => value,
            };
            let Some(next) = parts.next() else { return Ok(Some(value)) };
            let Value::Object(inner) = value else {
                return Err(self.wrong_type(part, value, &format!("an object with \"{name}\"")));
            };
            (fields, part) = (inner, next);
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<String>, SaeError> {
        self.typed(name, "text", |value| value.as_str().map(str::to_owned))
    }

    /// true or false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, SaeError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A finite number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, SaeError> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// A whole number, written with or without a fraction of zero.
    pub fn int(&self, name: &str) -> Result<Option<i64>, SaeError> {
        self.typed(name, "a whole number", whole)
    }

    /// A whole number above zero.
    pub fn positive_int(&self, name: &str) -> Result<Option<i64>, SaeError> {
        self.typed(name, "a whole number above 0", |value| whole(value).filter(|int| *int > 0))
    }

    /// A number above zero that must be there.
    pub fn need_positive(&self, name: &str) -> Result<f64, SaeError> {
        let value = self.typed(name, "a number above 0", |value| value.as_f64().filter(|v| *v > 0.0))?;
        value.ok_or_else(|| self.missing(name))
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, SaeError> {
        match self.value(name)? {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong_type(name, value, expected)),
        }
    }

    /// The error for a field that has to be there.
    pub fn missing(&self, name: &str) -> SaeError {
        self.error(format!("its config has no \"{name}\""))
    }

    /// The error for a field of another type.
    pub fn wrong_type(&self, name: &str, value: &Value, expected: &str) -> SaeError {
        self.error(format!("its config has {} as \"{name}\", expected {expected}", short(value)))
    }

    /// The error for a value that is not read.
    pub fn unsupported(&self, what: &'static str, got: String, expected: &'static str) -> SaeError {
        SaeError::Unsupported { what, got, expected, path: self.path.clone() }
    }

    /// An error about this file.
    pub fn error(&self, reason: String) -> SaeError {
        SaeError::Config { reason, path: self.path.clone() }
    }
}

/// Python writes some whole numbers as `4.0`.
fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let of_float = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of_float))
}

/// Why a config cannot be read, with the next step where it is not there.
fn unreadable(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return "no config, expected the settings that the SAE was saved with: fetch this file from where the weights \
                came from"
            .to_owned();
    }
    format!("cannot read the config: {error}")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value as JSON; long ones by their kind.
fn short(value: &Value) -> String {
    const SHOWN: usize = 40;
    let text = value.to_string();
    if text.len() <= SHOWN { text } else { kind(value).to_owned() }
}
