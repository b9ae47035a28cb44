//! The name of a result folder that nobody named.
//!
//! Must keep true: what was overridden on the command line is in the name, so that no run writes over another by default.
use super::super::inputs::hex;
use super::super::resolve::Experiment;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Characters of overrides that are shown; the hash stands for the rest.
const LONGEST: usize = 80;

impl Experiment {
    /// `NAME`, and behind it what was set and the catalogue files that were given on the command line:
    /// `NAME--slo.ttft=1s--seed=7`. Where they cannot be written in a name, a hash tells them from others.
    pub fn result_name(&self, catalogs: &[PathBuf]) -> String {
        let sets = self.origin.sets.iter().map(|(set, _)| set.clone());
        let files = catalogs.iter().map(|path| format!("catalog={}", path.display()));
        named(&self.name, &sets.chain(files).collect::<Vec<_>>())
    }
}

fn named(name: &str, overrides: &[String]) -> String {
    if overrides.is_empty() {
        return name.into();
    }
    let whole = overrides.join("--");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=+,".contains(c);
    let plain: String = whole.chars().map(|c| if is_plain(c) { c } else { '_' }).take(LONGEST).collect();
    let hash = &hex(&Sha256::digest(whole.as_bytes()))[..8];
    if plain == whole { format!("{name}--{plain}") } else { format!("{name}--{plain}--{hash}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_in_the_name_and_those_that_cannot_be_are_told_apart() {
        let of = |overrides: &[&str]| named("q", &overrides.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&[]), "q");
        assert_eq!(of(&["slo.ttft=1s", "seed=7"]), "q--slo.ttft=1s--seed=7");
        let (a, b) = (of(&["policy.a.x={ y = 1 }"]), of(&["policy.a.x=[ y = 1 ]"]));
        assert!(a.starts_with("q--policy.a.x=__y_=_1__--") && a.len() == "q--policy.a.x=__y_=_1__--".len() + 8, "{a}");
        assert_ne!(a, b);
        assert!(!of(&["catalog=../a/b.toml"]).contains('/'));
        let long = of(&[&format!("question={}", "x".repeat(500))]);
        assert_eq!(long.len(), "q--".len() + LONGEST + "--".len() + 8);
    }
}
