//! The lines of a break-even as a chart of characters, both axes logarithmic.
//!
//! May import: experiment. Must keep true: at most [`WIDTH`] columns; same numbers, same characters (logarithms are `libm`'s).
use super::prose::WIDTH;
use crate::experiment::breakeven::{BreakEven, Kind};
use baseload_core::types::numbers::{usd_wide, volume as volume_text};

const ROWS: usize = 17;
/// Columns of the dollars at the left.
const LEFT: usize = 12;
const COLUMNS: usize = WIDTH - LEFT - 4;

/// The letter of a line.
pub(super) fn letter(kind: Kind) -> char {
    match kind {
        Kind::Api => 'A',
        Kind::Own => 'O',
        Kind::Hybrid => 'H',
    }
}

/// Mark of a cell in which lines run over each other.
const MANY: char = '#';
const NAIVE: char = '.';

/// Volumes and US$ a month of a line, above 0.
type Curve = Vec<(f64, f64)>;

/// All lines, the naive one first, each with its sign.
fn curves(b: &BreakEven) -> Vec<(char, Curve)> {
    let mut all = Vec::new();
    let naive = b.points.iter().filter_map(|p| Some((p.volume, p.naive_own_usd_per_month?)));
    let naive: Curve = naive.filter(|(_, usd)| *usd > 0.0).collect();
    if !naive.is_empty() {
        all.push((NAIVE, naive));
    }
    for (i, line) in b.lines.iter().enumerate() {
        let curve = b.points.iter().map(|p| (p.volume, p.lines[i].usd_per_month));
        all.push((letter(line.kind), curve.filter(|(_, usd)| *usd > 0.0).collect()));
    }
    all
}

/// Dollars at a volume, between points evenly by factors.
fn at(curve: &Curve, volume: f64) -> Option<f64> {
    let after = curve.iter().position(|(v, _)| *v >= volume * (1.0 - 1e-9))?;
    let (v1, usd1) = curve[after];
    let Some((v0, usd0)) = after.checked_sub(1).map(|before| curve[before]) else {
        return (volume >= v1 * (1.0 - 1e-9)).then_some(usd1);
    };
    let share = libm::log(volume / v0) / libm::log(v1 / v0);
    Some(usd0 * libm::pow(usd1 / usd0, share.clamp(0.0, 1.0)))
}

/// US$ a month against volume.
pub(super) fn chart(b: &BreakEven) -> String {
    let curves = curves(b);
    let usd = || curves.iter().flat_map(|(_, c)| c.iter().map(|(_, usd)| *usd));
    let (low, high) = (usd().fold(f64::INFINITY, f64::min), usd().fold(0.0, f64::max));
    let (Some(first), Some(last)) = (b.points.first(), b.points.last()) else { return String::new() };
    if high <= 0.0 || high <= low {
        return String::new();
    }
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    let volume = |x: usize| {
        let share = x as f64 / (COLUMNS - 1) as f64;
        first.volume * libm::pow(last.volume / first.volume, share)
    };
    let row = |usd: f64| {
        let share = libm::log(usd / low) / libm::log(high / low);
        ROWS - 1 - (share.clamp(0.0, 1.0) * (ROWS - 1) as f64).round() as usize
    };
    for (sign, curve) in &curves {
        let heights = (0..COLUMNS).filter_map(|x| at(curve, volume(x)).map(|usd| (x, row(usd))));
        for (x, y) in heights {
            let cell = &mut cells[y][x];
            *cell = match *cell {
                ' ' | NAIVE => *sign,
                same if same == *sign => same,
                _ => MANY,
            };
        }
    }
    let mut out = String::from("US$ a month against volume, both axes logarithmic\n");
    for (y, row) in cells.iter().enumerate() {
        let share = (ROWS - 1 - y) as f64 / (ROWS - 1) as f64;
        let label = if y % 4 == 0 { usd_wide(low * libm::pow(high / low, share)) } else { String::new() };
        let line = format!("{label:>LEFT$} │{}", row.iter().collect::<String>());
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{:>LEFT$} └{}\n", "", "─".repeat(COLUMNS)));
    let middle = libm::sqrt(first.volume * last.volume);
    let middle = volume_text(if middle < 0.1 { middle } else { (middle * 1e3).round() / 1e3 });
    let (from, to) = (volume_text(first.volume), volume_text(last.volume));
    let half = COLUMNS / 2 + middle.len() / 2;
    let mut axis = format!("{from}{middle:>width$}", width = half - from.len());
    axis.push_str(&format!("{to:>width$}", width = COLUMNS - half));
    out.push_str(&format!("{:>width$}{axis}\n", "", width = LEFT + 2));
    let mut key: Vec<String> = b.lines.iter().map(|l| format!("{} {}", letter(l.kind), l.kind.title())).collect();
    key.push(format!("{NAIVE} naive own"));
    key.push(format!("{MANY} several"));
    out.push_str(&format!("{:>width$}{}\n", "", key.join("   "), width = LEFT + 2));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_a_line_goes_by_factors() {
        let curve = vec![(1.0, 10.0), (4.0, 1_000.0)];
        assert_eq!(at(&curve, 1.0), Some(10.0));
        assert!((at(&curve, 2.0).unwrap() - 100.0).abs() < 1e-9);
        assert_eq!(at(&curve, 4.0), Some(1_000.0));
        assert_eq!((at(&curve, 0.5), at(&curve, 5.0)), (None, None));
    }
}
