//! What a look-up of an unknown name says: the nearest known one, and where to find all of them.
use crate::types::Fault;
pub use crate::types::nearest;

/// `unknown KIND `name``; the nearest known one, and where to find all of them.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> Fault {
    Fault::new(format!("unknown {kind} `{name}`")).hint(hint(name, known, listing))
}

/// The nearest known name, and where to find all known ones.
pub(super) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`? `{listing}` lists them"),
        None => format!("`{listing}` lists the known ones"),
    }
}
