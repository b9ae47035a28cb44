//! What makes no sense in a row, and which keys say so.
//!
//! Imports only `types`. Must keep true: what rests on a key that could not be read is not said.
use crate::types::{Fault, Faults, Segment};

/// Something that makes no sense in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowFault {
    /// What; its key is counted from the row.
    pub fault: Fault,
    /// Other keys that it follows from.
    pub of: &'static [&'static str],
}

impl RowFault {
    /// `fault`, which follows from the values of `of` as well.
    pub fn of(fault: Fault, of: &'static [&'static str]) -> RowFault {
        RowFault { fault, of }
    }

    /// Whether it rests on none of `unread`.
    fn holds_without(&self, unread: &[String]) -> bool {
        let is_read = |key: &str| !unread.iter().any(|lost| lost == key);
        let own = match self.fault.key.segments() {
            [Segment::Name(key), ..] => is_read(key),
            _ => true,
        };
        own && self.of.iter().all(|key| is_read(key))
    }
}

impl From<Fault> for RowFault {
    fn from(fault: Fault) -> RowFault {
        RowFault { fault, of: &[] }
    }
}

/// Those of `faults` that a row says for sure which has stand-ins for the keys `unread`.
pub(super) fn sure(faults: Vec<RowFault>, unread: &[String]) -> Faults {
    faults.into_iter().filter(|f| f.holds_without(unread)).map(|f| f.fault).collect()
}
