//! The demo's numbers against those that other people's software computes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod sae_vis;
