//! Figures as people read them: one function for each unit and resolution, so that no two places write the same thing in two
//! ways. Programs get numbers, not these texts.
//!
//! Must keep true: the same number gives the same text on every platform. Verdicts and warnings of summaries are written with
//! [`percent_down`], [`usd`], [`seconds`] and [`thousands`], so a change of these changes committed baselines.

/// The nearest number with so many significant digits.
pub fn rounded(v: f64, digits: u32) -> f64 {
    // Decimal text is the shortest that reads back: no error of a power of ten stays.
    format!("{v:.*e}", digits.saturating_sub(1) as usize).parse().unwrap_or(v)
}

/// A number with so many places after the point, for columns all of whose rows have as many: `0.667`.
pub fn decimals(v: f64, places: usize) -> String {
    format!("{v:.places$}")
}

/// A difference with its sign and two places: `+25.00`.
pub fn signed(v: f64) -> String {
    format!("{v:+.2}")
}

/// A number with so many significant digits, without zeros that say nothing: `0.333333`, `2000000`.
pub fn significant(v: f64, digits: u32) -> String {
    rounded(v, digits).to_string()
}

/// Any value in its own unit: up to four places, seven below 0.01 and one from 1,000 on, without zeros that say nothing.
pub fn plain(v: f64) -> String {
    let places = match v.abs() {
        size if size >= 1_000.0 => 1,
        size if size >= 0.01 => 4,
        _ => 7,
    };
    trimmed(decimals(v, places))
}

/// A value above 0 with three significant digits: `0.0123`, `1.44`, `12.3`, `348`, `1,234`. Rates are written so.
pub fn three_digits(v: f64) -> String {
    let places = match v {
        v if v < 0.000_999_5 => 6,
        v if v < 0.009_995 => 5,
        v if v < 0.099_95 => 4,
        v if v < 0.9995 => 3,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        v => return thousands(v.round() as u64),
    };
    if v == 0.0 { "0".into() } else { decimals(v, places) }
}

/// A value in the unit of its column: three places below 10, one below 100, then thousands: `2.097`, `11.2`, `1,234`.
pub fn column(v: f64) -> String {
    match v {
        v if v < 9.9995 => decimals(v, 3),
        v if v < 99.95 => decimals(v, 1),
        v => thousands(v.round() as u64),
    }
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

/// A mean of counts, or a time in milliseconds: a tenth below 100 or 1,000 as `tenths_below` says, then thousands.
fn with_tenths(v: f64, tenths_below: f64) -> String {
    if v < tenths_below - 0.05 { decimals(v, 1) } else { thousands(v.round() as u64) }
}

/// A mean of counts: `206.7`, `1,234`.
pub fn mean_count(v: f64) -> String {
    with_tenths(v, 1_000.0)
}

/// A count with `k` or `M` where that is exact: `500k`, `2M`, `1234`.
pub fn short_count(n: u64) -> String {
    match n {
        0 => "0".into(),
        n if n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        n if n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// A count in at most four characters: `1234`, `12k`, `1.2M`.
pub fn four_count(v: f64) -> String {
    match v {
        v if v < 9_999.5 => decimals(v, 0),
        v if v < 999_500.0 => format!("{}k", decimals(v / 1e3, 0)),
        v if v < 9_950_000.0 => format!("{}M", decimals(v / 1e6, 1)),
        v if v < 999_500_000.0 => format!("{}M", decimals(v / 1e6, 0)),
        v => format!("{}G", decimals(v / 1e9, 0)),
    }
}

/// Any value from 0 in at most four characters: `0.05`, `1.23`, `12.3`, `1234`, `12k`, `1.2M`.
pub fn four(v: f64) -> String {
    match v {
        v if v < 9.995 => decimals(v, 2),
        v if v < 99.95 => decimals(v, 1),
        v => four_count(v),
    }
}

/// A share as per cent with one place and no sign of it, rounded down so that a missed target never reads as met: `98.9`, `100`.
pub fn percent_down(share: f64) -> String {
    let shown = decimals((share * 1000.0 + 1e-7).floor() / 10.0, 1);
    shown.strip_suffix(".0").filter(|whole| *whole == "100" || *whole == "0").map_or(shown.clone(), str::to_owned)
}

/// A share as per cent to the nearest tenth, in at most four characters: `68.1`, `100`.
pub fn percent_four(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 99.95 { decimals(percent, 1) } else { "100".into() }
}

/// A share as per cent to the nearest tenth: `68.1 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", decimals(share * 100.0, 1))
}

/// A share as whole per cent: `103 %`.
pub fn percent_whole(share: f64) -> String {
    format!("{} %", decimals(share * 100.0, 0))
}

/// A share as per cent to the nearest hundredth, where tenths would hide a difference: `12.34 %`.
pub fn percent_fine(share: f64) -> String {
    format!("{} %", decimals(share * 100.0, 2))
}

/// A change as per cent with its sign: `+1.2 %`.
pub fn percent_signed(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// A change as whole per cent with its sign: `+12 %`.
pub fn percent_signed_whole(share: f64) -> String {
    format!("{:+.0} %", share * 100.0)
}

/// A difference of shares in percentage points: `-0.3`.
pub fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0)
}

/// Whole US dollars with thousands separators: `1,234`.
pub fn usd(usd: f64) -> String {
    let text = thousands(usd.abs().round() as u64);
    if usd <= -0.5 { format!("-{text}") } else { text }
}

/// US dollars with cents below 1,000: `0.27`, `345.60`, `1,234`.
pub fn usd_cents(v: f64) -> String {
    if v < 999.995 { decimals(v, 2) } else { usd(v) }
}

/// Whole US dollars, from ten million on thousands of them: `1,234,567`, `12,346k`.
pub fn usd_wide(v: f64) -> String {
    usd_in_thousands_from(9_999_999.5, v)
}

/// Whole US dollars where columns are few, from a million on thousands of them: `999,999`, `1,235k`.
pub fn usd_narrow(v: f64) -> String {
    usd_in_thousands_from(999_999.5, v)
}

fn usd_in_thousands_from(from: f64, v: f64) -> String {
    if v.abs() >= from { format!("{}k", usd(v / 1_000.0)) } else { usd(v) }
}

/// Seconds with a fitting unit: `4.00 ms`, `52 ms`, `1.23 s`, `123 s`. For latencies; a stretch of time is a [`span`].
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0095 => format!("{} ms", decimals(s * 1e3, 2)),
        s if s < 0.9995 => format!("{} ms", decimals(s * 1e3, 0)),
        s if s < 9.995 => format!("{} s", decimals(s, 2)),
        s if s < 99.95 => format!("{} s", decimals(s, 1)),
        s => format!("{} s", decimals(s, 0)),
    }
}

/// A stretch of time: `2.5 days`, `3.0 h`, `12.0 min`, and below two minutes as [`seconds`].
pub fn span(seconds_long: f64) -> String {
    match seconds_long {
        s if s >= 2.0 * 86_400.0 => format!("{} days", decimals(s / 86_400.0, 1)),
        s if s >= 1.95 * 3_600.0 => format!("{} h", decimals(s / 3_600.0, 1)),
        s if s >= 120.0 => format!("{} min", decimals(s / 60.0, 1)),
        s => seconds(s),
    }
}

/// Seconds as milliseconds without the unit, for a column in `ms`: `12.8`, `375`, `2,008`.
pub fn in_ms(seconds: f64) -> String {
    with_tenths(seconds * 1e3, 100.0)
}

/// Bytes as GiB: `32.86`.
pub fn in_gib(bytes: u64) -> String {
    decimals(bytes as f64 / (1u64 << 30) as f64, 2)
}

/// A multiple of the traffic of today, exact to four digits: `x0.1778`, `x10`, `x0.01778`.
pub fn volume(times: f64) -> String {
    if times < 0.1 {
        return format!("x{}", rounded(times, 4));
    }
    format!("x{}", trimmed(decimals(times, 4)))
}

/// A multiple of the traffic of today that was found, not asked for: `x0.178`, `x1.78`, `x17.8`.
pub fn volume_about(times: f64) -> String {
    format!("x{}", three_digits(times))
}

/// A mark of an axis: at most two places below 10, whole from there on, without zeros that say nothing: `0.25`, `5`, `120`.
pub fn tick(v: f64) -> String {
    trimmed(if v < 9.995 { decimals(v, 2) } else { decimals(v, 0) })
}

/// A mark of an axis of times: `0`, `250 ms`, `1.5 s`.
pub fn tick_seconds(v: f64) -> String {
    match v {
        0.0 => "0".into(),
        v if v < 0.9995 => format!("{} ms", tick(v * 1e3)),
        v => format!("{} s", tick(v)),
    }
}

/// A mark of an axis of per cent (0 to 100, no share): `20 %`.
pub fn tick_percent(percent: f64) -> String {
    format!("{} %", tick(percent))
}

/// A mark of an axis of US dollars: `$5`, `$1,500`, `$20k`, `$1.5M`.
pub fn tick_usd(v: f64) -> String {
    match v {
        v if v >= 999_500.0 => format!("${}M", tick(v / 1e6)),
        v if v >= 9_995.0 => format!("${}k", tick(v / 1e3)),
        v if v >= 10.0 || v == 0.0 => format!("${}", thousands(v.round() as u64)),
        v => format!("${}", tick(v)),
    }
}

/// A mark of an axis of counts or of times in a unit that the axis names: `0`, `1e-3`, `0.5`, `1,500`, `20k`, `1.5M`, `2G`.
pub fn tick_count(v: f64) -> String {
    match v {
        v if v >= 999_500_000.0 => format!("{}G", tick(v / 1e9)),
        v if v >= 999_500.0 => format!("{}M", tick(v / 1e6)),
        v if v >= 9_999.5 => format!("{}k", tick(v / 1e3)),
        v if v >= 10.0 => thousands(v.round() as u64),
        0.0 => "0".into(),
        v if v < 0.01 => format!("{v:.0e}"),
        v => tick(v),
    }
}

/// Decimal text without the zeros behind its point.
fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_never_reads_as_met_and_what_is_published_is_the_nearest() {
        assert_eq!([0.98999, 1.0, 0.57, 0.0].map(percent_down), ["98.9", "100", "57.0", "0"]);
        assert_eq!([0.680_81, 0.9996, 0.0].map(percent_four), ["68.1", "100", "0.0"]);
        assert_eq!((percent(0.680_81), percent_whole(1.034)), ("68.1 %".into(), "103 %".into()));
        assert_eq!((percent_fine(0.1234), points(-0.0031)), ("12.34 %".into(), "-0.3".into()));
        assert_eq!((percent_signed(0.012), percent_signed_whole(-0.12)), ("+1.2 %".into(), "-12 %".into()));
    }

    #[test]
    fn money_is_whole_where_cents_say_nothing() {
        assert_eq!([1_234_567.5, -999.6, 0.4].map(usd), ["1,234,568", "-1,000", "0"]);
        assert_eq!([0.274, 345.6, 999.996].map(usd_cents), ["0.27", "345.60", "1,000"]);
        assert_eq!([999_999.0, 1_234_567.0, 12_345_678.0].map(usd_wide), ["999,999", "1,234,567", "12,346k"]);
        assert_eq!([999_999.0, 1_234_567.0, 12_345_678.0].map(usd_narrow), ["999,999", "1,235k", "12,346k"]);
        assert_eq!([0.0, 5.5, 1_500.0, 20_000.0, 1.5e6].map(tick_usd), ["$0", "$5.5", "$1,500", "$20k", "$1.5M"]);
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        let texts = [0.004, 0.0523, 1.234, 12.34, 600.0].map(seconds);
        assert_eq!(texts, ["4.00 ms", "52 ms", "1.23 s", "12.3 s", "600 s"]);
        assert_eq!([60.0, 720.0, 10_800.0, 216_000.0].map(span), ["60.0 s", "12.0 min", "3.0 h", "2.5 days"]);
        assert_eq!([0.0128, 0.375, 2.008].map(in_ms), ["12.8", "375", "2,008"]);
        assert_eq!([2.0968, 11.23, 1_234.4].map(column), ["2.097", "11.2", "1,234"]);
        assert_eq!([0.0, 0.25, 1.5].map(tick_seconds), ["0", "250 ms", "1.5 s"]);
    }

    #[test]
    fn counts_and_rates_have_the_digits_that_they_can_bear() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([206.66, 999.96].map(mean_count), ["206.7", "1,000"]);
        assert_eq!([0, 500_000, 2_000_000, 1_234].map(short_count), ["0", "500k", "2M", "1234"]);
        let rates = [0.0, 0.000_123, 0.001_234, 0.012_34, 0.2318, 1.4351, 12.34, 99.96, 1_234.4].map(three_digits);
        assert_eq!(rates, ["0", "0.000123", "0.00123", "0.0123", "0.232", "1.44", "12.3", "100", "1,234"]);
        assert_eq!([0.0, 0.001, 0.5, 1_500.0, 2e4, 1.5e6, 2e9].map(tick_count)[..4], ["0", "1e-3", "0.5", "1,500"]);
        assert_eq!([2e4, 1.5e6, 2e9].map(tick_count), ["20k", "1.5M", "2G"]);
        assert_eq!((tick_percent(20.0), in_gib(3 << 29)), ("20 %".into(), "1.50".into()));
    }

    #[test]
    fn four_characters_hold_any_value() {
        for v in [0.0, 0.05, 0.994, 9.994, 9.996, 99.94, 99.96, 999.6, 9999.4, 9999.6, 123_456.0, 999_499.0, 999_600.0]
        {
            for text in [four(v), four_count(v), four(v * 1e3), four_count(v * 1e5)] {
                assert!(text.chars().count() <= 4, "{v}: {text}");
            }
        }
    }

    #[test]
    fn volumes_keep_four_digits_however_small() {
        let texts = [0.00012, 0.017_782_79, 0.1, 0.1778, 1.0, 10.0].map(volume);
        assert_eq!(texts, ["x0.00012", "x0.01778", "x0.1", "x0.1778", "x1", "x10"]);
        assert_eq!([0.177_83, 1.7783, 17.783].map(volume_about), ["x0.178", "x1.78", "x17.8"]);
    }

    #[test]
    fn values_in_their_own_unit_lose_zeros_only() {
        assert_eq!(
            [0.125, 1.6704, 14_999.91, 5.0, 0.000_012_3].map(plain),
            ["0.125", "1.6704", "14999.9", "5", "0.0000123"]
        );
        assert_eq!((significant(1.0 / 3.0, 6), significant(2e6, 6)), ("0.333333".into(), "2000000".into()));
        assert_eq!((signed(25.0), decimals(0.6667, 3)), ("+25.00".into(), "0.667".into()));
        assert_eq!(rounded(0.017_782_79, 4), 0.01778);
    }
}
