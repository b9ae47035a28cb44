//! Draws requests from a `GenerateSpec`, one at a time.
//!
//! Must hold: what request i looks like depends on (seed, replicate, i) alone, but for what it shares with requests before it;
//! arrival i on the gaps up to i. A stream is made only for what is drawn: constant lengths take none. It streams: nothing is
//! held but the next request, sessions and clients that are under way, and a bounded history where prompts share.
use baseload_core::types::{TraceFault, wrong};
mod arrivals;
mod bench;
mod clients;
mod drawer;
mod gaps;
mod profile;
mod reader;
mod reuse;
mod sessions;
mod windows;

use super::{GenerateSpec, Prefixes, Replay, SourceOptions};
use crate::read::ServeGenClient;
pub use arrivals::ArrivalTimes;
use baseload_core::random::{StreamFamily, dist};
use baseload_core::types::{Clock, ContentId, Entries, Entry, Run};
use clients::Clients;
use drawer::{Drawer, Pair, family};
pub use reader::{GENERATOR, SERVEGEN};
use reuse::Sharer;
use sessions::Talks;

/// A generator of entries. Times count from the start of the arrivals, not from the first one.
pub struct Generator {
    requests: Option<u64>,
    end_ns: u64,
    max_output_tokens: Option<u32>,
    kind: Kind,
    made: u64,
}

enum Kind {
    Plain(Box<Plain>),
    Sessions(Box<Talks>),
    Clients(Clients),
}

/// Requests that are independent but for what their prompts begin with.
struct Plain {
    arrivals: ArrivalTimes,
    pair: Pair,
    prefixes: Option<(Prefixes, dist::Zipf, StreamFamily)>,
    sharer: Option<Sharer>,
}

impl Plain {
    fn new(spec: &GenerateSpec, options: &SourceOptions) -> Result<Plain, TraceFault> {
        let prompt = Drawer::new(&spec.prompt, "prompt", options, "generate.prompt", 0)?;
        let output = Drawer::new(&spec.output, "output", options, "generate.output", 0)?;
        let prefix = family(options, "generate.prefix");
        Ok(Plain {
            arrivals: ArrivalTimes::new(&spec.arrivals, options, "generate.arrival"),
            pair: Pair::new(prompt, output, spec.joint),
            prefixes: spec.prefixes.map(|p| (p, dist::Zipf::new(p.count, p.zipf_s), prefix)),
            sharer: spec.reuse.as_ref().map(|r| Sharer::new(r, options)),
        })
    }

    fn draw(&mut self, entry: &mut Entry) -> bool {
        let Some(at_ns) = self.arrivals.next_ns() else { return false };
        entry.at_ns = at_ns;
        (entry.prompt_tokens, entry.output_tokens) = self.pair.draw(entry.id);
        entry.prompt_tokens = entry.prompt_tokens.max(1);
        self.share(entry);
        if let Some(sharer) = &mut self.sharer {
            let want = sharer.want(entry.prompt_tokens);
            sharer.share(entry, want);
            sharer.remember(entry);
        }
        true
    }

    /// A shared prefix, if it has one; at least one token is its own.
    fn share(&self, entry: &mut Entry) {
        let Some((prefixes, zipf, streams)) = &self.prefixes else { return };
        let mut rng = streams.at(entry.id, 0);
        let has = dist::uniform01(&mut rng) < prefixes.share;
        let which = zipf.sample(&mut rng);
        let shared = prefixes.tokens_of(which).min(entry.prompt_tokens - 1);
        if has && shared > 0 {
            entry.content.push(Run { id: ContentId::Named(u64::from(which)), start: 0, len: shared });
        }
    }
}

impl Generator {
    /// A generator as a source.
    ///
    /// # Errors
    /// As [`Generator::new`].
    pub fn source(spec: &GenerateSpec, options: &SourceOptions) -> Result<Replay, TraceFault> {
        Ok(Replay::new(Box::new(Generator::new(spec, options)?), options)?)
    }

    /// A generator that follows a checked spec.
    ///
    /// # Errors
    /// When the options are impossible, or a length is.
    pub fn new(spec: &GenerateSpec, options: &SourceOptions) -> Result<Generator, TraceFault> {
        options.check()?;
        if let Some(pool) = &spec.servegen {
            return Err(wrong!("{} is a folder of clients", pool.path.display()).hint("they must be read first"));
        }
        let kind = if let Some(sessions) = &spec.sessions {
            Kind::Sessions(Box::new(Talks::new(spec, sessions, options)?))
        } else if spec.clients.is_empty() {
            Kind::Plain(Box::new(Plain::new(spec, options)?))
        } else {
            Kind::Clients(Clients::new(spec, options)?)
        };
        Ok(Generator {
            requests: spec.requests,
            end_ns: spec.duration.map_or(u64::MAX, |d| d.0),
            max_output_tokens: spec.max_output_tokens,
            kind,
            made: 0,
        })
    }

    /// ServeGen's pool of clients: a client is a tenant. `total_per_s` scales all rates so that they add up to it on average;
    /// without it they are as published.
    ///
    /// # Errors
    /// When the options are impossible, or no client sends anything.
    pub fn servegen(
        clients: &[ServeGenClient],
        total_per_s: Option<f64>,
        options: &SourceOptions,
    ) -> Result<Generator, TraceFault> {
        options.check()?;
        let times = match total_per_s {
            None => 1.0,
            Some(wanted) if wanted.is_finite() && wanted > 0.0 => {
                let rate = |c: &ServeGenClient| {
                    c.windows.iter().map(|w| w.rate_per_s).sum::<f64>() / c.windows.len().max(1) as f64
                };
                let all: f64 = clients.iter().map(rate).sum();
                if all <= 0.0 {
                    return Err(TraceFault::new("no client of the pool sends anything")
                        .hint("some window must have a rate above 0"));
                }
                wanted / all
            }
            Some(wanted) => return Err(wrong!("the total rate is {wanted}").hint("it must be a number above 0")),
        };
        let kind = Kind::Clients(Clients::servegen(clients, times, options));
        Ok(Generator { requests: None, end_ns: u64::MAX, max_output_tokens: None, kind, made: 0 })
    }

    /// The pool that `spec` names, once its clients are read.
    ///
    /// # Errors
    /// As [`Generator::servegen`].
    pub fn of_pool(
        spec: &GenerateSpec,
        clients: &[ServeGenClient],
        options: &SourceOptions,
    ) -> Result<Generator, TraceFault> {
        let total = spec.servegen.as_ref().and_then(|p| p.total_per_s);
        let mut generator = Generator::servegen(clients, total, options)?;
        (generator.requests, generator.max_output_tokens) = (spec.requests, spec.max_output_tokens);
        generator.end_ns = spec.duration.map_or(u64::MAX, |d| d.0);
        Ok(generator)
    }

    fn draw(&mut self, entry: &mut Entry) -> bool {
        if self.requests.is_some_and(|most| self.made >= most) {
            return false;
        }
        entry.id = self.made;
        let any = match &mut self.kind {
            Kind::Plain(plain) => plain.draw(entry),
            Kind::Sessions(talks) => talks.draw(entry),
            Kind::Clients(clients) => clients.draw(entry),
        };
        if !any || entry.at_ns as u64 >= self.end_ns {
            return false;
        }
        self.made += 1;
        entry.max_output_tokens = self.max_output_tokens.map_or(0, |most| most.max(entry.output_tokens));
        true
    }
}

impl Entries for Generator {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        entry.clear();
        Ok(self.draw(entry))
    }
    fn clock(&self) -> Clock {
        Clock::Zero
    }
    fn place(&self) -> String {
        format!("generated request {}", self.made)
    }
    fn total(&self) -> Option<u64> {
        let known = self.end_ns == u64::MAX;
        match &self.kind {
            Kind::Sessions(talks) if known => talks.total(),
            _ if known => self.requests,
            _ => None,
        }
    }
    fn names_private_text(&self) -> bool {
        match &self.kind {
            Kind::Plain(plain) => plain.sharer.is_some(),
            Kind::Sessions(_) => true,
            Kind::Clients(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod basics {
    use super::*;
    use crate::TraceStats;
    use baseload_core::types::Source;

    const SPEC: &str = "duration = \"2h\"\nprompt = { median = 100, p95 = 400, max = 4000 }\n\
        output = { median = 50, sigma = 0.5, max = 500 }\n[arrivals]\nprocess.gamma.cv = 2.0\n\
        rate = [{ at = \"0s\", per_s = 0.0 }, { at = \"1h\", per_s = 4.0 }]\n\
        bursts = [{ at = \"90m\", duration = \"10m\", times = 3.0 }]\n";

    #[test]
    fn the_rate_is_followed_through_ramp_and_burst() {
        let spec = GenerateSpec::parse(SPEC, "s.toml").unwrap();
        let mut source = Generator::source(&spec, &SourceOptions::default()).unwrap();
        let mut counts = [0u32; 12];
        while let Some(at) = source.peek().unwrap() {
            counts[(at.0 / 600_000_000_000) as usize] += 1;
            assert!(source.next().content.tokens() > 0);
        }
        // The ramp gives 200, 600, 1000, ... in ten minutes; afterwards 2,400, three times that in the burst.
        let want = [200, 600, 1000, 1400, 1800, 2200, 2400, 2400, 2400, 7200, 2400, 2400];
        for (i, (&got, &want)) in counts.iter().zip(&want).enumerate() {
            assert!(
                (f64::from(got) - f64::from(want)).abs() < 6.0 * 2.0 * libm::sqrt(f64::from(want)),
                "{i}: {got} {want}"
            );
        }
    }

    #[test]
    fn the_support_desk_is_what_its_file_says() {
        let text = include_str!("../../../../traces/support-desk.toml");
        let spec = GenerateSpec::parse(text, "support-desk.toml").unwrap();
        let mut entries = Generator::new(&spec, &SourceOptions::default()).unwrap();
        let stats = TraceStats::of(&mut entries, 16).unwrap();
        assert!((19_000..21_000).contains(&stats.count), "{stats:?}");
        assert!(stats.arrivals.as_ref().is_some_and(|a| (6_900.0..7_200.0).contains(&a.span_s)), "{stats:?}");
        assert!((670..730).contains(&stats.prompt_tokens.p50) && (172..188).contains(&stats.output_tokens.p50));
        assert!(stats.unlimited_hit_share().is_some_and(|s| (0.2..0.6).contains(&s)), "{stats:?}");
    }

    #[test]
    fn wrong_specs_are_refused_with_their_line() {
        let error = |text: &str| GenerateSpec::parse(text, "s.toml").unwrap_err().to_string();
        assert!(
            error(&SPEC.replace("sigma", "sigmas")).starts_with("s.toml:3: "),
            "{}",
            error(&SPEC.replace("sigma", "sigmas"))
        );
        assert!(error(&SPEC.replace("90m", "90x")).starts_with("s.toml:7: "));
        assert!(error(&SPEC.replace("p95 = 400", "p95 = 40")).starts_with("s.toml:2: `prompt` has a p95"));
        assert!(error(&SPEC.replace("duration = \"2h\"", "")).starts_with("s.toml:1: neither"));
        assert!(error(&SPEC.replace("\"1h\"", "\"0s\"")).starts_with("s.toml:6: `rate` points"));
        let output = |with: &str| error(&SPEC.replace("median = 50, sigma = 0.5, max = 500", with));
        for with in ["constant = 9, sigma = 0.5", "constant = 9, median = 5.0", "constant = 9, max = 9"] {
            assert!(output(with).starts_with("s.toml:3: `output` has a constant and more"), "{}", output(with));
        }
        assert!(output("constant = 0").starts_with("s.toml:3: `output` has a constant of 0"));
        assert!(output("constant = 2.5").starts_with("s.toml:3: "), "{}", output("constant = 2.5"));
        assert!(output("sigma = 0.5, max = 500").starts_with("s.toml:3: `output` needs a constant, or median"));
        assert!(output("median = 5, max = 9").starts_with("s.toml:3: `output` needs exactly one of p95"));
    }

    #[test]
    fn a_constant_length_moves_no_other_draw() {
        let take = |text: &str| {
            let spec = GenerateSpec::parse(text, "s.toml").unwrap();
            let options = SourceOptions { limit: Some(200), ..Default::default() };
            let mut source = Generator::source(&spec, &options).unwrap();
            std::iter::from_fn(|| source.peek().unwrap().map(|_| source.next())).collect::<Vec<_>>()
        };
        let drawn = take(SPEC);
        let fixed = take(&SPEC.replace("median = 100, p95 = 400, max = 4000", "constant = 1155"));
        assert_eq!(fixed.len(), 200);
        for (a, b) in drawn.iter().zip(&fixed) {
            assert_eq!((a.arrival, a.output_tokens), (b.arrival, b.output_tokens));
            assert_eq!((b.prompt_tokens, b.content.tokens()), (1155, 1155));
        }
    }

    #[test]
    fn scale_and_limit_apply_and_draws_depend_on_the_index_alone() {
        let spec = GenerateSpec::parse(SPEC, "s.toml").unwrap();
        let take = |options: SourceOptions| {
            let mut source = Generator::source(&spec, &options).unwrap();
            let mut all = Vec::new();
            while source.peek().unwrap().is_some() {
                all.push(source.next());
            }
            all
        };
        let base = take(SourceOptions { limit: Some(50), ..Default::default() });
        let fast = take(SourceOptions { limit: Some(50), rate_scale: 2.0, ..Default::default() });
        assert_eq!(base.len(), 50);
        for (a, b) in base.iter().zip(&fast) {
            assert!(a.arrival.0.abs_diff(2 * b.arrival.0) <= 1);
            assert_eq!((a.prompt_tokens, a.output_tokens), (b.prompt_tokens, b.output_tokens));
        }
        assert_ne!(base, take(SourceOptions { limit: Some(50), replicate: 1, ..Default::default() }));
    }
}
