//! What a bundle holds, tokens as text.
//!
//! Both forms, lines and JSON, come from one value, built in `view.rs` with every index resolved: the JSON prints it, the
//! lines summarise it.

mod lines;
mod view;

pub(crate) use lines::{feature as feature_lines, manifest as manifest_lines, prompt as prompt_lines};
pub(crate) use view::{FeatureLayers, feature as feature_view, prompt as prompt_view};
