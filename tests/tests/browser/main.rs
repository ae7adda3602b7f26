//! The page in a real browser.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod accessibility;
mod asking;
mod budgets;
mod demo_page;
mod fifty;
mod generated;
mod harness;
mod imported;
mod opening;
mod reading;
mod screenshots;
mod site;
