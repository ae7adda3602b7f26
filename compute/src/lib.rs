//! Reads a model, sparse autoencoders and a corpus; writes a bundle that the viewer opens.
//!
//! The pipeline in prose. [`cli`] is the command line; [`plan`] checks it against the files' headers before any long work
//! starts. [`run`] then
//!
//! 1. makes rows of tokens from the text ([`corpus`]), while the weights are loaded,
//! 2. passes them through the model ([`model`]) once, encodes what the hook point holds ([`sae`]) and keeps what is
//!    active ([`pass`], [`store`]),
//! 3. computes each feature's numbers from that sparse store ([`stats`]), its examples ([`examples`]) and what ablating
//!    it does in them ([`effects`]),
//! 4. does the same for the prompts ([`prompts`]),
//! 5. writes blocks, index, corpus, labels ([`labels`]) and manifest ([`bundle`]).
//!
//! Rooms import only those below them, never in a circle (`tests/rooms.rs` reads the imports): [`backend`] and
//! [`weights`] know nothing of the others, [`run`] composes them, and only [`cli`], [`cluster`], which does the same in
//! parts, and [`session`], which computes prompts that a bundle lacks, know [`run`]. [`serve`] answers the page with it.

pub mod backend;
pub mod bundle;
pub mod cli;
pub mod cluster;
pub mod corpus;
pub mod effects;
pub mod examples;
pub mod exchange;
pub mod given;
pub mod health;
pub mod hub;
pub mod inspect;
pub mod interrupt;
pub mod labels;
pub mod model;
pub mod output;
mod panics;
pub mod pass;
pub mod plan;
pub mod progress;
pub mod prompts;
pub mod publish;
pub mod run;
pub mod sae;
pub mod sections;
pub mod serve;
pub mod session;
pub mod stats;
pub mod store;
pub mod terminal;
pub mod weights;
