//! The charts of `report.html` as SVG text.
//!
//! May import: experiment. Must keep true: same numbers, same bytes (logarithms are `libm`'s); labels neither overlap
//! each other nor leave the plot while there is room.
use super::markup::escape;
use super::page::key;
use super::style::COLOURS;
use crate::experiment::summary::{PolicySummary, completed_enough};
use baseload_core::types::numbers::{tick_percent, tick_seconds, tick_usd};

const W: f64 = 540.0;
const H: f64 = 340.0;
pub(super) const LEFT: f64 = 62.0;
pub(super) const RIGHT: f64 = W - 16.0;
pub(super) const TOP: f64 = 12.0;
pub(super) const BOTTOM: f64 = H - 44.0;

/// An axis from its first to its last tick.
pub(super) struct Axis {
    log: bool,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// Linear from zero to `high` itself.
    pub(super) fn up_to(high: f64) -> Axis {
        let axis = Axis::linear(high);
        let high = if high > 0.0 { high } else { axis.high };
        Axis { high, ticks: axis.ticks.into_iter().filter(|t| *t <= high).collect(), ..axis }
    }

    /// Logarithmic over `low..=high` (both above 0), marked at powers of ten and, where these are few, at 2 and 5 times.
    pub(super) fn log(low: f64, high: f64) -> Axis {
        let steps: &[f64] = if high / low > 1e3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = libm::log10(low).floor() as i32..=libm::log10(high).ceil() as i32;
        let ticks = decades.flat_map(|d| steps.iter().map(move |m| m * libm::pow(10.0, f64::from(d))));
        Axis { log: true, low, high, ticks: ticks.filter(|t| (low..=high).contains(t)).collect() }
    }

    /// 0 to 100 %.
    pub(super) fn percent() -> Axis {
        Axis { log: false, low: 0.0, high: 100.0, ticks: (0..=5).map(|i| f64::from(i) * 20.0).collect() }
    }

    /// Linear from zero.
    pub(super) fn linear(high: f64) -> Axis {
        let high = if high > 0.0 { high } else { 1.0 };
        let magnitude = libm::pow(10.0, libm::log10(high / 5.0).floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| high / s <= 6.0);
        let step = step.unwrap_or(10.0 * magnitude);
        let count = (high * 1.08 / step).ceil() as u32;
        let ticks: Vec<f64> = (0..=count).map(|i| f64::from(i) * step).collect();
        Axis { log: false, low: 0.0, high: f64::from(count) * step, ticks }
    }

    /// Linear over a part of 0 to `most` that holds `low..=high`, between round numbers.
    pub(super) fn part(low: f64, high: f64, most: f64) -> Axis {
        let span = (high - low).max(most / 100.0);
        let magnitude = libm::pow(10.0, libm::floor(libm::log10(span / 5.0)));
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| span / s <= 6.0);
        let step = step.unwrap_or(10.0 * magnitude);
        let from = libm::floor((low - 0.05 * span) / step).max(0.0);
        let to = libm::ceil((high + 0.05 * span) / step).min(libm::ceil(most / step));
        let ticks: Vec<f64> = (0..=(to - from) as u32).map(|i| (from + f64::from(i)) * step).collect();
        Axis { log: false, low: from * step, high: to * step, ticks }
    }

    /// Logarithmic where the range is over 20-fold, else linear.
    pub(super) fn of(values: &[f64]) -> Axis {
        let high = values.iter().copied().fold(0.0, f64::max);
        let low = values.iter().copied().filter(|v| *v > 0.0).fold(high, f64::min);
        if high <= 20.0 * low {
            return Axis::linear(high);
        }
        let (low, high) = (low * 0.85, high * 1.2);
        let decades = libm::log10(low).floor() as i32..=libm::log10(high).ceil() as i32;
        let steps: &[f64] = if high / low > 2000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = decades.flat_map(|d| steps.iter().map(move |m| m * libm::pow(10.0, f64::from(d))));
        Axis { log: true, low, high, ticks: ticks.filter(|t| (low..=high).contains(t)).collect() }
    }

    /// Position from 0 to 1.
    fn at(&self, v: f64) -> f64 {
        let share = if self.log {
            let v = if v > self.low { v } else { self.low };
            libm::log10(v / self.low) / libm::log10(self.high / self.low)
        } else {
            (v - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
    pub(super) fn x(&self, v: f64) -> f64 {
        LEFT + self.at(v) * (RIGHT - LEFT)
    }
    pub(super) fn y(&self, v: f64) -> f64 {
        BOTTOM - self.at(v) * (BOTTOM - TOP)
    }
}

/// Opens an SVG with axes, grid and titles; x is a time.
pub(super) fn frame(out: &mut String, label: &str, x: &Axis, y: &Axis, y_text: fn(f64) -> String, titles: [&str; 2]) {
    frame_of(out, label, [x, y], [tick_seconds, y_text], titles);
}

/// Opens an SVG with axes (x, y), what their ticks say, grid and titles.
pub(super) fn frame_of(
    out: &mut String,
    label: &str,
    [x, y]: [&Axis; 2],
    [x_text, y_text]: [fn(f64) -> String; 2],
    titles: [&str; 2],
) {
    out.push_str(&format!(
        "<svg class=\"chart\" viewBox=\"0 0 {W} {H}\" role=\"img\" aria-label=\"{}\">\n",
        escape(label)
    ));
    for t in &y.ticks {
        let at = y.y(*t);
        out.push_str(&format!(
            "<path class=\"g\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text class=\"t\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 7.0,
            at + 4.0,
            y_text(*t)
        ));
    }
    let mut free_from = LEFT - 20.0;
    for t in &x.ticks {
        let at = x.x(*t);
        let text = x_text(*t);
        let half = text_width(&text) / 2.0;
        out.push_str(&format!("<path class=\"g\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>"));
        if at - half > free_from && at + half < W {
            free_from = at + half + 8.0;
            out.push_str(&format!(
                "<text class=\"t\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>\n",
                BOTTOM + 17.0
            ));
        }
    }
    let middle = (LEFT + RIGHT) / 2.0;
    let log = if x.log { ", log scale" } else { "" };
    out.push_str(&format!(
        "<text class=\"t\" x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}{log}</text>\n",
        H - 7.0,
        titles[0]
    ));
    let middle = (TOP + BOTTOM) / 2.0;
    out.push_str(&format!(
        "<text class=\"t\" transform=\"translate(13 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        titles[1]
    ));
}

/// Width of 12 px text, generously.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0
}

/// A rectangle: left, top, right, bottom.
type Rect = [f64; 4];

fn overlap(a: &Rect, b: &Rect) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Places a label near each dot without overlaps: the nearest free of many offsets, in a fixed order.
fn place(dots: &[(f64, f64)], names: &[&str]) -> Vec<Rect> {
    let blocks: Vec<Rect> = dots.iter().map(|(x, y)| [x - 6.0, y - 6.0, x + 6.0, y + 6.0]).collect();
    let mut placed: Vec<Rect> = Vec::new();
    for ((x, y), name) in dots.iter().zip(names) {
        let w = text_width(name);
        let candidates = (0..14u32).flat_map(|ring| {
            let d = f64::from(ring) * 15.0;
            [
                (x + 11.0, y - 7.0 - d),
                (x - 11.0 - w, y - 7.0 - d),
                (x - w / 2.0, y - 22.0 - d),
                (x - w / 2.0, y + 8.0 + d),
                (x + 11.0, y - 7.0 + d),
                (x - 11.0 - w, y - 7.0 + d),
            ]
        });
        let rects = candidates.map(|(left, top)| [left, top, left + w, top + 14.0]);
        let inside = |r: &Rect| r[0] >= LEFT && r[2] <= W && r[1] >= 0.0 && r[3] <= BOTTOM;
        let free = |r: &Rect| !blocks.iter().chain(&placed).any(|other| overlap(r, other));
        let found = rects.clone().find(|r| inside(r) && free(r));
        placed.push(found.or_else(|| rects.clone().find(|r| inside(r))).unwrap_or([
            x + 9.0,
            y - 7.0,
            x + 9.0 + w,
            y + 7.0,
        ]));
    }
    placed
}

/// The colour of policy `i`.
pub fn colour(i: usize) -> String {
    format!("var(--c{})", i % COLOURS)
}

/// The dashes of policy `i`'s line, so that colour is not the only sign.
pub fn dashes(i: usize) -> &'static str {
    ["none", "7 3", "2 3", "9 3 2 3"][(i / 2 + i) % 4]
}

/// Monthly cost against p99 TTFT, a dot a policy.
pub fn scatter(policies: &[PolicySummary]) -> String {
    let shown: Vec<(usize, f64)> =
        policies.iter().enumerate().filter_map(|(i, p)| p.ttft_p99_s.map(|t| (i, t))).collect();
    if shown.is_empty() {
        return "<p>No policy completed a request.</p>\n".into();
    }
    let x = Axis::of(&shown.iter().map(|(_, t)| *t).collect::<Vec<_>>());
    let titles = ["Monthly cost against p99 TTFT by policy", "TTFT p99"];
    against_cost(policies, &shown, &x, titles, tick_seconds)
}

/// Monthly cost against quality served, a dot a policy; `None` where no quality is known.
pub fn quality_scatter(policies: &[PolicySummary]) -> Option<String> {
    let served = |(i, p): (usize, &PolicySummary)| p.quality_served.map(|q| (i, 100.0 * q));
    let shown: Vec<(usize, f64)> = policies.iter().enumerate().filter_map(served).collect();
    let low = shown.iter().map(|(_, q)| *q).fold(f64::INFINITY, f64::min);
    let high = shown.iter().map(|(_, q)| *q).fold(f64::NEG_INFINITY, f64::max);
    if shown.is_empty() {
        return None;
    }
    let titles = ["Monthly cost against quality by policy", "answers above the bar, axis not from 0"];
    let titles = if low <= 0.0 { [titles[0], "answers above the bar"] } else { titles };
    Some(against_cost(policies, &shown, &Axis::part(low, high, 100.0), titles, tick_percent))
}

/// A dot a policy: a value and its monthly cost. `shown` are policies' places with their values.
fn against_cost(
    policies: &[PolicySummary],
    shown: &[(usize, f64)],
    x: &Axis,
    [label, x_title]: [&str; 2],
    text: fn(f64) -> String,
) -> String {
    let cost = |i: usize| policies[i].total_usd_per_month;
    let y = Axis::linear(shown.iter().map(|(i, _)| cost(*i)).fold(0.0, f64::max));
    let mut out = String::new();
    frame_of(&mut out, label, [x, &y], [text, tick_usd], [x_title, "total US$ a month"]);
    let dots: Vec<(f64, f64)> = shown.iter().map(|(i, v)| (x.x(*v), y.y(cost(*i)))).collect();
    // A policy that drops work is cheap and quick for it: its dagger stands here too.
    let enough = completed_enough(policies);
    let name = |i: usize| if enough[i] { policies[i].name.clone() } else { format!("{} †", policies[i].name) };
    let names: Vec<String> = shown.iter().map(|(i, _)| name(*i)).collect();
    let labels = place(&dots, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for ((dx, dy), r) in dots.iter().zip(&labels) {
        let (near_x, near_y) = (dx.clamp(r[0], r[2]), dy.clamp(r[1], r[3]));
        if (near_x - dx).abs() + (near_y - dy).abs() > 14.0 {
            out.push_str(&format!("<path class=\"lead\" d=\"M{dx:.1} {dy:.1}L{near_x:.1} {near_y:.1}\"/>\n"));
        }
    }
    let what = x_title.split(',').next().unwrap_or(x_title);
    for ((i, v), (dx, dy)) in shown.iter().zip(&dots) {
        let fill = if policies[*i].overloaded { "var(--card)".into() } else { colour(*i) };
        out.push_str(&format!(
            "<circle cx=\"{dx:.1}\" cy=\"{dy:.1}\" r=\"5.5\" style=\"fill:{fill};stroke:{};stroke-width:2\"><title>{}: {} {what}, {} a month</title></circle>\n",
            colour(*i),
            escape(&policies[*i].name),
            text(*v),
            tick_usd(cost(*i))
        ));
    }
    for (name, r) in names.iter().zip(&labels) {
        // Anchored in the middle: a font narrower than assumed stays centred in its place.
        out.push_str(&format!(
            "<text class=\"halo\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            (r[0] + r[2]) / 2.0,
            r[1] + 11.0,
            escape(name)
        ));
    }
    out.push_str("</svg>\n");
    out
}

/// Share of completed requests that took at most so long end to end, a line a policy.
pub fn cdf(policies: &[PolicySummary]) -> String {
    let all: Vec<f64> = policies.iter().flat_map(|p| p.e2e_quantiles.iter().copied()).collect();
    if all.is_empty() {
        return "<p>No policy completed a request.</p>\n".into();
    }
    let x = Axis::of(&all);
    let y = Axis::percent();
    let mut out = String::new();
    frame(
        &mut out,
        "End-to-end latency distribution by policy",
        &x,
        &y,
        tick_percent,
        ["end to end", "completed requests"],
    );
    let mut keys = String::from("<div class=\"keys\">\n");
    for (i, p) in policies.iter().enumerate().filter(|(_, p)| !p.e2e_quantiles.is_empty()) {
        let last = (p.e2e_quantiles.len() - 1).max(1) as f64;
        let points: Vec<String> = p
            .e2e_quantiles
            .iter()
            .enumerate()
            .map(|(q, v)| format!("{:.1} {:.1}", x.x(*v), y.y(100.0 * q as f64 / last)))
            .collect();
        let style = format!("stroke:{};stroke-dasharray:{}", colour(i), dashes(i));
        let d = points.join("L");
        out.push_str(&format!("<path class=\"curve\" style=\"{style}\" d=\"M{d}\"/>\n"));
        keys.push_str(&key("curve", &style, &p.name));
    }
    out.push_str("</svg>\n");
    out.push_str(&keys);
    out.push_str("</div>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap_even_for_equal_dots() {
        let dots = [(300.0, 150.0); 8];
        let labels = place(&dots, &["hybrid-overflow!"; 8]);
        for (i, a) in labels.iter().enumerate() {
            assert!(labels[..i].iter().all(|b| !overlap(a, b)), "{labels:?}");
            assert!(a[0] >= LEFT && a[2] <= W && a[1] >= 0.0 && a[3] <= BOTTOM);
        }
    }

    #[test]
    fn quality_has_a_chart_only_where_it_is_known() {
        let policy = |name: &str, total, quality| PolicySummary {
            name: name.into(),
            completed: 10,
            total_usd_per_month: total,
            quality_served: quality,
            ..Default::default()
        };
        assert_eq!(quality_scatter(&[policy("a", 1.0, None)]), None);
        let three =
            [policy("weak", 10.0, Some(0.681)), policy("none", 15.0, None), policy("strong", 20.0, Some(0.806))];
        let chart = quality_scatter(&three).unwrap();
        assert_eq!(chart.matches("<circle").count(), 2);
        assert!(chart.contains("weak: 68 % answers above the bar, $10 a month") && !chart.contains("none"), "{chart}");
        let x = |name: &str| {
            let dot = chart.lines().find(|l| l.contains(&format!("<title>{name}"))).expect("it has a dot");
            dot.split("cx=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(x("weak") < x("strong"));
    }

    #[test]
    fn an_axis_is_logarithmic_only_over_a_twentyfold_range() {
        assert!(!Axis::of(&[0.5, 10.0]).log);
        let axis = Axis::of(&[0.4, 48.0]);
        assert!(axis.log);
        assert!(axis.at(0.4) > 0.0 && axis.at(48.0) < 1.0 && axis.ticks.len() >= 4);
        assert!(!Axis::of(&[0.0]).ticks.is_empty());
        let part = Axis::part(68.08, 85.86, 100.0);
        assert_eq!((part.low, part.high, part.ticks.len()), (65.0, 90.0, 6));
        let ends = Axis::part(0.0, 100.0, 100.0);
        assert_eq!((ends.low, ends.high, ends.ticks.len()), (0.0, 100.0, 6));
        let one = Axis::part(80.0, 80.0, 100.0);
        assert!(one.low < 80.0 && one.high > 80.0 && one.ticks.len() >= 3, "{:?}", one.ticks);
        let linear = Axis::linear(31_250.0);
        assert_eq!((linear.high, linear.ticks.len()), (40_000.0, 5));
    }
}
