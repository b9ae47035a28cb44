//! The engines there are. An engine is a folder or a file of this room that has a [`EngineRow`], and a line of
//! [`Engines::embedded`]; the experiment file, its schema, help texts and options of commands list engines from here.
//!
//! Imports `catalog`, `memory`. Must keep true: nothing outside an engine's folder knows it by name or by type; a key that
//! its section has not is refused with the nearest one.
use super::{EngineMode, Scheduler};
use crate::catalog::{Gpu, nearest};
use crate::memory::StepLimits;
use crate::types::Fault;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use toml::{Table, Value};

/// What the settings of an engine are resolved against.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// The GPU; `None` is a machine that the catalogue has not.
    pub gpu: Option<&'a Gpu>,
    /// Longest sequence that is wanted, tokens.
    pub max_model_len: u32,
}

/// What an engine asks for before it is known how much memory there is: what the memory account and the step time go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Tokens and sequences in a step.
    pub limits: StepLimits,
    /// Tokens of a KV block.
    pub block_size: u32,
    /// Batches under way at once: 2 where the next step is scheduled while one runs, else 1.
    pub concurrent_batches: u32,
    /// Whether CUDA graphs are captured, so that steps are padded to their sizes.
    pub graphs: bool,
    /// Whether the memory account sets GPU memory aside for graphs.
    pub graph_memory: bool,
}

/// What an engine gets: its KV blocks, and the longest sequence that they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvCapacity {
    /// Tokens of a block.
    pub block_size: u32,
    /// Blocks, the null block included.
    pub num_blocks: u32,
    /// Prompt and output tokens of a sequence at most.
    pub max_model_len: u32,
}

impl KvCapacity {
    /// Tokens of all blocks but the null block.
    pub fn tokens(&self) -> u64 {
        u64::from(self.num_blocks.saturating_sub(1)) * u64::from(self.block_size)
    }
}

/// What an engine may do in a step, and what it caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Sequences a step by its settings, whatever the memory.
    pub max_rows: u32,
    /// Sequences a step: those, and no more than there are blocks.
    pub most_rows: u32,
    /// Tokens a step.
    pub most_tokens: u64,
    /// Tokens a block of the prefix cache, if it has one.
    pub cached_block: Option<u32>,
    /// Whether its queue goes by priority.
    pub by_priority: bool,
}

/// The settings of an engine: the section `[pool.X.engine.NAME]` of an experiment, typed. Every key has a default.
pub trait EngineSection: fmt::Debug + Send + Sync {
    /// Fills in what depends on the machine and checks all keys; returns what people should know, each the end of
    /// `engine.NAME.`.
    ///
    /// # Errors
    /// A value that makes no sense, at its key within the section.
    fn resolve(&mut self, on: &Machine<'_>) -> Result<Vec<String>, Fault>;
    /// What the resolved section asks of the memory of a replica.
    fn demand(&self) -> Demand;
    /// What the engine of a resolved section may do with these blocks.
    fn limits(&self, kv: &KvCapacity) -> EngineLimits;
    /// An empty engine with these blocks; resolved. The mode changes how fast it is simulated, never what comes out.
    fn build(&self, kv: &KvCapacity, mode: EngineMode) -> Box<dyn Scheduler>;
}

/// Typed and resolved, as written back, and what people should know.
type Resolved = (Arc<dyn EngineSection>, Table, Vec<String>);

/// What a real engine of a version (empty: today's) takes on a GPU, or on a machine that is none of the catalogue, where that
/// differs from its section's defaults.
pub type DefaultsOf = fn(version: &str, gpu: Option<&Gpu>) -> Table;

/// An engine of the registry.
#[derive(Clone, Copy)]
pub struct EngineRow {
    /// Name of the engine: the key of its section.
    pub name: &'static str,
    /// What the engine is, a sentence.
    pub about: &'static str,
    defaults_of: DefaultsOf,
    schema_in: fn(&mut SchemaGenerator) -> Schema,
    schema: fn() -> serde_json::Value,
    resolve: fn(&Table, &Machine<'_>) -> Result<Resolved, Fault>,
    check: fn(&Table) -> Result<(), Fault>,
}

impl fmt::Debug for EngineRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EngineRow").field(&self.name).finish()
    }
}

impl EngineRow {
    /// The engine `name` whose section is an `S`; real ones take the section's defaults in every version.
    pub const fn of<S>(name: &'static str, about: &'static str) -> EngineRow
    where
        S: EngineSection + Default + Serialize + DeserializeOwned + JsonSchema + 'static,
    {
        EngineRow {
            name,
            about,
            defaults_of: |_, _| Table::new(),
            schema_in: |generator| generator.subschema_for::<S>(),
            schema: || SchemaGenerator::default().into_root_schema_for::<S>().to_value(),
            resolve: resolve::<S>,
            check: |section| typed::<S>(section).map(|_| ()),
        }
    }

    /// This row with other defaults than its section's: those of the real engines that the words describe.
    #[must_use]
    pub const fn with_defaults_of(self, defaults_of: DefaultsOf) -> EngineRow {
        EngineRow { defaults_of, ..self }
    }

    /// What a real one of a version takes on a GPU, as [`DefaultsOf`].
    pub fn defaults_of(&self, version: &str, gpu: Option<&Gpu>) -> Table {
        (self.defaults_of)(version, gpu)
    }

    /// Keys of its section.
    pub fn keys(&self) -> Vec<String> {
        let schema = (self.schema)();
        schema["properties"].as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default()
    }

    /// The schema of its section, by reference into the generator's definitions.
    pub fn schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema_in)(generator)
    }
}

/// Engines that may be asked for by name; the first is what runs where nobody names one.
#[derive(Debug, Clone)]
pub struct Engines(pub(super) Vec<EngineRow>);

impl Engines {
    /// These engines and `row`, which takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, row: EngineRow) -> Engines {
        self.0.retain(|known| known.name != row.name);
        self.0.push(row);
        self
    }

    /// Rows of all engines.
    pub fn rows(&self) -> &[EngineRow] {
        &self.0
    }

    /// The engine that runs where nobody names one.
    pub fn usual(&self) -> EngineRow {
        self.0[0]
    }

    /// The engine `name` with what a section says of it.
    ///
    /// # Errors
    /// At `name`: there is none. Below: a key or a value that its section does not take.
    pub fn choose(&self, name: &str, section: Table) -> Result<EngineChoice, Fault> {
        let Some(row) = self.0.iter().find(|row| row.name == name) else {
            let names: Vec<&str> = self.0.iter().map(|row| row.name).collect();
            return Err(Fault::at(name, "there is no such engine").hint(match nearest(name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            }));
        };
        (row.check)(&section).map_err(|fault| fault.under(row.name))?;
        Ok(EngineChoice { row: *row, section })
    }

    /// The engine that a table of sections by name asks for; the usual one with its defaults where it is empty.
    ///
    /// # Errors
    /// Two engines; else as [`Engines::choose`].
    pub fn chosen(&self, sections: &Table) -> Result<EngineChoice, Fault> {
        let mut given = sections.iter();
        match (given.next(), given.next()) {
            (None, _) => Ok(EngineChoice { row: self.usual(), section: Table::new() }),
            (Some((name, Value::Table(section))), None) => self.choose(name, section.clone()),
            (Some((name, other)), None) => {
                Err(Fault::at(name.as_str(), format!("it is a {}", other.type_str())).hint("it must be a table"))
            }
            (Some((first, _)), Some((second, _))) => {
                Err(Fault::new(format!("both {first} and {second}; one engine a pool")))
            }
        }
    }
}

/// An engine that was chosen, and its section as somebody wrote it.
#[derive(Debug, Clone)]
pub struct EngineChoice {
    row: EngineRow,
    section: Table,
}

impl EngineChoice {
    /// The registry's row of the engine that was chosen.
    pub fn row(&self) -> EngineRow {
        self.row
    }

    /// This choice with `value` at `key`, unless its section says something of the key.
    #[must_use]
    pub fn or(mut self, key: &str, value: impl Into<Value>) -> EngineChoice {
        if !self.section.contains_key(key) {
            self.section.insert(key.to_owned(), value.into());
        }
        self
    }

    /// What becomes of the choice on a machine, and what people should know of it.
    ///
    /// # Errors
    /// As [`EngineSection::resolve`], at `engine.NAME`.
    pub fn resolve(&self, on: &Machine<'_>) -> Result<(ResolvedEngine, Vec<String>), Fault> {
        let name = self.row.name;
        let resolved = (self.row.resolve)(&self.section, on);
        let (settings, section, notes) = resolved.map_err(|fault| fault.under(name).under("engine"))?;
        let notes = notes.into_iter().map(|note| format!("engine.{name}.{note}")).collect();
        Ok((ResolvedEngine { name, section, settings }, notes))
    }
}

/// An engine with all its settings.
#[derive(Debug, Clone)]
pub struct ResolvedEngine {
    /// Name of the engine: the key of its section.
    pub name: &'static str,
    /// The engine's section with every default in it.
    pub section: Table,
    settings: Arc<dyn EngineSection>,
}

impl std::ops::Deref for ResolvedEngine {
    type Target = dyn EngineSection;
    fn deref(&self) -> &Self::Target {
        self.settings.as_ref()
    }
}

fn resolve<S>(section: &Table, on: &Machine<'_>) -> Result<Resolved, Fault>
where
    S: EngineSection + Default + Serialize + DeserializeOwned + JsonSchema + 'static,
{
    let mut settings: S = typed(section)?;
    let notes = settings.resolve(on)?;
    let echo = Table::try_from(&settings).map_err(|e| Fault::new(e.to_string()))?;
    Ok((Arc::new(settings), echo, notes))
}

/// The section as its type.
fn typed<S: Default + DeserializeOwned + JsonSchema>(section: &Table) -> Result<S, Fault> {
    if section.is_empty() {
        return Ok(S::default());
    }
    if let Ok(all) = Value::Table(section.clone()).try_into() {
        return Ok(all);
    }
    // Every key has a default, so each stands alone and its fault is its own.
    let schema = SchemaGenerator::default().into_root_schema_for::<S>().to_value();
    for (key, value) in section {
        key_is_known(&schema, key)?;
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        let read: Result<S, _> = Value::Table(alone).try_into();
        read.map_err(|e: toml::de::Error| {
            let fault = Fault::at(key.as_str(), e.message());
            let near = value.as_str().and_then(|v| nearest(v, &choices(&schema, key)).map(str::to_owned));
            near.into_iter().fold(fault, |fault, near| fault.hint(format!("did you mean `{near}`?")))
        })?;
    }
    Value::Table(section.clone()).try_into().map_err(|e: toml::de::Error| Fault::new(e.message()))
}

fn key_is_known(schema: &serde_json::Value, key: &str) -> Result<(), Fault> {
    let known: Vec<&str> =
        schema["properties"].as_object().map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
    if known.contains(&key) {
        return Ok(());
    }
    Err(Fault::at(key, "there is no such key").hint(match nearest(key, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    }))
}

/// The texts that a key may have, where it takes one of a few.
fn choices<'a>(schema: &'a serde_json::Value, key: &str) -> Vec<&'a str> {
    let of = &schema["properties"][key];
    let of = match of["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        Some(name) => &schema["$defs"][name],
        None => of,
    };
    let list = |key: &str| of[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let consts = list("oneOf").iter().filter_map(|one| one["const"].as_str());
    consts.chain(list("enum").iter().filter_map(serde_json::Value::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_first_engine_runs_where_none_is_named_and_two_are_refused() {
        let engines = Engines::embedded();
        assert_eq!(engines.chosen(&Table::new()).unwrap().row().name, engines.usual().name);
        for row in engines.rows() {
            let section = Table::from_iter([(row.name.to_owned(), Value::Table(Table::new()))]);
            assert_eq!(engines.chosen(&section).unwrap().row().name, row.name);
            assert!(row.about.ends_with('.') && !row.keys().is_empty(), "{}", row.name);
        }
        let says = |text: &str| engines.chosen(&table(text)).unwrap_err().to_string();
        assert_eq!(says("[vllm]\n[static]"), "both vllm and static; one engine a pool");
        assert_eq!(says("[vlm]"), "vlm: there is no such engine; did you mean `vllm`?");
        assert_eq!(says("[potato]"), "potato: there is no such engine; there are vllm, static");
        assert_eq!(says("vllm = 3"), "vllm: it is a integer; it must be a table");
    }

    #[test]
    fn a_section_says_the_key_that_is_wrong_and_what_would_be_right() {
        let says = |text: &str| Engines::embedded().chosen(&table(text)).unwrap_err().to_string();
        let near = says("[vllm]\nasync_schedulling = true");
        assert_eq!(near, "vllm.async_schedulling: there is no such key; did you mean `async_scheduling`?");
        let kind = says("[vllm]\nblock_size = 16\nmax_num_seqs = \"many\"");
        assert!(kind.starts_with("vllm.max_num_seqs: invalid type: string \"many\", expected u32"), "{kind}");
        let one_of = says("[vllm]\nscheduling_policy = \"prio\"");
        assert!(one_of.starts_with("vllm.scheduling_policy: unknown variant `prio`"), "{one_of}");
        assert!(one_of.ends_with("; did you mean `priority`?"), "{one_of}");
    }

    #[test]
    fn every_engine_resolves_by_default_and_its_echo_resolves_to_itself() {
        let on = Machine { gpu: None, max_model_len: 4_096 };
        for row in Engines::embedded().rows() {
            let choose = |section| Engines::embedded().choose(row.name, section).unwrap();
            let (once, _) = choose(Table::new()).resolve(&on).unwrap();
            let (twice, _) = choose(once.section.clone()).resolve(&on).unwrap();
            assert_eq!(once.section, twice.section, "{}", row.name);
            assert_eq!(once.demand(), twice.demand(), "{}", row.name);
            for key in row.keys() {
                let optional = !once.section.contains_key(&key);
                assert!(!optional || key.starts_with("max_num"), "{}.{key} is not written back", row.name);
            }
            let kv = KvCapacity { block_size: once.demand().block_size, num_blocks: 1_000, max_model_len: 4_096 };
            let load = once.build(&kv, EngineMode::default()).load();
            assert_eq!((load.waiting, load.running, load.kv_used_blocks), (0, 0, 0), "{}", row.name);
            assert!(once.limits(&kv).most_rows <= once.limits(&kv).max_rows);
        }
    }
}
