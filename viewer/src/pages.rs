//! One file per page, and the frame around them.

pub mod about;
pub mod blind;
pub mod compare;
pub mod feature;
pub mod features;
pub mod frame;
pub mod prompt;
