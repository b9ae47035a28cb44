//! The requests that were asked, by readers of the auditor's own. Closed-loop users depend on their answers, so their
//! requests are worked out from when the results say that each one ended.
use super::Complaints;
use super::facts::{Facts, duration};
use super::requests::Life;
use baseload::random::{dist, stream};
use baseload::trace::{GenerateSpec, Generator, Length, SourceOptions};
use baseload::types::{ContentId, NO_SESSION, Source};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

/// Whose text it is: named by the trace, an answer, or what a prompt held beyond that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Named,
    Output,
    Private,
}

/// `len` tokens of a text from `start`; `id` is its name, or the request that it came with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Run {
    pub kind: Kind,
    pub id: u64,
    pub start: u32,
    pub len: u32,
}

/// One request, as its client asked it. Times in ns.
#[derive(Clone, Debug)]
pub struct Ask {
    pub arrival: u64,
    pub tenant: u32,
    pub session: Option<u64>,
    pub class: usize,
    pub prompt: u32,
    /// Tokens it gets: what it would generate, capped by what the client asked for at most.
    pub output: u32,
    pub max_output: u32,
    /// The whole prompt.
    pub content: Vec<Run>,
}

/// `runs`, and what is left of a prompt of request `id` as its private text.
fn whole(mut runs: Vec<Run>, id: u64, prompt: u32) -> Vec<Run> {
    let left = prompt - runs.iter().map(|r| r.len).sum::<u32>();
    runs.push(Run { kind: Kind::Private, id, start: 0, len: left });
    runs.retain(|r| r.len > 0);
    runs
}

/// What the experiment replays.
pub enum Trace {
    Open(Vec<Ask>),
    Users { users: u32, requests: u64, think_ns: u64, prompt: u32, output: u32, default_max: u32 },
}

/// A line of a trace before what all formats share.
#[derive(Default)]
struct Line {
    at_ns: i128,
    prompt: u32,
    output: u32,
    tenant: u32,
    session: Option<u64>,
    class: Option<String>,
    max_output: Option<u32>,
    /// Leading runs that the line gives.
    content: Vec<Run>,
}

fn csv(text: &str) -> Vec<Line> {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let line = |l: &str| {
        let mut out = Line::default();
        for (column, field) in header.iter().zip(l.split(',')).filter(|(_, f)| !f.is_empty()) {
            let number = || field.parse::<u64>().unwrap_or_else(|_| panic!("{column} `{field}`"));
            match *column {
                "arrival_s" => {
                    let (s, fraction) = field.split_once('.').unwrap_or((field, ""));
                    let ns = format!("{s}{:0<9}", &fraction[..fraction.len().min(9)]);
                    out.at_ns = ns.parse().expect("seconds");
                }
                "prompt_tokens" => out.prompt = number() as u32,
                "output_tokens" => out.output = number() as u32,
                "tenant" => out.tenant = number() as u32,
                "session" => out.session = Some(number()),
                "class" => out.class = Some(field.into()),
                "max_output_tokens" => out.max_output = Some(number() as u32),
                "priority" => {}
                other => panic!("column {other}"),
            }
        }
        out
    };
    lines.map(line).collect()
}

fn jsonl(text: &str) -> Vec<Line> {
    let line = |l: &str| {
        let v: serde_json::Value = serde_json::from_str(l).expect("JSON");
        let number = |key: &str| v[key].as_u64();
        let run = |r: &serde_json::Value| {
            let (kind, at) = match r[0].as_str() {
                None => (Kind::Named, 0),
                Some("output") => (Kind::Output, 1),
                Some("prompt") => (Kind::Private, 1),
                Some(other) => panic!("a run of `{other}`"),
            };
            let number = |i: usize| r[at + i].as_u64().expect("id, start, length");
            Run { kind, id: number(0), start: number(1) as u32, len: number(2) as u32 }
        };
        Line {
            at_ns: (v["arrival_s"].as_f64().expect("seconds") * 1e9).round() as i128,
            prompt: number("prompt_tokens").expect("tokens") as u32,
            output: number("output_tokens").expect("tokens") as u32,
            tenant: number("tenant").unwrap_or(0) as u32,
            session: number("session"),
            class: v["class"].as_str().map(str::to_owned),
            max_output: number("max_output_tokens").map(|n| n as u32),
            content: v["content"].as_array().map(|c| c.iter().map(run).collect()).unwrap_or_default(),
        }
    };
    text.lines().map(line).collect()
}

fn azure(text: &str) -> Vec<Line> {
    let line = |l: &str| {
        let fields: Vec<&str> = l.split(',').collect();
        let (date, time) = fields[0].split_once(' ').expect("date and time");
        let parts = |t: &str, by: char| -> Vec<u64> { t.split(by).map(|x| x.parse().expect("a number")).collect() };
        let d = parts(date, '-');
        let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let months = [31, 28 + u64::from(leap(d[0])), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let years: u64 = (1970..d[0]).map(|y| 365 + u64::from(leap(y))).sum();
        let days = years + months[..d[1] as usize - 1].iter().sum::<u64>() + d[2] - 1;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let c = parts(clock, ':');
        let seconds = days * 86_400 + c[0] * 3_600 + c[1] * 60 + c[2];
        Line {
            at_ns: format!("{seconds}{fraction:0<9}").parse().expect("nanoseconds"),
            prompt: fields[1].parse().expect("tokens"),
            output: fields[2].parse().expect("tokens"),
            ..Line::default()
        }
    };
    text.lines().skip(1).map(line).collect()
}

/// Mooncake: 512-token blocks; buckets of equal time are spread up to 3 s or the next bucket.
fn mooncake(text: &str, spread: Option<u64>) -> Vec<Line> {
    let line = |l: &str| {
        let v: serde_json::Value = serde_json::from_str(l).expect("JSON");
        let prompt = v["input_length"].as_u64().expect("tokens") as u32;
        let block = |(i, id): (usize, &serde_json::Value)| Run {
            kind: Kind::Named,
            id: id.as_u64().expect("an id"),
            start: 0,
            len: 512.min(prompt - 512 * i as u32),
        };
        Line {
            at_ns: v["timestamp"].as_i64().map(i128::from).expect("milliseconds") * 1_000_000,
            prompt,
            output: v["output_length"].as_u64().expect("tokens") as u32,
            content: v["hash_ids"].as_array().expect("ids").iter().enumerate().map(block).collect(),
            ..Line::default()
        }
    };
    let mut lines: Vec<Line> = text.lines().map(line).collect();
    let Some(seed) = spread else { return lines };
    let mut from = 0;
    while from < lines.len() {
        let start = lines[from].at_ns;
        let to = from + lines[from..].iter().take_while(|l| l.at_ns == start).count();
        let width = lines.get(to).map_or(3_000_000_000, |next| (next.at_ns - start).min(3_000_000_000));
        let luck = |i: usize| dist::uniform01(&mut stream(seed, 0, "trace.bucket", i as u64, 0));
        let mut offsets: Vec<i128> = (from..to).map(|i| (luck(i) * width as f64) as i128).collect();
        offsets.sort_unstable();
        for (line, offset) in lines[from..to].iter_mut().zip(offsets) {
            line.at_ns += offset;
        }
        from = to;
    }
    lines
}

/// The class of request `index` where the trace has none.
fn drawn_class(facts: &Facts, index: u64) -> usize {
    let luck = dist::uniform01(&mut stream(facts.seed, 0, "class", index, 0));
    let at = (luck * 1e6) as u32;
    let mut below = 0;
    for (i, class) in facts.classes.iter().enumerate() {
        below += class.share_ppm;
        if at < below {
            return i;
        }
    }
    facts.classes.len() - 1
}

fn asks_of_file(facts: &Facts, text: &str, default_max: u32, rate_scale: f64, limit: usize) -> Vec<Ask> {
    let first = text.lines().next().expect("a trace has lines");
    let spread = facts.trace.get("spread_buckets").and_then(toml::Value::as_bool).unwrap_or(true);
    let lines = if first.contains("hash_ids") {
        mooncake(text, spread.then_some(facts.seed))
    } else if first.starts_with('{') {
        jsonl(text)
    } else if first.starts_with("TIMESTAMP") {
        azure(text)
    } else {
        csv(text)
    };
    let zero = lines[0].at_ns;
    // Mooncake's first request is spread too: time zero is its bucket's start.
    let zero = if first.contains("hash_ids") { zero - zero % 3_000_000_000 } else { zero };
    let ask = |(i, line): (usize, Line)| {
        let since = (line.at_ns - zero) as u64;
        let max_output = line.max_output.unwrap_or(default_max.max(line.output));
        let class = match &line.class {
            Some(name) => facts.classes.iter().position(|c| c.name == *name).expect("a class of the experiment"),
            None => drawn_class(facts, i as u64),
        };
        Ask {
            arrival: if rate_scale == 1.0 { since } else { (since as f64 / rate_scale).round() as u64 },
            tenant: line.tenant,
            session: line.session,
            class,
            prompt: line.prompt,
            output: line.output.min(max_output).max(1),
            max_output,
            content: whole(line.content, i as u64, line.prompt),
        }
    };
    lines.into_iter().take(limit).enumerate().map(ask).collect()
}

impl Trace {
    /// Reads what `[trace]` names; paths start at `folder`.
    pub fn read(facts: &Facts, folder: &Path) -> Trace {
        let t = &facts.trace;
        let whole = |t: &toml::Table, key: &str| t.get(key).and_then(toml::Value::as_integer).map(|n| n as u64);
        let default_max = whole(t, "default_max_output_tokens").unwrap_or(1024) as u32;
        let rate_scale = t.get("rate_scale").and_then(toml::Value::as_float).unwrap_or(1.0);
        let limit = whole(t, "limit");
        let read = |key: &str| {
            let path = folder.join(t[key].as_str().expect("a path"));
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        if t.contains_key("path") {
            let most = limit.map_or(usize::MAX, |n| n as usize);
            return Trace::Open(asks_of_file(facts, &read("path"), default_max, rate_scale, most));
        }
        if t.contains_key("generate") {
            let spec = GenerateSpec::parse(&read("generate"), "generator").expect("a generator that the run took");
            let options = SourceOptions {
                seed: facts.seed,
                rate_scale,
                limit,
                default_max_output_tokens: default_max,
                ..SourceOptions::default()
            };
            return Trace::Open(generated(facts, &spec, &options));
        }
        let users = t["users"].as_table().expect("path, generate or users");
        let must = |key: &str| whole(users, key).unwrap_or_else(|| panic!("users.{key}"));
        Trace::Users {
            users: must("concurrency") as u32,
            requests: must("requests"),
            think_ns: duration(users["think"].as_str().expect("a duration")),
            prompt: must("prompt_tokens") as u32,
            output: must("output_tokens") as u32,
            default_max,
        }
    }

    /// The requests of one policy's run.
    pub fn asks(&self, c: &mut Complaints, facts: &Facts, lives: &[Life]) -> Vec<Ask> {
        let (users, requests, think_ns, prompt, output, default_max) = match self {
            Trace::Open(asks) => return asks.clone(),
            Trace::Users { users, requests, think_ns, prompt, output, default_max } => {
                (*users, *requests, *think_ns, *prompt, *output, *default_max)
            }
        };
        let length = |median: u32| Length::LogNormal { median: median.into(), sigma: 0.5, min: 1, max: median * 8 };
        let mut due: BinaryHeap<Reverse<(u64, u32, u32)>> = (0..users).map(|u| Reverse((0, u, 0))).collect();
        let mut asks = Vec::new();
        for index in 0..requests {
            let Reverse((arrival, user, turn)) = due.pop().expect("each user sends again");
            let luck = |name: &str| stream(facts.seed, 0, name, user.into(), turn);
            let (prompt, output) = (
                length(prompt).draw(|| luck("closed-loop.prompt")),
                length(output).draw(|| luck("closed-loop.output")),
            );
            let class = drawn_class(facts, index);
            let max_output = default_max.max(output);
            let session = Some(user.into());
            let content = whole(Vec::new(), index, prompt);
            asks.push(Ask { arrival, tenant: 0, session, class, prompt, output, max_output, content });
            let Some(life) = lives.get(index as usize) else {
                c.say(format!("request {index} of the users has no row"));
                return asks;
            };
            let mut think = stream(facts.seed, 0, "closed-loop.think", user.into(), turn + 1);
            let think = dist::exponential(&mut think, think_ns as f64).round() as u64;
            due.push(Reverse((life.request.ended + think, user, turn + 1)));
        }
        asks
    }
}

fn generated(facts: &Facts, spec: &GenerateSpec, options: &SourceOptions) -> Vec<Ask> {
    let mut source = Generator::source(spec, options).expect("options that the run took");
    let mut asks = Vec::new();
    while source.peek().expect("a generator has no faults").is_some() {
        let r = source.next();
        let run = |run: &baseload::types::Run| {
            let (kind, id) = match run.id {
                ContentId::Named(id) => (Kind::Named, id),
                ContentId::Output(id) => (Kind::Output, id),
                ContentId::Private(id) => (Kind::Private, id),
            };
            Run { kind, id, start: run.start, len: run.len }
        };
        asks.push(Ask {
            arrival: r.arrival.0,
            tenant: r.tenant,
            session: (r.session != NO_SESSION).then_some(r.session),
            class: drawn_class(facts, r.index),
            prompt: r.prompt_tokens,
            output: r.output_tokens.min(r.max_output_tokens),
            max_output: r.max_output_tokens,
            content: r.content.runs().iter().map(run).collect(),
        });
    }
    asks
}
