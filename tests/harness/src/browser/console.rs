//! What a page writes to its console, what it throws, and which of its requests fail.

use super::devtools::Event;
use serde_json::Value;

/// One line of the console.
#[derive(Debug)]
pub(super) struct Entry {
    /// Whether it says that something went wrong.
    pub is_error: bool,
    /// What it says.
    pub text: String,
}

impl Entry {
    /// The line that an event stands for; most events stand for none.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let params = &event.params;
        match event.method.as_str() {
            "Runtime.consoleAPICalled" => {
                let texts: Vec<String> = params["args"].as_array()?.iter().map(argument).collect();
                let is_error = matches!(params["type"].as_str(), Some("error" | "assert"));
                Some(Self { is_error, text: texts.join(" ") })
            }
            "Runtime.exceptionThrown" => {
                Some(Self { is_error: true, text: exception(&params["exceptionDetails"]) })
            }
            // Failed requests and what the page's policy refused.
            "Log.entryAdded" => {
                let entry = &params["entry"];
                let (text, url) = (entry["text"].as_str()?, entry["url"].as_str().unwrap_or_default());
                Some(Self { is_error: entry["level"] == "error", text: format!("{text} ({url})") })
            }
            _ => None,
        }
    }
}

/// The text of `Runtime.ExceptionDetails`.
pub(super) fn exception(details: &Value) -> String {
    let thrown = details["exception"]["description"].as_str();
    thrown.or(details["text"].as_str()).unwrap_or("an exception").to_owned()
}

/// An argument of `console.log` as the console would show it.
fn argument(object: &Value) -> String {
    match (&object["value"], object["description"].as_str()) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, Some(description)) => description.to_owned(),
        (value, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(method: &str, params: Value) -> Option<Entry> {
        Entry::of(&Event { method: method.to_owned(), params })
    }

    #[test]
    fn errors_are_what_is_logged_as_one_thrown_or_not_fetched() {
        let logged = json!({ "type": "error", "args": [{ "value": "out of" }, { "description": "tune" }] });
        let logged = entry("Runtime.consoleAPICalled", logged).unwrap();
        assert_eq!((logged.is_error, &*logged.text), (true, "out of tune"));
        let thrown = json!({ "exceptionDetails": { "exception": { "description": "Error: x" } } });
        assert_eq!(entry("Runtime.exceptionThrown", thrown).unwrap().text, "Error: x");
        let failed = json!({ "entry": { "level": "error", "text": "404", "url": "http://a/b" } });
        let failed = entry("Log.entryAdded", failed).unwrap();
        assert_eq!((failed.is_error, &*failed.text), (true, "404 (http://a/b)"));
    }

    #[test]
    fn a_warning_is_no_error() {
        let warned = json!({ "type": "warning", "args": [{ "value": "slow" }] });
        assert!(!entry("Runtime.consoleAPICalled", warned).unwrap().is_error);
        assert!(entry("Page.loadEventFired", json!({})).is_none());
    }
}
