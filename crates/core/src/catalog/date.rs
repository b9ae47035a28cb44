//! Ages of facts. Dates are as exact as their source: a day, a month, a year, or a range of these.
//!
//! Imports nothing. Must keep true: a vague date counts as its last day, so an age is never overstated.

/// Days from `date` to `today`, each `2026-11-23`, `2026-04`, `2026` or a range such as `2025-11..2026` (its later
/// end counts). `None` where either is no date. Negative where a vague period ends after today.
pub fn age_days(date: &str, today: &str) -> Option<i64> {
    Some(last_day(today)? - last_day(date)?)
}

/// A day such as `2026-11-23`, in days since 1970-01-01; nothing vaguer.
pub fn day_of(text: &str) -> Option<i64> {
    if text.split('-').count() == 3 && !text.contains("..") { last_day(text) } else { None }
}

/// The last day of a period, in days since 1970-01-01.
fn last_day(text: &str) -> Option<i64> {
    let text = text.rsplit("..").next()?.trim();
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(12), |m| number(m, 2)).filter(|m| (1..=12).contains(m))?;
    let length = month_length(year, month);
    let day = parts.next().map_or(Some(length), |d| number(d, 2)).filter(|d| (1..=length).contains(d))?;
    if parts.next().is_some() { None } else { Some(days_from_civil(year, month, day)) }
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil` (proleptic Gregorian calendar).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// `YYYY-MM-DD` of a number of days from 1970-01-01 (Hinnant's `civil_from_days`).
pub fn date_of_days(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vague_dates_count_as_their_last_day() {
        assert_eq!(last_day("1970-01-01"), Some(0));
        assert_eq!(age_days("2026-11-23", "2026-11-24"), Some(1));
        assert_eq!(age_days("2026-04", "2026-05-01"), Some(1));
        assert_eq!(age_days("2024-02", "2024-03-01"), Some(1));
        assert_eq!(age_days("2025", "2026-01-01"), Some(1));
        assert_eq!(age_days("2025-11..2026", "2026-12-31"), Some(0));
        assert_eq!(age_days("2026", "2026-11-24"), Some(-37));
        assert_eq!(age_days("derived", "2026-11-24"), None);
        assert_eq!(age_days("2026-13", "2026-11-24"), None);
        for days in [0, 59, 60, 11_016, 11_017, 20_781] {
            assert_eq!(last_day(&date_of_days(days)), Some(days));
        }
    }
}
