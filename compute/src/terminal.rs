//! What people read: text on standard output, and an error's one line.
//!
//! Names come from files that anyone may have made. A character that would move the cursor, colour the text or hide a
//! part of it is shown escaped, as in tokens.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result};
use shared::{
    error::shown,
    vocab::{escape, is_invisible},
};
use tch::TchError;

use crate::weights::first_line;

/// Prints lines of text; a reader that has seen enough, such as `head`, is no failure.
pub fn print(text: &str) -> Result<()> {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => shown.extend([&escape(line.as_bytes()), "\n"]),
            None => shown.push_str(&escape(line.as_bytes())),
        }
    }
    write(&shown)
}

/// Prints JSON: what JSON itself leaves as it is of such characters is escaped as it has it, `\u009b`.
pub fn print_json(json: &str) -> Result<()> {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_invisible(c) {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").unwrap_or_default();
            }
        }
    }
    write(&shown)
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}

/// Prints why a command failed, in one line: what is wrong and why.
pub fn print_error(error: &anyhow::Error) {
    // Where standard error is closed or full there is nobody to tell.
    writeln!(io::stderr(), "compute: {}", in_one_line(error)).unwrap_or_default();
}

/// The error and its causes, without libtorch's lines of where in its C++ code it was.
pub fn in_one_line(error: &anyhow::Error) -> String {
    let text = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<TchError>() {
        Some(error) => first_line(error),
        None => cause.to_string(),
    };
    let causes: Vec<String> = error.chain().map(|cause| shown(text(cause))).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_one_line_without_control_characters() {
        let error = anyhow!("no tensor \"W\u{1b}[2J\nW_dec\"").context("could not load\u{202e} the SAE");
        let expected = "could not load\\u{202e} the SAE: no tensor \"W\\u{1b}[2J\\nW_dec\"";
        assert_eq!(in_one_line(&error), expected);
    }

    #[test]
    fn libtorch_is_quoted_without_its_stack() {
        let error = anyhow::Error::from(TchError::Torch("out of memory\nException raised from".into()));
        assert_eq!(
            in_one_line(&error.context("could not run")),
            "could not run: Internal torch error: out of memory"
        );
    }
}
