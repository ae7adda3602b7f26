//! Reads a model, sparse autoencoders and a corpus; writes a bundle that the viewer opens.
//!
//! The pipeline in prose. [`args`] is the command line as typed; [`plan`] checks it against the files' headers
//! before any long work starts. [`run`] then
//!
//! 1. makes rows of tokens from the text ([`corpus`]), while the weights are loaded,
//! 2. passes them through the model ([`model`]) once, encodes what the hook point holds ([`sae`]) and keeps what is
//!    active ([`activations`]),
//! 3. computes each feature's numbers from that sparse store ([`stats`]) and its examples with their effects
//!    ([`sequences`]),
//! 4. does the same for the prompts ([`prompts`]),
//! 5. writes blocks, index, corpus, labels ([`labels`]) and manifest ([`bundle`]).
//!
//! The rooms do not import one another sideways, with three exceptions that are their subject matter: activations
//! are made by models and SAEs, effects need the model's head, and all weights come from [`weights`].

pub mod activations;
pub mod args;
pub mod bundle;
pub mod check;
pub mod corpus;
pub mod device;
pub mod dump;
pub mod export;
pub mod fitting;
pub mod health;
pub mod hub;
pub mod inspect;
pub mod labels;
pub mod layout;
pub mod model;
pub mod plan;
pub mod progress;
pub mod prompts;
pub mod run;
pub mod sae;
pub mod sequences;
pub mod stats;
pub mod weights;
