//! The integration tests of `shared`, in one binary. A new file is a module here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archives;
mod decoding;
mod hostile;
mod layouts;
mod modules;
mod newer;
mod python;
mod text_and_ticks;
mod wire;
