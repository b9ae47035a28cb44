//! Draws requests from a `GenerateSpec`, one at a time.
//!
//! Must hold: what request i looks like depends on (seed, replicate, i) alone; arrival i on the gaps up to i.
//! A stream is made only for what is drawn: constant lengths take none. It streams: nothing is held but the next request.
use super::arrivals::ArrivalTimes;
use super::{GenerateSpec, Length, Replay, SourceOptions};
use crate::random::{StreamFamily, StreamKey, dist};
use crate::types::{Clock, ContentId, Entries, Entry, Run};

/// A generator of entries. Times count from the start of the rate profile, not from the first arrival.
pub struct Generator {
    spec: GenerateSpec,
    arrivals: ArrivalTimes,
    prompt: Length,
    output: Length,
    zipf: Option<dist::Zipf>,
    streams: Streams,
    made: u64,
}

/// What is drawn for a request, each from streams of its own.
struct Streams {
    prompt: StreamFamily,
    output: StreamFamily,
    prefix: StreamFamily,
}

impl Streams {
    fn new(options: &SourceOptions) -> Streams {
        let (seed, replicate) = (options.seed, options.replicate);
        let family = |name| StreamKey { seed, replicate, name }.family();
        Streams {
            prompt: family("generate.prompt"),
            output: family("generate.output"),
            prefix: family("generate.prefix"),
        }
    }
}

impl Generator {
    /// A generator as a source.
    ///
    /// # Errors
    /// As [`Generator::new`].
    pub fn source(spec: &GenerateSpec, options: &SourceOptions) -> Result<Replay, String> {
        Replay::new(Box::new(Generator::new(spec, options)?), options)
    }

    /// A generator that follows a checked spec.
    ///
    /// # Errors
    /// When the options are impossible, or a length is.
    pub fn new(spec: &GenerateSpec, options: &SourceOptions) -> Result<Generator, String> {
        options.check()?;
        let prompt = spec.prompt.length("prompt").map_err(|(_, what)| what)?;
        let output = spec.output.length("output").map_err(|(_, what)| what)?;
        Ok(Generator {
            spec: spec.clone(),
            arrivals: ArrivalTimes::new(&spec.arrivals, options, "generate.arrival"),
            prompt,
            output,
            streams: Streams::new(options),
            zipf: spec.prefixes.map(|p| dist::Zipf::new(p.count, p.zipf_s)),
            made: 0,
        })
    }

    fn draw(&mut self, entry: &mut Entry) -> bool {
        let index = self.made;
        if self.spec.requests.is_some_and(|most| index >= most) {
            return false;
        }
        let Some(at_ns) = self.arrivals.next_ns() else { return false };
        if self.spec.duration.is_some_and(|end| at_ns as u64 >= end.0) {
            return false;
        }
        self.made += 1;
        (entry.id, entry.at_ns) = (index, at_ns);
        entry.prompt_tokens = self.prompt.draw(|| self.streams.prompt.at(index, 0));
        entry.output_tokens = self.output.draw(|| self.streams.output.at(index, 0));
        entry.max_output_tokens = self.spec.max_output_tokens.map_or(0, |most| most.max(entry.output_tokens));
        self.share(entry);
        true
    }

    /// A shared prefix, if it has one; at least one token is its own.
    fn share(&self, entry: &mut Entry) {
        let (Some(prefixes), Some(zipf)) = (&self.spec.prefixes, &self.zipf) else { return };
        let mut rng = self.streams.prefix.at(entry.id, 0);
        let has = dist::uniform01(&mut rng) < prefixes.share;
        let which = zipf.sample(&mut rng);
        let shared = prefixes.tokens_of(which).min(entry.prompt_tokens - 1);
        if has && shared > 0 {
            entry.content.push(Run { id: ContentId::Named(u64::from(which)), start: 0, len: shared });
        }
    }
}

impl Entries for Generator {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, String> {
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
        if self.spec.duration.is_some() { None } else { self.spec.requests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceStats;
    use crate::types::Source;

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
        let text = include_str!("../../traces/support-desk.toml");
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
        let error = |text: &str| GenerateSpec::parse(text, "s.toml").unwrap_err();
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
