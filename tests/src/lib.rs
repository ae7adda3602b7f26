//! What the end-to-end tests share; the tests themselves are in `tests/tests`.

pub mod agree;
pub mod built;
pub mod generate;
pub mod page;
pub mod run;

pub use harness::browser;
