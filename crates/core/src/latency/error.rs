//! What can be wrong with a step time that is asked for.

/// Why there is no step time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// The options make no sense for this model or GPU.
    #[error("{0}")]
    Options(String),
    /// Nothing is known of how near to its peaks this GPU comes.
    #[error(
        "no step times of {0} are known; give it `like = \"GPU\"` to borrow another's, or [[step_time]] rows of its own"
    )]
    Unknown(String),
}
