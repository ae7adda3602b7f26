//! Examples of a feature: which windows of the corpus to show, and what ablating the feature does in them.

mod choose;
mod columns;
pub mod effects;
mod exp;
mod kernel;
mod on_device;

pub use choose::{Chosen, Window, choose};
pub use columns::{Placed, place, row_acts, sequences};
