//! The integration tests of `compute`, in one binary: libtorch is linked once for all of them.
//!
//! A new file is a module here. What measures the whole process stands in a binary of its own, as `memory.rs` does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod cluster;
mod corpora;
mod corpora_arrow;
mod dump;
mod effects;
mod exchange;
#[cfg(target_os = "linux")]
mod faults;
mod given;
mod health;
mod hub;
mod hub_saes;
mod hub_server;
mod imports;
mod json_bundle;
mod labels;
mod model_configs;
mod model_folders;
mod model_hooks;
mod models_match_transformers;
mod odd_saes;
mod outputs;
mod prompts;
mod publish;
mod publish_hub;
mod published;
mod resume;
mod rooms;
mod sae_cases;
mod sae_formats;
mod saes_match_sae_lens;
mod serve;
mod sites;
mod slurm;
mod speed;
mod stages;
#[cfg(target_os = "linux")]
mod stops;
mod subset;
mod tiny;
mod written;
mod wrong_files;
