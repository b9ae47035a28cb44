//! Fits profiles from measurements and scores predictions: how a measurement was taken is simulated, then compared.
//!
//! May import everything above it in ARCHITECTURE.md's table. Knows no paths and prints nothing: `cli` opens files.
//! Must keep true: `validate` and `calibrate` go through `sim::simulate`, like every run; what a profile was fitted on
//! is not scored unawares; data that cannot tell a coefficient are refused by its name.
//! Read first: `validate.rs`, then `trial.rs`, then one file of `kinds/`; `fit.rs` for the fits.
mod api;
mod collapse;
mod descent;
mod fit;
mod frontend;
mod hash;
mod kernel_fit;
#[cfg(feature = "frames")]
mod kernel_source;
#[cfg(feature = "frames")]
mod kernels;
pub mod kinds;
mod ladder;
mod lines;
mod machine;
mod make;
mod measurements;
mod nnls;
mod order;
mod refit;
mod replica;
mod routers;
mod score;
mod score_json;
mod served_by;
mod setup;
mod table;
mod targets;
mod trial;
mod validate;

pub use api::{
    ApiCalls, ApiRecipe, ApiReport, FEWEST_CALLS, FOLDS, JUDGED_GROUPS, MeasuredCall, ModelScore, api_profile,
    api_scores, read_api_calls, read_api_file,
};
pub use collapse::{Collapse, Ratio};
pub use fit::{COLUMNS, FROM_REQUESTS, FROM_STEPS, Wanted, lags};
pub use frontend::{FrontendFit, fit_frontend};
pub use kernel_fit::{KernelFit, PartError, fit_from_kernels};
#[cfg(feature = "frames")]
pub use kernel_source::Kernels;
#[cfg(feature = "frames")]
pub use kernels::{ChosenKernels, KernelProfile, Taken, choose_kernels, kernel_profile};
pub use make::{Fit, Recipe, calibrate};
pub use measurements::{Input, Kind, Options, Split};
pub use nnls::Normal;
pub use order::Order;
pub use refit::cross_validate;
pub use replica::MeasuredReplica;
pub use routers::Router;
pub use score::{Errors, Group, Metrics, Pair, Points, Scores, errors, points, whole};
pub use setup::Setup;
pub use targets::Targets;
pub use trial::{Lags, Loop, Played, Sent, Timing, Trial, play, play_fleet};
pub use validate::validate;
