//! Small changes of good files.
