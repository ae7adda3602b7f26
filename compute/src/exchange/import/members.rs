//! Objects of JSON, member by member in the order of the file.

use std::{fmt, marker::PhantomData};

use anyhow::Result;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, Visitor},
};

/// Members in the order of the file.
#[derive(Debug)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut members = Vec::new();
        Members::new(|name, value| {
            members.push((name, value));
            Ok(())
        })
        .deserialize(from)?;
        Ok(Self(members))
    }
}

/// Hands on the members of an object one by one.
pub struct Members<T, F> {
    take: F,
    value: PhantomData<T>,
}

impl<T, F: FnMut(String, T) -> Result<()>> Members<T, F> {
    /// `take` is handed each name with its value.
    pub fn new(take: F) -> Self {
        Self { take, value: PhantomData }
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<()>> DeserializeSeed<'de> for Members<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<()>> Visitor<'de> for Members<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry()? {
            (self.take)(name, value).map_err(|e| serde::de::Error::custom(format!("{e:#}")))?;
        }
        Ok(())
    }
}
