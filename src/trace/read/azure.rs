//! Azure LLM inference 2023 and 2024 (Azure/AzurePublicDataset, CC-BY-4.0): times are UTC where no zone is written.
use super::Rows;
use super::parse::tokens;
use crate::types::Entry;

/// Reads `TIMESTAMP,ContextTokens,GeneratedTokens`.
#[derive(Default)]
pub(super) struct Azure {
    header_seen: bool,
}

impl Rows for Azure {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, String> {
        if !self.header_seen {
            self.header_seen = true;
            if line.trim() != "TIMESTAMP,ContextTokens,GeneratedTokens" {
                return Err("the header is wrong; it must be TIMESTAMP,ContextTokens,GeneratedTokens".into());
            }
            return Ok(false);
        }
        let mut fields = line.split(',');
        let (Some(at), Some(prompt), Some(output), None) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("the line is torn: {} fields; a row has 3", line.split(',').count()));
        };
        entry.at_ns = timestamp(at.trim()).ok_or_else(|| {
            format!("`{at}` is no timestamp; it must be YYYY-MM-DD HH:MM:SS, with or without a fraction and +00:00")
        })?;
        entry.prompt_tokens = tokens(prompt, "ContextTokens")?;
        entry.output_tokens = tokens(output, "GeneratedTokens")?;
        Ok(true)
    }
}

/// Nanoseconds since 1970 of `YYYY-MM-DD HH:MM:SS[.fraction][+00:00]`.
fn timestamp(text: &str) -> Option<i64> {
    let text = text.strip_suffix("+00:00").unwrap_or(text);
    let (main, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let b = main.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if b.len() != 19 || separators.iter().any(|&(i, c)| b[i] != c) {
        return None;
    }
    let number = |from: usize, to: usize| {
        b[from..to].iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|d| d.is_ascii_digit()) {
        return None;
    }
    let ns = (0..9).fold(0i64, |ns, i| ns * 10 + i64::from(fraction.as_bytes().get(i).map_or(0, |d| d - b'0')));
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    // Years past 2262 do not fit.
    seconds.checked_mul(1_000_000_000)?.checked_add(ns)
}

/// Days since 1970-01-01 of a Gregorian date (years counted from March).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_exact_with_and_without_fraction_and_zone() {
        assert_eq!(timestamp("1970-01-01 00:00:00"), Some(0));
        assert_eq!(timestamp("2023-11-16 18:15:46.6805900"), Some(1_700_158_546_680_590_000));
        assert_eq!(timestamp("2024-02-29 00:00:01+00:00"), Some(1_709_164_801_000_000_000));
        assert_eq!(timestamp("1970-01-01 00:00:01.000000001"), Some(1_000_000_001));
        for bad in ["1970-01-01 00:00:01.", "1970-01-01 00:00:01.0000000001", "1970-01-01 00:00:01.x"] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
        for bad in ["2023-02-29 00:00:00", "2023-11-16", "2023-11-16T18:15:46", "2023-13-01 00:00:00", ""] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }
}
