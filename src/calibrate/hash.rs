//! Hashes of rows, so that a profile can say what it was fitted on.
use sha2::{Digest, Sha256};

/// Hash of lines of text; what file they came from, and how it was packed, does not matter.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds a line.
    pub fn line(&mut self, text: &str) {
        self.0.update(text.as_bytes());
        self.0.update(b"\n");
    }
    /// The first 16 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}

/// Hash of one text.
pub fn of(text: &str) -> String {
    let mut h = Hasher::default();
    h.line(text);
    h.finish()
}

/// The whole SHA-256 over a list of hashes.
pub fn of_all(rows: &[String]) -> String {
    let mut h = Hasher::default();
    rows.iter().for_each(|r| h.line(r));
    let digits: String = h.0.finalize().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}
