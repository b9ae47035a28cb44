//! What may go wrong when a fact is looked up.
use crate::types::{Fault, TraceFault};

/// What may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No row has this name.
    #[error("unknown {what} `{name}`; {hint}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
        /// The nearest known name and the command that lists all.
        hint: String,
    },
}

impl From<CatalogError> for Fault {
    /// A fault at the key that names the row.
    fn from(error: CatalogError) -> Fault {
        let CatalogError::Unknown { what, name, hint } = error;
        Fault::new(format!("unknown {what} `{name}`")).hint(hint)
    }
}

impl From<CatalogError> for TraceFault {
    /// A fault of the file that has the name.
    fn from(error: CatalogError) -> TraceFault {
        Fault::from(error).into()
    }
}
