//! Ages of facts whose dates are days, months, years or ranges.

/// Days from 1970-01-01 of a civil date (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// `YYYY-MM-DD` of a number of days from 1970-01-01.
pub fn date_of_days(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The last day of a date such as `2026-11-23`, `2026-04`, `2026` or `2025-11..2026`.
fn last_day(date: &str) -> Option<i64> {
    let date = date.rsplit("..").next()?;
    let mut parts = date.split('-').map(str::parse::<i64>);
    let year = parts.next()?.ok()?;
    match (parts.next(), parts.next()) {
        (None, _) => Some(days_from_civil(year, 12, 31)),
        (Some(Ok(12)), None) => Some(days_from_civil(year, 12, 31)),
        (Some(Ok(month)), None) => Some(days_from_civil(year, month + 1, 1) - 1),
        (Some(Ok(month)), Some(Ok(day))) => Some(days_from_civil(year, month, day)),
        _ => None,
    }
}

/// Days from the end of `date` to `today` (`YYYY-MM-DD`); `None` where either cannot be read. A date in the future
/// (a year that is not over) counts as zero.
pub fn age_days(date: &str, today: &str) -> Option<i64> {
    Some((last_day(today)? - last_day(date)?).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_count_from_the_end_of_the_period() {
        assert_eq!(age_days("2026-11-23", "2026-11-24"), Some(1));
        assert_eq!(age_days("2026-03", "2026-11-24"), Some(238));
        assert_eq!(age_days("2026", "2026-11-24"), Some(0));
        assert_eq!(age_days("2025-11..2026", "2026-11-24"), Some(0));
        assert_eq!(age_days("derived", "2026-11-24"), None);
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        for days in [0, 59, 60, 11_016, 11_017, 20_781] {
            assert_eq!(last_day(&date_of_days(days)), Some(days));
        }
    }
}
