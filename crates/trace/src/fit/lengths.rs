//! Quantiles of what was measured, as few points as describe it.
use crate::LengthSpec;
use std::collections::BTreeMap;

/// How closely quantiles are described.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// Points at most.
    pub points: usize,
    /// Error that needs no further point, relative.
    pub error: f64,
}

/// Detail of a law that is fitted to a whole trace.
pub(super) const FINE: Detail = Detail { points: 96, error: 0.01 };
/// Detail of a law that is fitted to a part of a trace.
pub(super) const COARSE: Detail = Detail { points: 24, error: 0.03 };

/// Values of which no more are told apart in full.
const FEW: usize = 40;
/// Draws in a row that cover a law evenly, at most.
const EVENLY_MOST: u64 = 65_536;

/// `x` with so many digits after the point.
pub(super) fn rounded(x: f64, digits: u32) -> f64 {
    let scale = f64::from(10u32.pow(digits));
    (x * scale).round() / scale
}

/// Three digits of a number above 1000: less tells nothing of a law, and more of a row.
fn blurred(v: u32) -> u32 {
    let mut unit = 1;
    while v / unit >= 1000 {
        unit *= 10;
    }
    (v + unit / 2) / unit * unit
}

/// A law of what was measured: a table where there are few values, else quantiles.
pub(super) fn describe(values: impl Iterator<Item = u32>, detail: Detail) -> LengthSpec {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut n = 0u64;
    for v in values {
        *counts.entry(v).or_insert(0) += 1;
        n += 1;
    }
    let even = Some(n.clamp(1, EVENLY_MOST));
    if counts.len() <= FEW {
        let share = |(&v, &c): (&u32, &u64)| (v, rounded(c as f64 / n.max(1) as f64, 6).max(1e-6));
        return LengthSpec { table: counts.iter().map(share).collect(), even, ..LengthSpec::default() };
    }
    LengthSpec { quantiles: points(&counts, n, detail), even, ..LengthSpec::default() }
}

/// Quantiles of values; always points, however few values there are.
pub(super) fn quantiles(values: impl Iterator<Item = u32>, detail: Detail) -> Vec<(f64, u32)> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    values.for_each(|v| *counts.entry(v).or_insert(0) += 1);
    let n = counts.values().sum();
    points(&counts, n, detail)
}

/// The quantile function as a line through (share, value), and of its points those that matter most: the one that is off the
/// most is added until none is off by more than the detail allows.
fn points(counts: &BTreeMap<u32, u64>, n: u64, detail: Detail) -> Vec<(f64, u32)> {
    let mut line: Vec<(f64, u32)> = Vec::new();
    let (mut below, all) = (0u64, n as f64);
    for (&v, &c) in counts {
        let (from, to) = (below as f64 / all, (below + c) as f64 / all);
        if c as f64 / all > 0.004 {
            line.extend([(from, v), (to, v)]);
        } else {
            line.push(((from + to) / 2.0, blurred(v)));
        }
        below += c;
    }
    // Blurring may not turn the order.
    for i in 1..line.len() {
        line[i].1 = line[i].1.max(line[i - 1].1);
    }
    if let Some(first) = line.first().copied().filter(|p| p.0 > 0.0) {
        line.insert(0, (0.0, first.1));
    }
    if let Some(last) = line.last().copied().filter(|p| p.0 < 1.0) {
        line.push((1.0, last.1));
    }
    let values: Vec<(f64, f64)> = line.iter().map(|p| (p.0, f64::from(p.1))).collect();
    let kept = simplified(&values, detail, |v| (0.5, v.max(1.0)));
    let mut out: Vec<(f64, u32)> = kept.into_iter().map(|i| (rounded(line[i].0, 5), line[i].1)).collect();
    out.dedup();
    out
}

/// Quantiles of fractions from 0 to 1.
pub(super) fn fractions(mut values: Vec<f64>, detail: Detail) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mut line: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(i, &v)| ((i as f64 + 0.5) / n, rounded(v, 4))).collect();
    let (first, last) = (line.first().map_or(0.0, |p| p.1), line.last().map_or(0.0, |p| p.1));
    line.insert(0, (0.0, first));
    line.push((1.0, last));
    let kept = simplified(&line, detail, |_| (0.002, 1.0));
    let mut out: Vec<(f64, f64)> = kept.into_iter().map(|i| (rounded(line[i].0, 5), line[i].1)).collect();
    out.dedup();
    out
}

/// Quantiles of numbers from 0 whose size matters.
pub(super) fn ratios(mut values: Vec<f64>, detail: Detail) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mut line: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(i, &v)| ((i as f64 + 0.5) / n, rounded(v, 3))).collect();
    let (first, last) = (line.first().map_or(0.0, |p| p.1), line.last().map_or(0.0, |p| p.1));
    line.insert(0, (0.0, first));
    line.push((1.0, last));
    let kept = simplified(&line, detail, |v| (0.01, v.max(0.1)));
    let mut out: Vec<(f64, f64)> = kept.into_iter().map(|i| (rounded(line[i].0, 5), line[i].1)).collect();
    out.dedup();
    out
}

/// Indices of the points of `line` that describe it; `scale` gives of a value what error is free and what errors are relative to.
fn simplified(line: &[(f64, f64)], detail: Detail, scale: impl Fn(f64) -> (f64, f64)) -> Vec<usize> {
    let last = line.len() - 1;
    let mut kept = vec![0, last];
    kept.dedup();
    // For each kept stretch its worst point; a stretch is looked at once.
    let worst = |from: usize, to: usize| {
        let (a, b) = (line[from], line[to]);
        let mut most = (0.0, from);
        for (i, &(x, y)) in line.iter().enumerate().take(to).skip(from + 1) {
            let at = if b.0 > a.0 { a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0) } else { a.1 };
            let (free, relative) = scale(y);
            let error = ((at - y).abs() - free).max(0.0) / relative;
            if error > most.0 {
                most = (error, i);
            }
        }
        most
    };
    let mut stretches = vec![(worst(0, last), 0, last)];
    while kept.len() < detail.points {
        let Some(at) = (0..stretches.len()).max_by(|&i, &j| stretches[i].0.0.total_cmp(&stretches[j].0.0)) else {
            break;
        };
        let ((error, middle), from, to) = stretches[at];
        if error <= detail.error {
            break;
        }
        stretches.swap_remove(at);
        kept.push(middle);
        stretches.push((worst(from, middle), from, middle));
        stretches.push((worst(middle, to), middle, to));
    }
    kept.sort_unstable();
    kept
}

/// Spearman's rank correlation; ties have their mean rank.
pub(crate) fn rank_correlation(pairs: impl Iterator<Item = (u32, u32)>) -> f64 {
    let (a, b): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let (a, b) = (ranks(&a), ranks(&b));
    let n = a.len() as f64;
    let mean = (n - 1.0) / 2.0;
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(&b) {
        both += (x - mean) * (y - mean);
        first += (x - mean) * (x - mean);
        second += (y - mean) * (y - mean);
    }
    if first > 0.0 && second > 0.0 { both / libm::sqrt(first * second) } else { 0.0 }
}

fn ranks(values: &[u32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&i| values[i]);
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let to = order[from..].iter().take_while(|&&i| values[i] == values[order[from]]).count() + from;
        for &i in &order[from..to] {
            ranks[i] = (from + to - 1) as f64 / 2.0;
        }
        from = to;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::random::{dist, stream};

    #[test]
    fn a_description_has_the_quantiles_of_what_it_describes() {
        let mut rng = stream(1, 0, "lengths", 0, 0);
        let draws: Vec<Vec<u32>> =
            vec![
                (0..20_000).map(|_| dist::log_normal(&mut rng, 800.0, 1.2) as u32 + 1).collect(),
                (0..5_000)
                    .map(|i| {
                        if i % 3 == 0 {
                            1155
                        } else {
                            dist::pareto_quantile(dist::uniform01(&mut rng), 20.0, 1.1) as u32
                        }
                    })
                    .collect(),
                (0..300).map(|i| [7, 40, 2000][i % 3]).collect(),
                vec![5],
            ];
        for mut values in draws {
            let spec = describe(values.iter().copied(), FINE);
            let length = spec.length("x").unwrap();
            values.sort_unstable();
            for percent in [1, 10, 50, 90, 99] {
                let want = f64::from(values[(values.len() * percent).div_ceil(100).max(1) - 1]);
                let got = f64::from(length.at(percent as f64 / 100.0 - 1e-6));
                assert!((got - want).abs() <= 0.02 * want + 1.0, "{percent}: {got} {want}");
            }
        }
    }

    #[test]
    fn ranks_correlate_as_they_should() {
        let up = rank_correlation((0..100).map(|i| (i, i * i)));
        let down = rank_correlation((0..100).map(|i| (i, 1000 - i)));
        assert!((up - 1.0).abs() < 1e-12 && (down + 1.0).abs() < 1e-12);
        assert_eq!(rank_correlation((0..9).map(|i| (i, 4))), 0.0);
    }
}
