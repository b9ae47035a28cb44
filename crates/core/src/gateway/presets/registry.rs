//! The registry of presets: a row each, from which format, schema, listings and pipelines are made.
use super::EMBEDDED;
use crate::catalog::keyed;
use crate::gateway::parts::Parts;
use crate::types::{Fault, Faults, KeyPath, Segment};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A preset as the registry knows it.
#[derive(Clone, Copy)]
pub struct Preset {
    /// Name of the preset: its key in `[policy.NAME]`.
    pub name: &'static str,
    /// What it does, in a line.
    pub title: &'static str,
    /// Where rule and defaults come from, and when that was read.
    pub source: &'static str,
    /// What it sees of backends, and how old.
    pub sees: &'static str,
    /// What of the experiment a policy with it may keep.
    pub keeps: Keeps,
    /// Keys of its table without a default, as an example with a pool `chat` and an endpoint `frontier`; TOML.
    pub example: &'static str,
    /// Type of the preset's table, and what a table expands to.
    pub section: &'static dyn Section,
}

/// What of the experiment a policy with a preset may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Replicas and endpoints. What its rules buy must be there.
    All,
    /// Replicas and endpoints; rules that buy are left out where a policy has no endpoint.
    AllThatIsThere,
    /// No replica of any pool.
    NoReplicas,
    /// No endpoint.
    NoEndpoints,
}

/// A table of an experiment file, read without knowing its type.
pub trait Section: Sync {
    /// The table that `value` is, with its defaults, and the parts that it expands to.
    ///
    /// # Errors
    /// Keys that are unknown, missing or of a wrong type, counted from the table.
    fn read(&self, value: toml::Value) -> Result<(toml::Value, Parts), Faults>;
    /// JSON schema of the preset's table.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
}

/// A table of the type `S`, and what it expands to.
pub struct Table<S>(pub fn(&S) -> Parts);

impl<S: Serialize + DeserializeOwned + JsonSchema> Section for Table<S> {
    fn read(&self, value: toml::Value) -> Result<(toml::Value, Parts), Faults> {
        let section: S = keyed::read(value).whole()?;
        let echo = toml::Value::try_from(&section).map_err(|e| Fault::new(e.to_string()))?;
        Ok((echo, (self.0)(&section)))
    }
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<S>()
    }
}

/// A preset as somebody gave it.
#[derive(Debug, Clone)]
pub struct Given {
    /// The preset that was named.
    pub preset: Preset,
    /// The preset's table as given, with its defaults.
    pub table: toml::Value,
    /// What that expands to.
    pub parts: Parts,
}

impl std::fmt::Debug for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preset").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Preset {
    /// The preset with this table.
    ///
    /// # Errors
    /// Keys that are unknown, missing or of a wrong type, counted from the table.
    pub fn read(&self, value: toml::Value) -> Result<Given, Faults> {
        let (table, parts) = self.section.read(value)?;
        Ok(Given { preset: *self, table, parts })
    }

    /// What the preset expands to with its defaults; keys without a default are those of its example.
    ///
    /// # Errors
    /// An example that is not its table.
    pub fn parts(&self) -> Result<Parts, Faults> {
        let example = toml::from_str::<toml::Table>(self.example).map_err(|e| Fault::new(e.to_string()))?;
        self.read(toml::Value::Table(example)).map(|given| given.parts)
    }
}

impl Given {
    /// A fault of its parts, said of the table: at the key of the table that has the name of one of the part's keys, else at
    /// the table itself.
    pub fn said(&self, fault: Fault) -> Fault {
        let segments = fault.key.segments();
        let known = |segment: &Segment| matches!(segment, Segment::Name(name) if self.table.get(name).is_some());
        let own = segments.iter().position(known).map_or(&[][..], |at| &segments[at..]);
        Fault { key: KeyPath::from(own.to_vec()).under(self.preset.name), ..fault }
    }
}

/// Presets by name, in the order in which they are listed.
#[derive(Clone)]
pub struct Presets(Vec<Preset>);

impl Presets {
    /// The presets of this program.
    pub fn embedded() -> Presets {
        Presets(EMBEDDED.into_iter().flatten().copied().collect())
    }

    /// These presets and one more.
    ///
    /// # Panics
    /// If there is one of its name.
    #[must_use]
    pub fn with(mut self, preset: Preset) -> Presets {
        assert!(self.get(preset.name).is_none(), "presets: there is one named {}; give another name", preset.name);
        self.0.push(preset);
        self
    }

    /// The preset of a name.
    pub fn get(&self, name: &str) -> Option<&Preset> {
        self.0.iter().find(|preset| preset.name == name)
    }

    /// All presets.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.0.iter()
    }
}
