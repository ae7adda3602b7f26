//! Examples of a feature: which windows of the corpus to show, and the columns that the bundle keeps of them.

mod choose;
mod columns;

pub use choose::{ExampleWindows, Window, choose};
pub use columns::{ExampleRows, sequences};
