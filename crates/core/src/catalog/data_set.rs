//! Rows about data sets of measurements: what their files leave out or name in their own way.
//!
//! Imports nothing. Must keep true: field names are the keys of `data/data_sets.toml`.
use serde::{Deserialize, Serialize};

/// A kind of measurements, as `baseload validate --kind` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSetRow {
    /// The kind.
    pub kind: String,
    /// GPU of all measurements, where the files do not say it.
    #[serde(default)]
    pub gpu: Option<String>,
    /// GPUs that the files name otherwise than the catalogue.
    #[serde(default)]
    pub gpus: Vec<CalledGpu>,
    /// What models are called of which the files say only the size, `SIZE` standing for that.
    #[serde(default)]
    pub model_of_size: Option<String>,
    /// When the data set was read.
    #[serde(default)]
    pub date: String,
    /// Where the data set is from.
    #[serde(default)]
    pub source: String,
}

/// A GPU under another name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalledGpu {
    /// A part of the name in the files.
    pub called: String,
    /// Id of that GPU in the catalogue.
    pub is: String,
}

impl DataSetRow {
    /// What the files call `name` by the catalogue's id, or `name`.
    pub fn gpu_of<'a>(&'a self, name: &'a str) -> &'a str {
        self.gpus.iter().find(|g| name.contains(&g.called)).map_or(name, |g| &g.is)
    }
}
