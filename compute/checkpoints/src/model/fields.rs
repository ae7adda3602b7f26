//! A config's fields. One that is missing (or null) and one of another type are different things: the first
//! may have a default, the second is always an error that names it.

use std::path::Path;

use serde_json::{Map, Value};

use super::Activation;
use super::error::ConfigError;

/// A JSON object of a config file.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Put before names in messages: `text_config.` or nothing.
    within: &'static str,
    path: &'a Path,
}

impl<'a> Fields<'a> {
    /// Takes the file's outermost value.
    pub fn new(json: &'a Value, path: &'a Path) -> Result<Self, ConfigError> {
        let object = json.as_object().ok_or_else(|| ConfigError::Config {
            reason: format!("config is {}, expected a JSON object", short(json)),
            path: path.to_owned(),
        })?;
        Ok(Self { object, within: "", path })
    }

    /// The value of this name, unless it is null.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// An object inside this one; `within` is its name and a dot.
    pub fn section(&self, within: &'static str) -> Result<Option<Self>, ConfigError> {
        let name = within.trim_end_matches('.');
        let object = self.typed(name, "an object", Value::as_object)?;
        Ok(object.map(|object| Self { object, within, path: self.path }))
    }

    /// Names and values, null ones left out.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.object.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value))
    }

    /// The object itself, of another section of the file.
    pub fn of(&self, object: &'a Map<String, Value>) -> Self {
        Self { object, ..*self }
    }

    /// An integer that has to be there.
    pub fn int(&self, name: &str) -> Result<i64, ConfigError> {
        self.maybe_int(name)?.ok_or_else(|| self.wrong(name, "an integer"))
    }

    /// An integer that may be missing.
    pub fn maybe_int(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        self.typed(name, "an integer", integer)
    }

    /// A finite number that has to be there.
    pub fn float(&self, name: &str) -> Result<f64, ConfigError> {
        self.maybe_float(name)?.ok_or_else(|| self.wrong(name, "a number"))
    }

    /// A finite number that may be missing.
    pub fn maybe_float(&self, name: &str) -> Result<Option<f64>, ConfigError> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// A truth value, `default` where it is missing.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        Ok(self.typed(name, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A text that may be missing.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ConfigError> {
        self.typed(name, "a text", Value::as_str)
    }

    /// A list of integers that may be missing.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, ConfigError> {
        self.typed(name, "a list of integers", |value| value.as_array()?.iter().map(integer).collect())
    }

    /// A list of texts that may be missing.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, ConfigError> {
        self.typed(name, "a list of texts", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    /// A token id, or the first of a list of them.
    pub fn token_id(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        self.typed(name, "a token id or a list of them", |value| {
            integer(value).or_else(|| integer(value.as_array()?.first()?))
        })
    }

    /// An activation function by its name in transformers or TransformerLens.
    pub fn activation(&self, name: &str) -> Result<Activation, ConfigError> {
        Ok(match self.text(name)?.unwrap_or_default() {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            "solu" => Activation::Solu,
            "solu_ln" => Activation::SoluLayerNorm,
            _ => {
                let expected = "relu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, solu or solu_ln";
                return Err(self.unsupported(name, expected));
            }
        })
    }

    /// Refuses a setting that is anything but `expected`, where it is there.
    pub fn only(&self, name: &str, expected: impl Into<Value>) -> Result<(), ConfigError> {
        let expected = expected.into();
        match self.get(name) {
            Some(value) if *value != expected => Err(self.unsupported(name, &expected.to_string())),
            _ => Ok(()),
        }
    }

    /// A value of a type, `None` where it is missing or null.
    pub fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| self.wrong(name, expected)),
        }
    }

    /// A field that is missing, or of another type.
    pub fn wrong(&self, name: &str, expected: &str) -> ConfigError {
        let name = format!("\"{}{name}\"", self.within);
        self.invalid(match self.object.get(name.trim_matches('"').trim_start_matches(self.within)) {
            None => format!("config has no {name}, expected {expected}"),
            Some(got) => format!("config has {} as {name}, expected {expected}", short(got)),
        })
    }

    /// A setting that would change the numbers and is not read.
    pub fn unsupported(&self, name: &str, expected: &str) -> ConfigError {
        ConfigError::Unsupported {
            what: format!("{}{name}", self.within),
            got: self.object.get(name).map_or_else(|| "nothing".to_owned(), short),
            expected: expected.to_owned(),
            path: self.path.to_owned(),
        }
    }

    /// Anything else that is wrong with the config.
    pub fn invalid(&self, reason: String) -> ConfigError {
        ConfigError::Config { reason, path: self.path.to_owned() }
    }
}

/// An integer, also where it is written as `4.0`.
fn integer(value: &Value) -> Option<i64> {
    let whole = |float: &f64| float.fract() == 0.0 && float.abs() < 9e15;
    value.as_i64().or_else(|| value.as_f64().filter(whole).map(|float| float as i64))
}

/// A value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
