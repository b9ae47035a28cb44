//! What hard rules ask of a place where a request may be served.
use super::Capability;

/// What the constraints need to know of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendFacts {
    /// Runs on own GPUs.
    pub internal: bool,
    /// What its model can do.
    pub capability: Capability,
    /// Longest prompt plus one output token that it takes.
    pub max_context_tokens: u32,
    /// Answers come after hours: only for classes that tolerate a wait.
    pub deferred: bool,
}
