//! Dates and times of day as nanoseconds since 1970, exact; only what is written is taken.

/// Nanoseconds since 1970 of `YYYY-MM-DD HH:MM:SS[.fraction][zone]`, with `T` in place of the space where `t_too`, and
/// whether a zone was written: `Z`, `+HH:MM` or `+HHMM`. Names of zones are not known.
pub fn timestamp(text: &[u8], t_too: bool) -> Option<(i64, bool)> {
    let minute = minute(text.get(..16)?, t_too)?;
    let (rest, zone) = seconds(text.get(16..)?)?;
    let (offset, zoned) = offset(zone)?;
    // Years past 2262 do not fit.
    (minute.checked_sub(offset)?).checked_mul(1_000_000_000)?.checked_add(rest).map(|ns| (ns, zoned))
}

/// Seconds since 1970 of `YYYY-MM-DD HH:MM`.
pub fn minute(b: &[u8], t_too: bool) -> Option<i64> {
    if b.len() != 16 || b[4] != b'-' || b[7] != b'-' || !(b[10] == b' ' || t_too && b[10] == b'T') || b[13] != b':' {
        return None;
    }
    let (year, month, day) = (number(&b[..4])?, number(&b[5..7])?, number(&b[8..10])?);
    let (hour, minute) = (number(&b[11..13])?, number(&b[14..16])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60)
}

/// Nanoseconds of `:SS[.fraction]`, and what stands behind it.
pub fn seconds(b: &[u8]) -> Option<(i64, &[u8])> {
    if b.len() < 3 || b[0] != b':' {
        return None;
    }
    let second = number(&b[1..3])?;
    if second > 60 {
        return None;
    }
    let mut rest = &b[3..];
    let mut ns = 0;
    if let [b'.', fraction @ ..] = rest {
        let mut digits = 0;
        while let Some(d) = fraction.get(digits).filter(|d| d.is_ascii_digit()) {
            ns = ns * 10 + i64::from(d - b'0');
            digits += 1;
            if digits > 9 {
                return None;
            }
        }
        const SCALE: [i64; 10] = [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
        if digits == 0 {
            return None;
        }
        ns *= SCALE[digits];
        rest = &fraction[digits..];
    }
    Some((second * 1_000_000_000 + ns, rest))
}

/// Seconds east of UTC of a zone, and whether one is written.
fn offset(b: &[u8]) -> Option<(i64, bool)> {
    let sign = match b {
        [] => return Some((0, false)),
        [b'Z'] => return Some((0, true)),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = match b.len() {
        6 if b[3] == b':' => (number(&b[1..3])?, number(&b[4..6])?),
        5 => (number(&b[1..3])?, number(&b[3..5])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3_600 + minutes * 60), true))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
}

/// Days since 1970-01-01 of a Gregorian date (years counted from March).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468
}

/// `ns` since 1970 as `YYYY-MM-DD HH:MM:SS.fffffffff`.
pub fn written(ns: i64) -> String {
    let (second, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (day, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    // Civil date from days, years counted from March.
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let y = yoe + era * 400 + i64::from(m <= 2);
    let (h, min, s) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}.{fraction:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_exact_with_and_without_fraction_and_zone() {
        let at = |text: &str| timestamp(text.as_bytes(), true);
        assert_eq!(at("1970-01-01 00:00:00"), Some((0, false)));
        assert_eq!(at("2023-11-16 18:15:46.6805900"), Some((1_700_158_546_680_590_000, false)));
        assert_eq!(at("2024-02-29 00:00:01+00:00"), Some((1_709_164_801_000_000_000, true)));
        assert_eq!(at("2024-02-29T00:00:01Z"), Some((1_709_164_801_000_000_000, true)));
        assert_eq!(at("2024-02-29T02:00:01.5+0200"), Some((1_709_164_801_500_000_000, true)));
        assert_eq!(at("1969-12-31 23:30:00-00:30"), Some((0, true)));
        assert_eq!(at("1970-01-01 00:00:01.000000001"), Some((1_000_000_001, false)));
        for bad in
            ["1970-01-01 00:00:01.", "1970-01-01 00:00:01.0000000001", "1970-01-01 00:00:01.x", "é970-01-01 00:00:01"]
        {
            assert_eq!(at(bad), None, "{bad}");
        }
        for bad in [
            "2023-02-29 00:00:00",
            "2023-11-16",
            "2023-13-01 00:00:00",
            "",
            "2023-01-01 00:00:00 CET",
            "9999-01-01 00:00:00",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        assert_eq!(timestamp(b"2023-11-16T18:15:46", false), None);
        for ns in [0, 1_700_158_546_680_590_000, 951_782_400_000_000_000, -1, 1_709_164_801_000_000_007] {
            assert_eq!(at(&written(ns)), Some((ns, false)), "{}", written(ns));
        }
    }
}
