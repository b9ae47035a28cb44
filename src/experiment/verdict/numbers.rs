//! Shares, sums, counts and durations as the verdict and the reports write them.

/// A share as per cent with one decimal, rounded down so that a missed target never reads as met.
pub fn percent(share: f64) -> String {
    let shown = format!("{:.1}", (share * 1000.0 + 1e-7).floor() / 10.0);
    shown.strip_suffix(".0").filter(|whole| *whole == "100" || *whole == "0").map_or(shown.clone(), str::to_owned)
}

/// Whole dollars with thousands separators.
pub fn usd_text(usd: f64) -> String {
    let text = thousands(usd.abs().round() as u64);
    if usd <= -0.5 { format!("-{text}") } else { text }
}

/// A count with thousands separators.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds with a fitting unit: `52 ms`, `1.23 s`, `123 s`.
pub fn seconds_text(seconds: f64) -> String {
    match seconds {
        s if s < 0.0095 => format!("{:.2} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 99.95 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_and_a_missed_target_never_reads_as_met() {
        assert_eq!((percent(0.98999).as_str(), percent(1.0).as_str(), percent(0.57).as_str()), ("98.9", "100", "57.0"));
        assert_eq!(usd_text(1_234_567.5), "1,234,568");
        assert_eq!(usd_text(-999.6), "-1,000");
        assert_eq!(
            [0.004, 0.0523, 1.234, 12.34, 600.0].map(seconds_text),
            ["4.00 ms", "52 ms", "1.23 s", "12.3 s", "600 s"]
        );
    }
}
