//! Latency of bought APIs: measured calls to a profile, and the scores of such a fit on calls that it has not seen.
//!
//! May import what `calibrate` may. Must keep true: what is scored is the law that the simulator draws from
//! (`api::ProfileLaw`), made of a profile as it would be written; a model's calls are fitted without those of another.
//! Read first: `read.rs`, then `law.rs`, then `score.rs`.
mod fit;
mod law;
mod read;
mod score;

pub use fit::{ApiRecipe, api_profile};
pub use law::FEWEST_CALLS;
pub use read::{ApiCalls, MeasuredCall, read_api_calls, read_api_file};
pub use score::{ApiReport, FOLDS, JUDGED_GROUPS, ModelScore, api_scores};

#[cfg(test)]
mod tests;
