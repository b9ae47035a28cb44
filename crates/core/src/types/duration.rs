//! Durations as people write them: a number and a unit.
use super::{Fault, SimTime};

/// The longest duration of a file: ten years. Sums of several stay far below what the clocks hold.
pub const LONGEST: SimTime = SimTime::from_secs(3_653 * 86_400);

/// Parses `250ns`, `10us`, `250ms`, `2s`, `1.5s`, `90m`, `2h` or `1d`: a decimal number and a unit, at most ten years.
/// Exact: what is finer than a nanosecond is refused.
///
/// # Errors
/// Says what is wrong with the text and what would be right.
pub fn parse_duration(text: &str) -> Result<SimTime, Fault> {
    let wrong = |why: &str| {
        Fault::new(format!("`{text}` is not a duration: {why}")).hint("write a number and a unit, such as \"250ms\"")
    };
    let text_trimmed = text.trim();
    let split = text_trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text_trimmed.len());
    let (number, unit) = text_trimmed.split_at(split);
    let unit_ns: u128 = match unit.trim_start() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "" => return Err(wrong("it has no unit (ns, us, ms, s, m, h, d)")),
        _ => return Err(wrong("its unit is none of ns, us, ms, s, m, h, d")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || fraction.contains('.') || whole.len() > 19 || fraction.len() > 15 || whole.is_empty() {
        return Err(wrong("its number is not a plain decimal"));
    }
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| wrong("its number is not a plain decimal"))?;
    let scale = 10u128.pow(fraction.len() as u32);
    let product = digits * unit_ns;
    if !product.is_multiple_of(scale) {
        return Err(wrong("it is finer than a nanosecond"));
    }
    let ns = u64::try_from(product / scale).ok().filter(|ns| *ns <= LONGEST.0);
    ns.map(SimTime).ok_or_else(|| wrong("it is longer than ten years"))
}

/// The shortest text that [`parse_duration`] reads as `t`.
pub fn duration_text(t: SimTime) -> String {
    let units = [(86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s")];
    let finer = [(1_000_000, "ms"), (1_000, "us")];
    let (ns, unit) = match t.0 {
        0 => (1_000_000_000, "s"),
        n => units.into_iter().chain(finer).find(|(unit, _)| n % unit == 0).unwrap_or((1, "ns")),
    };
    format!("{}{unit}", t.0 / ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_and_need_a_unit() {
        assert_eq!(parse_duration("250ms").unwrap(), SimTime::from_millis(250));
        assert_eq!(parse_duration("0s").unwrap(), SimTime::ZERO);
        assert_eq!(parse_duration("1.5s").unwrap(), SimTime::from_millis(1500));
        assert_eq!(parse_duration("90m").unwrap(), parse_duration("1.5h").unwrap());
        assert_eq!(parse_duration("3653d").unwrap(), LONGEST);
        for bad in ["3653.1d", "", "5", "s", "-1s", "1.2.3s", "5 parsecs", "0.5ns", "99999999999d", ".5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_500_000, "1500us"),
            (250_000_000, "250ms"),
            (90_000_000_000, "90s"),
            (7_200_000_000_000, "2h"),
        ];
        for (ns, text) in cases {
            assert_eq!((duration_text(SimTime(ns)).as_str(), parse_duration(text)), (text, Ok(SimTime(ns))));
        }
    }
}
