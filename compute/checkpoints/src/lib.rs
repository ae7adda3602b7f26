//! Files of weights and what they say, without libtorch: it also compiles to WebAssembly.
//!
//! [`Weights`] reads containers: safetensors, torch's pickles, numpy's arrays. [`sae`] knows the formats of
//! SAEs, [`model`] what a language model is and where it can be read.

pub mod containers;
pub mod model;
pub mod sae;

pub use containers::{Dtype, Entry, InputFile, PickleValue, Weights, WeightsError};
