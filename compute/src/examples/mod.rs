//! Examples of a feature: which windows of the corpus to show, and the columns that the bundle keeps of them.

mod choose;
mod columns;
mod fold;
mod token_positions;

pub use choose::{Choice, ExampleWindows, Window, choose};
pub use columns::{ExampleRows, sequences};
pub use token_positions::TokenPositions;
