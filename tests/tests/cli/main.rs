//! `compute` as a program: what it writes and what it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod check;
mod compute;
mod golden;
#[cfg(target_os = "linux")]
mod gpu;
