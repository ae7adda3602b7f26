//! Layouts of newer versions: what is known of them is read, the rest is kept aside.
//!
//! A layout that a reader wrote is refused where it has a word that does not exist. One that a bundle carries may come from
//! a newer program: its other components can be shown all the same.

use serde::{Deserialize as _, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Column, Component, Edges, Fold, Layout, PX};

impl Layout {
    /// Reads a layout, of a newer version too: components that are not known become [`Component::Newer`], and options that
    /// are not, or have a value that is not, go by their name into [`Layout::newer_options`].
    pub fn deserialize_newer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Map::deserialize(deserializer)?;
        let columns = value.get("columns").and_then(Value::as_array);
        let columns = columns.ok_or_else(|| D::Error::missing_field("columns"))?;
        let mut layout = Self { height: px(&value, "height"), ..Self::default() };
        for column in columns {
            let column = column.as_object().ok_or_else(|| D::Error::custom("a column is no object"))?;
            let components = column.get("components").and_then(Value::as_array);
            let components = components.ok_or_else(|| D::Error::missing_field("components"))?;
            let components = components.iter().map(|raw| component(raw, &mut layout.newer_options)).collect();
            layout.columns.push(Column { components, width: px(column, "width") });
        }
        Ok(layout)
    }

    /// Says how schema 2 chose examples: as sae_vis does.
    pub(crate) fn choose_as_v2(&mut self) {
        for component in self.columns.iter_mut().flat_map(|column| &mut column.components) {
            if let Component::Sequences(options) = component {
                (options.edges, options.fold) = (Edges::Skip, Fold::None);
            }
        }
    }
}

fn px(object: &Map<String, Value>, member: &str) -> Option<u32> {
    let px = object.get(member).and_then(Value::as_u64).and_then(|px| u32::try_from(px).ok());
    px.filter(|px| PX.contains(px))
}

fn component(raw: &Value, newer_options: &mut Vec<String>) -> Component {
    let name = raw.get("type").and_then(Value::as_str).unwrap_or_default();
    let known = Component::all().into_iter().find(|c| c.name() == name);
    let (Some(known), Some(members)) = (known, raw.as_object()) else { return Component::Newer(raw.clone()) };
    let mut understood = Map::new();
    understood.insert("type".to_owned(), name.into());
    for (option, value) in members.iter().filter(|(option, _)| *option != "type") {
        let mut with = understood.clone();
        with.insert(option.clone(), value.clone());
        if read(with.clone()).is_some() {
            understood = with;
        } else {
            newer_options.push(format!("{name}.{option}"));
        }
    }
    read(understood).unwrap_or(known)
}

fn read(members: Map<String, Value>) -> Option<Component> {
    let component = Component::deserialize(&Value::Object(members)).ok()?;
    component.validate().is_ok().then_some(component)
}
