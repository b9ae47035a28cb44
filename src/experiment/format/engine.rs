//! `[pool.NAME.engine]`: which engine a pool runs, and what is said of it. Each engine's own section is typed in its folder
//! of `engine/`; it is read when the pool is resolved.
use baseload_core::engine::Engines;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Sections of engines by name, of which one may be given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineSection(pub toml::Table);

impl EngineSection {
    /// The section of one engine.
    pub fn of(name: &str, section: toml::Table) -> EngineSection {
        EngineSection(toml::Table::from_iter([(name.to_owned(), toml::Value::Table(section))]))
    }
}

impl JsonSchema for EngineSection {
    fn schema_name() -> Cow<'static, str> {
        "EngineSection".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let engines = Engines::embedded();
        let property = |row: &baseload_core::engine::EngineRow| {
            let section = row.schema_in(generator);
            let property = json_schema!({ "description": row.about, "anyOf": [section, { "type": "null" }] });
            (row.name.to_owned(), property.to_value())
        };
        let properties: serde_json::Map<_, _> = engines.rows().iter().map(property).collect();
        json_schema!({
            "description": format!("One of the engines; {} with its defaults unless given.", engines.usual().name),
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}
