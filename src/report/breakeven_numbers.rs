//! Volumes, rates and monthly sums of a break-even as tables and charts write them.
use crate::experiment::summary::{thousands, usd_text};

/// A volume: `x0.1778`, `x10`; below 0.1 with four significant digits: `x0.01778`.
pub(super) fn volume_text(volume: f64) -> String {
    if volume < 0.1 {
        let digits = format!("{volume:.3e}");
        return format!("x{}", digits.parse::<f64>().unwrap_or(volume));
    }
    let text = format!("{volume:.4}");
    format!("x{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A volume with three digits.
pub(super) fn about(volume: f64) -> String {
    let digits = if volume < 1.0 {
        3
    } else if volume < 10.0 {
        2
    } else {
        1
    };
    format!("x{volume:.digits$}")
}

/// A rate with three digits.
pub(super) fn rate_text(per_s: f64) -> String {
    match per_s {
        r if r < 0.095 => format!("{r:.3}"),
        r if r < 9.95 => format!("{r:.2}"),
        r if r < 99.5 => format!("{r:.1}"),
        r => thousands(r.round() as u64),
    }
}

/// Whole dollars, thousands of them where they would be wide.
pub(super) fn money(usd: f64) -> String {
    in_thousands_from(9_999_999.5, usd)
}

/// The same where columns are few: thousands from a million on.
pub(super) fn short_money(usd: f64) -> String {
    in_thousands_from(999_999.5, usd)
}

fn in_thousands_from(from: f64, usd: f64) -> String {
    if usd.abs() >= from { format!("{}k", usd_text(usd / 1_000.0)) } else { usd_text(usd) }
}
