//! What may go wrong when a fact is looked up.

/// What may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No row has this name.
    #[error("unknown {what} `{name}`{hint}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
        /// The nearest known name and the command that lists all, as the end of the sentence.
        hint: String,
    },
}
