//! What the developer commands and the tests share: where things lie, a static server, and a browser to drive.
//!
//! It stands apart from `xtask`, so that the tests do not compile what the page's build needs, and apart from `tests`, so
//! that `cargo xtask demo` does not compile libtorch's binding before it has fetched libtorch.

pub mod browser;
pub mod project;
pub mod serve;
