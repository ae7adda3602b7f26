//! What the developer commands and the browser tests share.
//!
//! The commands themselves (`demo`, `test`, `site`, `screenshots`) are the binary of this package, started
//! as `cargo xtask …`. The library has only what the `tests` crate needs as well, so that there is one
//! implementation of each: where things lie, the browser to drive, and the static server.

pub mod browser;
pub mod project;
pub mod serve;
