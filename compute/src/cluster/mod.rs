//! A run in parts: processes on one machine or many compute ranges of batches and of features, to the bytes of one run.
//!
//! | step | reads | leaves in the plan's folder |
//! |---|---|---|
//! | [`PlanFolder::create`] | model's config, SAE's header, the whole corpus | `plan.json`, `rows` |
//! | [`shard::compute`] `I` | weights, a range of batches | `shards/I-P`: what is active, sums, last residuals; a file a piece |
//! | [`merge::compute`] `J` | all shards, weights | `merges/J`: a range of features, finished |
//! | [`finish::compute`] | merges, and for prompts the weights | the bundle |
//!
//! Nothing is averaged: totals are exact sums, quantiles and the strongest examples are of all positions. A step that was
//! killed goes on from its last finished file when it is run again, and one that is done does nothing.
//! [`LocalRun`] does them all on one machine.

pub mod devices;
pub mod finish;
mod folder;
mod local;
pub mod merge;
mod pace;
pub mod shard;
pub mod slurm;
pub mod status;

pub use folder::{Parts, PlanFolder};
pub use local::LocalRun;
