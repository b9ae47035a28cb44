//! The facts: GPUs, models, API prices, latencies and limits, GPU rents, costs of people and power.
//!
//! Imports only `types`. Every row carries its source, and a date where it can age. A [`Catalog`] is a value that starts
//! from the tables in `data/` and takes a user's files; it is passed to who reads facts. Must keep true: prices are exact
//! pico-dollars, unknown keys in a table are refused, and an unknown name is answered with the nearest known one.
//! Read first: `tables.rs`, `lookup.rs`, then `row.rs`, `laid.rs`, `names.rs`.
mod api;
mod api_profile;
mod bounds;
mod buying;
mod config_json;
mod data_set;
mod date;
mod error;
mod frontend;
mod hardware;
pub mod keyed;
mod keys;
mod laid;
mod lookup;
mod model;
mod name_words;
mod names;
mod nearest;
mod prices;
mod profile;
mod row;
mod row_fault;
mod step_time;
mod tables;

pub use api::{ApiCapability, ApiLatency, ApiPrice, Currency, PromptCacheRow, RateLimit, Tier};
pub use api_profile::{
    ApiKnot, ApiOutcomes, ApiProfile, ApiProfileData, ApiScores, ApiTime, AtQuantiles, QuantileScore, undated,
};
pub use bounds::{Bounds, value_items_between, values_between};
pub use buying::{AccelerationRule, BurnDownOf, IncidentRow, LimitRules, OutputRule, ProvisionedRow, SharedRule};
pub use config_json::{FromConfig, model_from_config};
pub use data_set::{CalledGpu, DataSetRow};
pub use date::{age_days, date_of_days, day_of};
pub use error::CatalogError;
pub use frontend::FrontendRow;
pub use hardware::{Gpu, MeasuredPool, OpsCost, Rent};
pub use laid::{CatalogFault, CatalogText, Laid};
pub use model::{Model, WEIGHT_FORMATS};
pub use name_words::NameWords;
pub use names::NamedModel;
pub use nearest::{nearest, unknown};
pub use profile::{Frontend, HeldBack, MeasuredEngine, Profile, ProfileData, StepCoefficients};
pub use step_time::{NUMBERS, StepTimeFile, StepTimeRow};
pub use tables::Catalog;
