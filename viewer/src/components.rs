//! Pieces of a page that know nothing of SAEs.

pub mod error_note;
pub mod histogram;
pub mod table;
pub mod token_chip;
pub mod tokens;
