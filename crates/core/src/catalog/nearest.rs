//! What a look-up of an unknown name says: the nearest known one, and where to find all of them.
pub use crate::types::nearest;

/// `unknown KIND `name`; did you mean `y`? ...`, with where to find all of them.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> String {
    format!("unknown {kind} `{name}`{}", hint(name, known, listing))
}

/// The end of that sentence.
pub(super) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("; did you mean `{near}`? `{listing}` lists them"),
        None => format!("; `{listing}` lists the known ones"),
    }
}
