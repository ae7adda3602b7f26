//! The JSON Schema of layouts, made from the table of options.

use serde_json::{Value, json};

use super::{Component, Layout, PX, Setting};

impl Layout {
    /// JSON Schema (draft 2020-12) of what [`Layout::from_json`] reads, for editors and other programs.
    pub fn json_schema() -> Value {
        let components: Vec<Value> = Component::all().iter().map(component).collect();
        let px = json!({ "type": ["integer", "null"], "minimum": PX.start(), "maximum": PX.end() });
        let column = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["components"],
            "properties": { "components": { "type": "array", "items": { "oneOf": components } }, "width": px },
        });
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "sae-vis layout",
            "description": "Columns of components with their options.",
            "type": "object",
            "additionalProperties": false,
            "required": ["columns"],
            "properties": { "columns": { "type": "array", "minItems": 1, "items": column }, "height": px },
        })
    }
}

#[cfg(feature = "json-schema")]
impl schemars::JsonSchema for Layout {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Layout".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // An object is a schema: nothing else fails.
        schemars::Schema::try_from(Self::json_schema()).unwrap_or_default()
    }
}

fn component(component: &Component) -> Value {
    let mut properties = serde_json::Map::new();
    properties.insert("type".to_owned(), json!({ "const": component.name() }));
    for (option, default) in component.settings() {
        let (low, high) = (option.range.start(), option.range.end());
        let integer = json!({ "type": "integer", "minimum": low, "maximum": high });
        let mut schema = match default {
            Setting::Number(n) => json!({ "type": "integer", "minimum": low, "maximum": high, "default": n }),
            Setting::Flag(on) => json!({ "type": "boolean", "default": on }),
            Setting::Buffer(buffer) => json!({
                "type": ["array", "null"], "items": integer, "minItems": 2, "maxItems": 2, "default": buffer,
            }),
            Setting::Choice(word) => json!({ "enum": option.choices, "default": word }),
        };
        schema["description"] = json!(option.about);
        properties.insert(option.name.to_owned(), schema);
    }
    json!({ "type": "object", "additionalProperties": false, "required": ["type"], "properties": properties })
}
