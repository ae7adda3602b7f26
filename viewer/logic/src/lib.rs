//! What the page decides, without a page: no Leptos, no browser, so that tests run natively and at once.
//!
//! Read in this order: [`route`] (what a link carries), [`browse`] (what the reader chose to see of the table), [`find`] (which
//! features that is), [`walk`] (going through them), [`axis`] and [`scale`] (from values to lengths), [`mod@format`]
//! (numbers as text), [`mod@line`] (tokens as text and colour), [`layouts`] (which layouts a bundle can be shown in), [`files`]
//! (decoded files, each read once), [`site`] (several bundles), [`address`] and [`error`].

pub mod address;
pub mod annotations;
pub mod axis;
pub mod blind;
pub mod browse;
pub mod dots;
pub mod error;
pub mod feature_json;
pub mod files;
pub mod find;
pub mod format;
pub mod json;
pub mod layouts;
pub mod line;

pub mod query;
pub mod reading;
pub mod route;
pub mod scale;
pub mod script;
pub mod site;
pub mod walk;
