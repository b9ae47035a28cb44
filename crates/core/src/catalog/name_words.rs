//! Words that a name of a model has beside what says its shape.
use serde::{Deserialize, Serialize};

/// Words in the names of models that do not say their shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameWords {
    /// The words; one that stands for several in a row has hyphens between them.
    pub words: Vec<String>,
    /// Only of the models of this owner at Hugging Face; of all unless given.
    #[serde(default)]
    pub owner: Option<String>,
    /// The format of the weights that they tell; none unless given.
    #[serde(default)]
    pub weights: Option<String>,
    /// Where the words were read.
    #[serde(default)]
    pub source: String,
}
