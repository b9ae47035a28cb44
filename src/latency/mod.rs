//! How long an engine step takes, behind `types::StepTime`.
//!
//! May import `types`, `catalog`, `memory`. Knows no scheduler.
//! Must keep true: integers of femtoseconds out, and a pure decode batch lasts exactly what the decode law says.
//! Read first: `roofline.rs`.
mod constant;
mod roofline;

pub use constant::Constant;
pub use roofline::Roofline;
