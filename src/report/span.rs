//! A stretch of time in words: days, hours and minutes beside what summaries write in seconds.
use crate::experiment::summary::seconds_text;

/// `2.5 days`, `3.0 h`, `12.0 min`, and seconds as summaries have them.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s >= 2.0 * 86_400.0 => format!("{:.1} days", s / 86_400.0),
        s if s >= 1.95 * 3_600.0 => format!("{:.1} h", s / 3_600.0),
        s if s >= 120.0 => format!("{:.1} min", s / 60.0),
        s => seconds_text(s),
    }
}
