//! Calls into crates that may panic on a hostile file: the panic becomes an error that says the same, and is printed
//! nowhere else.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is caught, and so no news.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does `call`; a panic is an error. What the call left half done must not be used afterwards.
pub fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                loud(info);
            }
        }));
    });
    let before = CAUGHT.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(call));
    CAUGHT.set(before);
    done.map_err(|panic| said(panic.as_ref()))
}

/// The first line of what a panic said, without the Rust names around what a `Result` held.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it stopped");
    let text = text.rsplit_once("`Err` value: ").map_or(text, |(_, text)| text);
    text.lines().next().unwrap_or(text).to_owned()
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
}
