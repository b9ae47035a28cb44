//! What can be wrong with a step time that is asked for.

/// Why there is no step time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// The options make no sense for this model or GPU.
    #[error("{0}")]
    Options(String),
}
