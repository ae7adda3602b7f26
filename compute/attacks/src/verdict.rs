//! What a reader may answer.

use std::fmt::Display;

/// Bytes of an error beyond which nobody reads it.
const MAX_LINE_BYTES: usize = 4_000;

/// What a reader said of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It read a value.
    Accepted,
    /// It gave one clear line.
    Refused,
}

/// The value that a reader gave; `None` where it gave an error, which has to be one line of bearable length.
pub fn judged<T, E: Display>(result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let line = error.to_string();
            assert!(
                !line.is_empty() && !line.contains(char::is_control),
                "an error of several lines: {line:?}"
            );
            assert!(line.len() <= MAX_LINE_BYTES, "an error of {} bytes: {line:.300}", line.len());
            None
        }
    }
}

/// The same of a reader of the program, whose errors are printed with their causes.
#[cfg(feature = "compute")]
pub fn told<T, E: Into<anyhow::Error>>(result: Result<T, E>) -> Option<T> {
    judged(result.map_err(|error| compute::terminal::in_one_line(&error.into())))
}

/// What a reader said, of the value that it gave.
pub fn outcome<T>(value: Option<T>) -> Outcome {
    value.map_or(Outcome::Refused, |_value| Outcome::Accepted)
}
