//! What the tests of whole runs share: modes, seeds, drawn experiments, and the auditor.
pub mod auditor;
pub mod draw;
pub mod modes;
pub mod seeds;
