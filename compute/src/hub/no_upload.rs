//! A build that asks no hub publishes nothing.

use std::convert::Infallible;

use anyhow::{Result, bail};

use super::new_file::{Changes, NewFile};

/// Never made.
#[derive(Debug)]
pub struct Upload(Infallible);

impl Upload {
    /// Says why there is none.
    pub fn open(_name: &str) -> Result<(Self, Option<String>)> {
        bail!("this build of compute was made without its feature \"hub\"")
    }

    /// Never called.
    pub fn name(&self) -> (&str, &str) {
        match self.0 {}
    }

    /// Never called.
    pub fn there(&self) -> impl Iterator<Item = &str> {
        match self.0 {}
        #[expect(unreachable_code, reason = "the type of what is never given back")]
        std::iter::empty()
    }

    /// Never called.
    pub fn text(&self, _path: &str) -> Result<Option<String>> {
        match self.0 {}
    }

    /// Never called.
    pub fn changes(&self, _files: &[NewFile], _remove: &[String]) -> Result<Changes> {
        match self.0 {}
    }

    /// Never called.
    pub fn commit(&self, _files: &[NewFile], _remove: &[String], _how: (bool, &str)) -> Result<Changes> {
        match self.0 {}
    }
}
