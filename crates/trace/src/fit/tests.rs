//! Traces that look like published ones are fitted, drawn with another seed, and compared.
use super::*;
use crate::Held;
use crate::compare::rows;
use crate::{Generator, Limits};
use baseload_core::random::{dist, stream};
use baseload_core::types::{ContentId, Run};

/// Draws for a made trace.
struct Dice(baseload_core::random::Xoshiro256PlusPlus);

impl Dice {
    fn new(name: &str) -> Dice {
        Dice(stream(5, 0, name, 0, 0))
    }
    fn chance(&mut self, p: f64) -> bool {
        dist::uniform01(&mut self.0) < p
    }
    fn below(&mut self, n: usize) -> usize {
        ((dist::uniform01(&mut self.0) * n as f64) as usize).min(n - 1)
    }
    fn gap(&mut self, mean: f64) -> f64 {
        dist::exponential(&mut self.0, mean)
    }
    fn tokens(&mut self, median: f64, sigma: f64) -> u32 {
        dist::log_normal(&mut self.0, median, sigma).clamp(1.0, 100_000.0) as u32
    }
}

fn entry(id: usize, at_s: f64, prompt: u32, output: u32) -> Entry {
    let at_ns = (at_s * 1e9) as i64;
    Entry { id: id as u64, at_ns, prompt_tokens: prompt, output_tokens: output, ..Entry::blank() }
}

/// Fits, writes, reads, draws with another seed, compares.
fn holds(name: &str, all: Vec<Entry>, clock: Clock) -> GenerateSpec {
    let n = all.len();
    let mut made = Held::new(all, clock, "made:1", Vec::new());
    let fitted = fit(&mut made, &SourceOptions::default()).unwrap();
    let text = to_toml(&fitted.spec, &["A test".into()]);
    let spec = GenerateSpec::parse(&text, name).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(spec, fitted.spec, "{name}: what is written is what was fitted");
    assert!(text.len() < 40_000, "{name}: {} bytes", text.len());
    for seed in [1, 2] {
        let options = SourceOptions { seed, ..SourceOptions::default() };
        let drawn = Figures::of(&mut Generator::new(&spec, &options).unwrap()).unwrap();
        assert_eq!(drawn.requests, n as u64, "{name}");
        for row in rows(&fitted.trace, &drawn, &Limits::default()) {
            assert!(row.holds(), "fit-holds: {name}, seed {seed}: {} was {:?} and is {:?}", row.name, row.a, row.b);
        }
    }
    spec
}

#[test]
fn bursts_ties_idle_hours_and_few_lengths() {
    let mut dice = Dice::new("burst");
    let (mut at, mut all) = (0.0, Vec::new());
    while all.len() < 20_000 {
        let hour = (at / 3600.0) % 24.0;
        let rate = 0.05 + if (8.0..20.0).contains(&hour) { 1.0 } else { 0.0 };
        at += dice.gap(1.0 / rate);
        if dice.chance(0.0005) {
            at += 3600.0 * 8.0;
        }
        let many = if dice.chance(0.01) { 1 + dice.below(40) } else { 1 };
        for _ in 0..many {
            let prompt = [47, 300, 1024][dice.below(3)];
            let output = if dice.chance(0.3) { 18 } else { dice.tokens(200.0, 1.0) };
            all.push(entry(all.len(), f64::floor(at), prompt, output));
        }
    }
    let spec = holds("burst", all, Clock::Common);
    assert!(!spec.prompt.table.is_empty() && spec.arrivals.resolution.is_some_and(|r| r.0 == 1_000_000_000));
}

/// Tool agents: popular beginnings, conversations that go on, blocks of `block` tokens.
fn blocks(name: &str, n: usize, block: u32) -> Vec<Entry> {
    let mut dice = Dice::new(name);
    let mut fresh = 0u64;
    let mut new = |count: usize| {
        fresh += count as u64;
        (fresh - count as u64..fresh).collect::<Vec<u64>>()
    };
    let popular: Vec<Vec<u64>> = (0..20).map(|i| new(1 + i % 9)).collect();
    let mut open: Vec<Vec<u64>> = Vec::new();
    let (mut at, mut all) = (0.0, Vec::new());
    for id in 0..n {
        at += dice.gap(0.2);
        let mut ids = if !open.is_empty() && dice.chance(0.4) {
            let at = dice.below(open.len());
            open.swap_remove(at)
        } else if dice.chance(0.9) {
            let (a, b) = (dice.below(20), dice.below(20));
            popular[a.min(b)].clone()
        } else {
            Vec::new()
        };
        ids.extend(new(1 + dice.gap(6.0) as usize));
        let prompt = block * (ids.len() as u32 - 1) + 1 + dice.below(block as usize) as u32;
        let mut made = entry(id, at, prompt, dice.tokens(60.0, 1.0));
        let len = |i: usize| block.min(prompt - i as u32 * block);
        made.content =
            ids.iter().enumerate().map(|(i, &id)| Run { id: ContentId::Named(id), start: 0, len: len(i) }).collect();
        ids.pop();
        open.push(ids);
        if open.len() > 300 {
            open.remove(0);
        }
        all.push(made);
    }
    all
}

#[test]
fn heavy_sharing_in_blocks_of_any_size() {
    let spec = holds("tools", blocks("tools", 6000, 512), Clock::Common);
    assert_eq!(spec.reuse.unwrap().block, 512);
    let spec = holds("small blocks", blocks("small", 6000, 16), Clock::Common);
    assert_eq!(spec.reuse.unwrap().block, 16);
}

/// Agents whose contexts grow and are cleared now and then; `common`: their sessions share a beginning, on one clock.
fn agents(name: &str, sessions: u64, common: bool) -> Vec<Entry> {
    let mut dice = Dice::new(name);
    let mut all = Vec::new();
    for session in 0..sessions {
        let start = if common { dice.gap(20.0) * session as f64 / 4.0 } else { 0.0 };
        let (mut at, mut prompt, mut text) = (start, 2000 + dice.tokens(800.0, 0.8), session * 1000);
        for turn in 0..1 + dice.tokens(15.0, 0.9).min(150) {
            let mut made = entry(all.len(), at, prompt, dice.tokens(150.0, 1.1));
            made.session = session;
            let think = dice.gap(5.0);
            made.think_ns = (turn > 0).then_some((think * 1e9) as u64);
            if common {
                made.content.push(Run { id: ContentId::Named(0), start: 0, len: 1024 });
            }
            let have = if common { 1024 } else { 0 };
            let full = (prompt - have) / 64 * 64;
            made.content.push(Run { id: ContentId::Named(1 + text), start: 0, len: full });
            at += think + f64::from(made.output_tokens) * 0.02;
            prompt += made.output_tokens + dice.tokens(300.0, 1.0);
            if dice.chance(0.01) {
                (prompt, text) = (3000 + dice.tokens(500.0, 0.5), text + 1);
            }
            all.push(made);
        }
    }
    if common {
        all.sort_by_key(|e| e.at_ns);
    }
    all
}

#[test]
fn sessions_with_and_without_a_common_clock() {
    let spec = holds("local sessions", agents("local", 200, false), Clock::Session);
    let sessions = spec.sessions.unwrap();
    assert!(sessions.concurrent.is_none() && sessions.think_ms.is_some() && !sessions.across);
    assert_eq!(spec.arrivals.rate[0].per_s, SESSION_STARTS_PER_S);
    let spec = holds("shared sessions", agents("shared", 120, true), Clock::Common);
    assert!(spec.sessions.unwrap().concurrent.is_some_and(|c| c > 0.5));
}

#[test]
fn one_request_and_requests_at_one_instant() {
    holds("one", vec![entry(0, 0.0, 7, 3)], Clock::Common);
    holds("at once", (0..50).map(|i| entry(i, 4.0, 7, 3)).collect(), Clock::Common);
    holds("two", vec![entry(0, 0.0, 7, 3), entry(1, 9.5, 900, 3)], Clock::Common);
}

#[test]
fn time_that_goes_back_is_refused() {
    let all = vec![entry(0, 2.0, 7, 3), entry(1, 1.0, 7, 3)];
    let error = fit(&mut Held::new(all, Clock::Common, "made:1", Vec::new()), &SourceOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("made:1: time goes back;"), "{error}");
}
