//! The facts: GPUs, models, API prices, latencies and limits, GPU rents, costs of people and power.
//!
//! Imports only `types`. Every row carries its source, and a date where it can age; the tables in `data/` are embedded
//! and can be overridden row by row. Must keep true: prices are exact pico-dollars, unknown keys in a table are
//! refused, and an unknown name is answered with the nearest known one.
//! Read first: `lookup.rs`.
mod api;
mod api_profile;
mod buying;
mod date;
mod frontend;
mod hardware;
mod lookup;
mod model;
mod nearest;
mod prices;
mod profile;
mod step_time;

/// When the tables of GPUs and models were compiled; a row of an override may say its own date.
const SHEETS_READ: &str = "2026-11-23";

pub use api::{ApiCapability, ApiLatency, ApiPrice, Currency, PromptCacheRow, RateLimit, Tier};
pub use api_profile::{
    ApiKnot, ApiOutcomes, ApiProfile, ApiProfileData, ApiScores, ApiTime, AtQuantiles, QuantileScore, undated,
};
pub use buying::{IncidentRow, ProvisionedRow};
pub use date::{age_days, date_of_days, day_of};
pub use frontend::FrontendRow;
pub use hardware::{Gpu, MeasuredPool, OpsCost, Rent};
pub use lookup::{Catalog, CatalogError};
pub use model::Model;
pub use nearest::{nearest, unknown};
pub use prices::{PriceFault, PriceFile};
pub use profile::{Frontend, HeldBack, MeasuredEngine, Profile, ProfileData, StepCoefficients};
pub use step_time::{NUMBERS, StepTimeFile, StepTimeRow};
