//! Panics as errors: of crates that panic on a hostile file, and, around a whole command, of tch's plain methods.

use std::{
    any::Any,
    env,
    panic::{self, AssertUnwindSafe},
};

/// Has panics of the whole process printed only where a backtrace is asked for: they are told as errors are, in one line.
pub fn silence() {
    if env::var_os("RUST_BACKTRACE").is_none() {
        panic::set_hook(Box::new(|_| ()));
    }
}

/// Does `call`; a panic is an error that says the same. What the call left half done must not be used afterwards.
pub fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|panic| message(panic.as_ref()))
}

/// The first line of what a panic said, without what Rust and tch wrap a `Result`'s error in: libtorch adds where in its
/// C++ code it was.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("the computation stopped");
    let text = text.rsplit_once("`Err` value: ").map_or(text, |(_, text)| text);
    match text.strip_prefix("Torch(\"") {
        Some(quoted) => quoted.split(['\n', '\\']).next().unwrap_or(quoted).to_owned(),
        None => text.lines().next().unwrap_or(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(
            caught(|| panic!("index {} out of range\nmore", 3)),
            Err::<(), _>("index 3 out of range".into())
        );
        let parsed = caught(|| "x".parse::<u8>().map_err(|e| panic!("`Err` value: {e}")));
        assert_eq!(parsed, Err("invalid digit found in string".to_owned()));
    }

    #[test]
    fn libtorch_is_quoted_without_its_stack() {
        let torch = || panic!("called `Result::unwrap()` on an `Err` value: Torch(\"no \\nat frame #0\")");
        assert_eq!(caught(torch), Err::<(), _>("no ".to_owned()));
    }
}
