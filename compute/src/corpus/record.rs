//! What a row of a corpus file holds, whatever the format, and which of its columns is read.

use serde_json::{Map, Value};

/// A row: text, token ids, a conversation, or nothing that can be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Text.
    Text(String),
    /// A document that is tokenized already, or a row of a token array.
    TokenIds(Vec<u32>),
    /// A conversation, as objects with `role` and `content`.
    Messages(Vec<Map<String, Value>>),
}

/// A row with where it stands.
#[derive(Debug)]
pub struct Item {
    /// Line or row of the file, from 1.
    pub at: u64,
    /// Whether it goes on with the document of the item before.
    pub continues: bool,
    /// Whether characters were replaced by U+FFFD.
    pub replaced: bool,
    /// The row, or why it cannot be read.
    pub record: Result<Record, String>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Lists of integers.
    TokenIds,
    /// Lists of messages.
    Messages,
    /// Something else, or nothing in the first row.
    Other,
}

/// Columns that are read where none is named, the first that there is.
const NAMES: [&str; 6] = ["text", "messages", "conversations", "conversation", "tokens", "input_ids"];

/// The column to read: the one named, or else the first of [`NAMES`], or else the only one of token ids.
pub fn choose(given: Option<&str>, columns: &[(String, Shape)]) -> Result<usize, String> {
    let position = |name: &str| columns.iter().position(|(own, _)| own == name);
    let has = || {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).take(20).collect();
        if names.is_empty() { "no columns".to_owned() } else { names.join(", ") }
    };
    if let Some(name) = given {
        return position(name).ok_or_else(|| {
            format!("has no column \"{name}\", it has {}: name one with --text-column", has())
        });
    }
    if let Some(found) = NAMES.iter().find_map(|name| position(name)) {
        return Ok(found);
    }
    let mut lists = (0..columns.len()).filter(|i| columns[*i].1 == Shape::TokenIds);
    match (lists.next(), lists.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(format!("has no column \"text\", it has {}: name one with --text-column", has())),
    }
}

/// The record that a JSON value is.
pub fn from_json(value: Value) -> Result<Record, String> {
    match value {
        Value::String(text) => Ok(Record::Text(text)),
        Value::Array(values) if values.first().is_some_and(Value::is_object) => {
            values.into_iter().map(message).collect::<Result<_, _>>().map(Record::Messages)
        }
        Value::Array(values) => {
            let id = |value: &Value| {
                let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| format!("holds {} in a list, expected token ids or messages", short(value)))
            };
            values.iter().map(id).collect::<Result<_, _>>().map(Record::TokenIds)
        }
        Value::Null => Err("is null".to_owned()),
        other => Err(format!("is {}, expected text", short(&other))),
    }
}

/// What a JSON value looks like.
pub fn shape(value: &Value) -> Shape {
    match value {
        Value::String(_) => Shape::Text,
        Value::Array(values) => match values.first() {
            Some(Value::Number(_)) => Shape::TokenIds,
            Some(Value::Object(_)) => Shape::Messages,
            _ => Shape::Other,
        },
        _ => Shape::Other,
    }
}

/// A message with `role` and `content`; ShareGPT's `from` and `value` are renamed.
fn message(value: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(mut message) = value else {
        return Err(format!("holds {} among messages", short(&value)));
    };
    for (theirs, ours) in [("from", "role"), ("value", "content")] {
        if !message.contains_key(ours)
            && let Some(value) = message.remove(theirs)
        {
            message.insert(ours.to_owned(), value);
        }
    }
    let role = match message.get("role").and_then(Value::as_str) {
        Some("human") => "user",
        Some("gpt" | "bot" | "chatgpt") => "assistant",
        Some(role) => role,
        None => return Err("holds a message without \"role\"".to_owned()),
    };
    let role = Value::String(role.to_owned());
    message.insert("role".to_owned(), role);
    Ok(message)
}

/// A value in few words.
fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "text".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_is_chosen_by_name_or_because_it_alone_holds_token_ids() {
        let columns = |names: &[(&str, Shape)]| -> Vec<(String, Shape)> {
            names.iter().map(|(name, shape)| ((*name).to_owned(), *shape)).collect()
        };
        let of = |given, names: &[(&str, Shape)]| choose(given, &columns(names));
        let (text, ids, other) = (Shape::Text, Shape::TokenIds, Shape::Other);
        assert_eq!(of(None, &[("id", other), ("text", text)]), Ok(1));
        assert_eq!(of(None, &[("prompt", text), ("messages", Shape::Messages)]), Ok(1));
        assert_eq!(of(None, &[("id", other), ("ids", ids)]), Ok(1));
        assert_eq!(of(Some("body"), &[("text", text), ("body", text)]), Ok(1));
        let error = of(None, &[("body", text), ("id", other)]).unwrap_err();
        assert_eq!(error, "has no column \"text\", it has body, id: name one with --text-column");
    }

    #[test]
    fn values_are_text_token_ids_or_messages() {
        assert_eq!(from_json(json!("a")), Ok(Record::Text("a".into())));
        assert_eq!(from_json(json!([1, 2])), Ok(Record::TokenIds(vec![1, 2])));
        let Ok(Record::Messages(messages)) = from_json(json!([{ "from": "human", "value": "hi" }])) else {
            unreachable!("no messages")
        };
        assert_eq!(Value::from(messages[0].clone()), json!({ "role": "user", "content": "hi" }));
        for (value, said) in [
            (json!(null), "is null"),
            (json!(4), "is 4, expected text"),
            (json!([1, -2]), "holds -2 in a list"),
            (json!([1.5]), "holds 1.5 in a list"),
            (json!([{ "content": "x" }]), "without \"role\""),
        ] {
            let error = from_json(value).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
