//! Pieces of a page that know nothing of SAEs.

pub mod brush;
pub mod error_note;
pub mod hand;
pub mod handler;
pub mod histogram;
pub mod next_frame;
pub mod scatter;
pub mod table;
pub mod token_chip;
pub mod tokens;
pub mod virtual_list;
