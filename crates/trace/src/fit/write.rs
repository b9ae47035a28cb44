//! Writes a specification as TOML, as far as `fit` makes use of it. What is written reads back as the same specification.
use crate::{Arrivals, Family, GenerateSpec, LengthSpec, Reuse, Sessions};
use baseload_core::types::SimTime;
use std::fmt::{Display, Write};

/// The text of a specification that `fit` made; `comment` goes above it, a line each.
pub fn to_toml(spec: &GenerateSpec, comment: &[String]) -> String {
    let mut out = String::new();
    let mut text = Text { out: &mut out };
    comment.iter().for_each(|line| text.line(format!("# {line}")));
    if let Some(requests) = spec.requests {
        text.key("requests", requests);
    }
    arrivals(&mut text, &spec.arrivals);
    if !spec.prompt.is_empty() {
        text.line("\n[prompt]".into());
        length(&mut text, &spec.prompt);
    }
    text.line("\n[output]".into());
    length(&mut text, &spec.output);
    if let Some(joint) = spec.joint {
        text.line("\n[joint]".into());
        text.key("rank_correlation", number(joint.rank_correlation));
    }
    if let Some(reuse) = &spec.reuse {
        write_reuse(&mut text, reuse);
    }
    if let Some(sessions) = &spec.sessions {
        write_sessions(&mut text, sessions);
    }
    out
}

struct Text<'a> {
    out: &'a mut String,
}

impl Text<'_> {
    fn line(&mut self, line: String) {
        self.out.push_str(&line);
        self.out.push('\n');
    }
    fn key(&mut self, key: &str, value: impl Display) {
        let written = writeln!(self.out, "{key} = {value}");
        written.expect("fit-written: text in memory takes what is written");
    }
    /// A list, some values a line.
    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.collect();
        let one = format!("{key} = [{}]", items.join(", "));
        if one.len() <= 120 {
            return self.line(one);
        }
        self.line(format!("{key} = ["));
        let mut line = String::new();
        for item in items {
            if line.len() + item.len() > 116 {
                self.line(format!("  {}", line.trim_end()));
                line.clear();
            }
            line.push_str(&item);
            line.push_str(", ");
        }
        self.line(format!("  {}", line.trim_end()));
        self.line("]".into());
    }
}

/// A number with a point, as TOML wants floats.
fn number(x: f64) -> String {
    if x.is_infinite() {
        "inf".into()
    } else if x.fract() == 0.0 && x.abs() < 1e15 {
        format!("{x:.1}")
    } else {
        format!("{x}")
    }
}

/// The shortest of ns and s that is exact.
fn duration(t: SimTime) -> String {
    for (unit, ns) in [("s", 1_000_000_000), ("ms", 1_000_000)] {
        if t.0.is_multiple_of(ns) {
            return format!("\"{}{unit}\"", t.0 / ns);
        }
    }
    format!("\"{}ns\"", t.0)
}

fn pairs<A: Copy, B: Copy>(
    pairs: &[(A, B)],
    a: impl Fn(A) -> String,
    b: impl Fn(B) -> String,
) -> impl Iterator<Item = String> {
    pairs.iter().map(|&(x, y)| format!("[{}, {}]", a(x), b(y))).collect::<Vec<_>>().into_iter()
}

fn arrivals(text: &mut Text<'_>, arrivals: &Arrivals) {
    text.line("\n[arrivals]".into());
    if let Some(resolution) = arrivals.resolution {
        text.key("resolution", duration(resolution));
    }
    if !arrivals.rate.is_empty() {
        let corner = |p: &crate::RatePoint| format!("{{ at = {}, per_s = {} }}", duration(p.at), number(p.per_s));
        text.list("rate", arrivals.rate.iter().map(corner));
    }
    if let Some(bench) = &arrivals.bench {
        text.line("\n[arrivals.bench]".into());
        if let Some(requests) = bench.requests {
            text.key("requests", requests);
        }
        text.key("rate", number(bench.rate.unwrap_or(f64::INFINITY)));
    }
    if let Some(windows) = &arrivals.windows {
        text.line("\n[arrivals.windows]".into());
        text.key("width", duration(windows.width));
        if windows.family == Family::Weibull {
            text.key("family", "\"weibull\"");
        }
        text.list("requests", windows.requests.iter().map(u64::to_string));
        if windows.gaps.is_empty() {
            text.list("cv", windows.cv.iter().map(|cv| number(*cv)));
        } else {
            text.list("gaps", pairs(&windows.gaps, number, number));
        }
    }
}

fn length(text: &mut Text<'_>, length: &LengthSpec) {
    if let Some(even) = length.even {
        text.key("even", even);
    }
    if !length.table.is_empty() {
        text.list("table", pairs(&length.table, |v| v.to_string(), number));
    }
    if !length.quantiles.is_empty() {
        text.list("quantiles", pairs(&length.quantiles, number, |v| v.to_string()));
    }
}

fn write_reuse(text: &mut Text<'_>, reuse: &Reuse) {
    text.line("\n[reuse]".into());
    text.key("block", reuse.block);
    text.key("tails", reuse.tails);
    text.key("base_tokens", reuse.base_tokens);
    text.key("history", reuse.history);
    if !reuse.distance.is_empty() {
        text.list("distance", pairs(&reuse.distance, number, |v| v.to_string()));
    }
    for bin in &reuse.bins {
        text.line("\n[[reuse.bins]]".into());
        text.key("up_to", bin.up_to);
        text.key("none", number(bin.none));
        text.key("base", number(bin.base));
        if !bin.fraction.is_empty() {
            text.list("fraction", pairs(&bin.fraction, number, number));
        }
    }
}

fn write_sessions(text: &mut Text<'_>, sessions: &Sessions) {
    text.line("\n[sessions]".into());
    if let Some(count) = sessions.count {
        text.key("count", count);
    }
    if let Some(concurrent) = sessions.concurrent {
        text.key("concurrent", number(concurrent));
    }
    text.key("repeat_answers", sessions.repeat_answers);
    text.key("redraw", number(sessions.redraw));
    text.key("extend", number(sessions.extend));
    text.key("across", sessions.across);
    let lengths = [
        ("turns", Some(&sessions.turns)),
        ("gap_ms", sessions.gap_ms.as_ref()),
        ("think_ms", sessions.think_ms.as_ref()),
    ];
    for (name, spec) in lengths {
        if let Some(spec) = spec {
            text.line(format!("\n[sessions.{name}]"));
            length(text, spec);
        }
    }
    for turn in &sessions.by_turn {
        text.line("\n[[sessions.by_turn]]".into());
        text.key("turn", turn.turn);
        text.list("quantiles", pairs(&turn.quantiles, number, |v| v.to_string()));
    }
}
