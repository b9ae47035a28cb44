//! What the tests of whole runs share: modes, seeds, drawn experiments, and the auditor.
pub mod auditor;
pub mod draw;
mod draw_gateway;
pub mod draw_shared;
pub mod modes;
pub mod seeds;
