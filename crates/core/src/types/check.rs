//! What people write, checked: durations, shares and counts in their ranges, each with one wording of what is wrong.
use super::{Fault, KeyPath, SimTime, parse_duration};

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
