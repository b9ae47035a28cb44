//! Rows about what lies between a client and its engine in set-ups that were measured.
//!
//! Imports only `types`. Must keep true: field names are the keys of `[[frontend]]` in `data/step_times.toml`; a row is of
//! a set-up (client, server, network), never of a model, a tensor parallelism or a file, and never part of a step.
use super::Frontend;
use serde::{Deserialize, Serialize};

/// A frontend, with how its numbers came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontendRow {
    /// Kinds of measurements, as `baseload validate --kind` names them, that were taken behind it.
    pub kinds: Vec<String>,
    /// From the client's send until the engine has the request, seconds.
    pub arrival_s: f64,
    /// Seconds added to `arrival_s` for each 1,000 prompt tokens.
    pub arrival_s_per_1000_prompt_tokens: f64,
    /// From the engine's token until the client has it, seconds. Timings at a client show both legs only as a sum.
    #[serde(default)]
    pub token_s: f64,
    /// How the numbers came about.
    #[serde(default)]
    pub fitted: String,
    /// Median absolute error where it was held out, a share.
    #[serde(default)]
    pub error: f64,
    /// What `error` is of.
    #[serde(default)]
    pub error_of: String,
    /// Hash over the rows of the fit.
    #[serde(default)]
    pub data_sha256: String,
    /// When the frontend was fitted.
    #[serde(default)]
    pub date: String,
    /// Where the measurements are from.
    #[serde(default)]
    pub source: String,
}

impl FrontendRow {
    /// The frontend's numbers without name and source.
    pub fn frontend(&self) -> Frontend {
        Frontend {
            arrival_s: self.arrival_s,
            arrival_s_per_1000_prompt_tokens: self.arrival_s_per_1000_prompt_tokens,
            token_s: self.token_s,
        }
    }
}
