//! What people write, checked: durations, shares and counts in their ranges, each with one wording of what is wrong.
use super::shown::is_hidden;
use super::{Fault, KeyPath, SimTime, parse_duration};

/// Bytes of a name at most: with what stands before it a name of a folder on every file system.
pub const LONGEST_NAME: usize = 120;

/// A name that people give to a part of their file, at `key`. It may become a folder's, and stands in every table.
///
/// # Errors
/// At `key`: no name, a long one, a path, or one with characters that cannot be seen.
pub fn name(key: impl Into<KeyPath>, name: &str) -> Result<(), Fault> {
    let key = key.into();
    id(key.clone(), name)?;
    let (what, hint) = match name {
        "." | ".." => (format!("the name is `{name}`"), "that is a folder's; give another"),
        _ if name.contains(['/', '\\']) => {
            ("the name has a `/` or `\\`".into(), "a name is no path: write `-` or `.` for it")
        }
        _ if name.trim() != name => ("the name begins or ends with a space".into(), "leave it out"),
        _ => return Ok(()),
    };
    Err(Fault::at(key, what).hint(hint))
}

/// The name of a thing of the world, such as a model or an API, at `key`: it may have a `/`.
///
/// # Errors
/// At `key`: no name, a long one, or one with characters that cannot be seen.
pub fn id(key: impl Into<KeyPath>, name: &str) -> Result<(), Fault> {
    let fault = |what: String, hint: &str| Err(Fault::at(key, what).hint(hint));
    if name.is_empty() {
        return fault("the name is empty".into(), "give it one");
    }
    if name.len() > LONGEST_NAME {
        return fault(format!("the name has {} bytes", name.len()), &format!("it may have {LONGEST_NAME}"));
    }
    match name.chars().find(|c| is_hidden(*c)) {
        None => Ok(()),
        Some(c) => {
            let code = format!("U+{:04X}", u32::from(c));
            fault(format!("the name has a character that cannot be seen, {code}"), "leave it out")
        }
    }
}

/// The duration that `text` says at `key`.
///
/// # Errors
/// At `key`: a text that is no duration.
pub fn duration(key: impl Into<KeyPath>, text: &str) -> Result<SimTime, Fault> {
    parse_duration(text).map_err(|fault| fault.under(key))
}

/// The duration that `text` says at `key`, which must be longer than nothing.
///
/// # Errors
/// At `key`: a text that is no duration, or 0.
pub fn longer_than_0(key: impl Into<KeyPath>, text: &str) -> Result<SimTime, Fault> {
    let key = key.into();
    match duration(key.clone(), text)? {
        SimTime::ZERO => Err(Fault::at(key, "it is 0").hint("it must be longer")),
        time => Ok(time),
    }
}

/// A share, 0 to 1.
///
/// # Errors
/// At `key`: a number outside.
pub fn share(key: impl Into<KeyPath>, x: f64) -> Result<f64, Fault> {
    in_range(key, x, (0.0..=1.0).contains(&x), "it must lie between 0 and 1")
}

/// A finite number above 0.
///
/// # Errors
/// At `key`: any other.
pub fn above_0(key: impl Into<KeyPath>, x: f64) -> Result<f64, Fault> {
    in_range(key, x, x.is_finite() && x > 0.0, "it must be above 0")
}

/// A finite number from 0.
///
/// # Errors
/// At `key`: any other.
pub fn from_0(key: impl Into<KeyPath>, x: f64) -> Result<f64, Fault> {
    in_range(key, x, x.is_finite() && x >= 0.0, "it must be a number from 0")
}

/// A count of at least 1.
///
/// # Errors
/// At `key`: 0.
pub fn at_least_1<N: Copy + Default + PartialEq + std::fmt::Display>(
    key: impl Into<KeyPath>,
    n: N,
) -> Result<N, Fault> {
    in_range(key, n, n != N::default(), "it must be at least 1")
}

/// `x` at `key` if `holds`, else what it is and `right`: what it must be.
///
/// # Errors
/// At `key`, where it does not hold.
pub fn in_range<N: std::fmt::Display>(key: impl Into<KeyPath>, x: N, holds: bool, right: &str) -> Result<N, Fault> {
    if holds { Ok(x) } else { Err(Fault::at(key, format!("it is {x}")).hint(right)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::key;

    #[test]
    fn a_name_is_short_visible_and_no_path() {
        for right in ["hybrid", "gpt-4.1", "a b", "größer", "数据", "a=b", "...", "x`y"] {
            assert_eq!(name("policy", right), Ok(()), "{right}");
        }
        let says = |wrong: &str| name("policy", wrong).unwrap_err().to_string();
        assert_eq!(
            says("/../../../escaped"),
            "policy: the name has a `/` or `\\`; a name is no path: write `-` or `.` for it"
        );
        assert_eq!(says("a\\b"), says("a/b"));
        assert_eq!(says(".."), "policy: the name is `..`; that is a folder's; give another");
        assert_eq!(says(&"x".repeat(249)), "policy: the name has 249 bytes; it may have 120");
        for (wrong, code) in
            [("a\0b", "U+0000"), ("\u{1b}[31mred", "U+001B"), ("a\u{9b}", "U+009B"), ("a\u{202e}b", "U+202E")]
        {
            assert!(says(wrong).contains(&format!("cannot be seen, {code}")), "{}", says(wrong));
        }
        assert_eq!(id("model", "Qwen/Qwen3-8B"), Ok(()));
        assert!(says("").contains("is empty") && says("a ").contains("ends with a space"));
    }

    #[test]
    fn what_is_out_of_range_says_what_it_is_and_must_be() {
        let says = |fault: Result<f64, Fault>| fault.unwrap_err().to_string();
        assert_eq!(says(share(key!["a", 1], 1.5)), "a[1]: it is 1.5; it must lie between 0 and 1");
        assert_eq!(says(above_0("a", f64::INFINITY)), "a: it is inf; it must be above 0");
        assert_eq!(says(from_0("a", -1.0)), "a: it is -1; it must be a number from 0");
        assert_eq!(at_least_1("a", 0u32).unwrap_err().to_string(), "a: it is 0; it must be at least 1");
        assert_eq!((share("a", 1.0), above_0("a", 2.0), from_0("a", 0.0)), (Ok(1.0), Ok(2.0), Ok(0.0)));
        assert_eq!(longer_than_0("a", "0s").unwrap_err().to_string(), "a: it is 0; it must be longer");
        let no_unit = duration("a", "2").unwrap_err().to_string();
        assert!(no_unit.starts_with("a: `2` is not a duration: it has no unit"), "{no_unit}");
    }
}
