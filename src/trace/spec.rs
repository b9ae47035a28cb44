//! What a generator file says: arrivals, lengths, shared prefixes. Parsing and checking only; no randomness but draws.
use crate::random::dist;
use crate::types::{SimTime, parse_duration};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A generator file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateSpec {
    /// At most so many requests. One of `requests` and `duration` is needed.
    pub requests: Option<u64>,
    /// No arrivals from then on.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<SimTime>,
    /// When requests come.
    pub arrivals: Arrivals,
    /// Prompt tokens, shared prefix included.
    pub prompt: LengthSpec,
    /// Output tokens.
    pub output: LengthSpec,
    /// The client's limit in tokens; the experiment's default where absent. Raised to the output where that is longer.
    pub max_output_tokens: Option<u32>,
    /// System prompts that requests share.
    pub prefixes: Option<Prefixes>,
}

/// When requests come: a renewal process of unit rate, stretched by the rate.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// How irregular arrivals are at a constant rate.
    #[serde(default)]
    pub process: Process,
    /// Corners of the rate, in order of time, straight lines between them, constant before the first and after the last.
    pub rate: Vec<RatePoint>,
    /// Spans in which the rate is multiplied; overlapping ones multiply each other.
    #[serde(default)]
    pub bursts: Vec<Burst>,
}

impl Arrivals {
    /// Poisson arrivals of a constant rate, requests a second.
    pub fn poisson(per_s: f64) -> Arrivals {
        Arrivals { process: Process::Poisson, rate: vec![RatePoint { at: SimTime::ZERO, per_s }], bursts: Vec::new() }
    }
}

/// How irregular arrivals are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Process {
    /// Exponential gaps.
    #[default]
    Poisson,
    /// Gamma gaps.
    Gamma {
        /// Coefficient of variation of the gaps; 1 is Poisson, above is burstier.
        cv: f64,
    },
}

/// A corner of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatePoint {
    /// Time from the start.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub at: SimTime,
    /// Requests a second.
    pub per_s: f64,
}

/// A span in which the rate is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Start.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub at: SimTime,
    /// Length.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub duration: SimTime,
    /// Multiplier of the rate.
    pub times: f64,
}

/// A number of tokens: `constant` alone, or log-normal, cut to `min..=max`, by its `median` and one of `p95` and `sigma`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthSpec {
    /// Always so many tokens.
    pub constant: Option<u32>,
    /// Median, tokens.
    pub median: Option<f64>,
    /// 95th percentile, tokens.
    pub p95: Option<f64>,
    /// Standard deviation of the logarithm.
    pub sigma: Option<f64>,
    /// Least, tokens; 1 where absent.
    pub min: Option<u32>,
    /// Most, tokens.
    pub max: Option<u32>,
}

/// A checked `LengthSpec`, ready to be drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// Always the same; takes nothing from a stream.
    Constant(u32),
    /// Log-normal, rounded and cut.
    LogNormal {
        /// Median, tokens.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
        /// Least, tokens.
        min: u32,
        /// Most, tokens.
        max: u32,
    },
}

/// System prompts that requests share; which one a request has is Zipf distributed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prefixes {
    /// How many there are.
    pub count: u32,
    /// Tokens of the first (most used) one.
    pub tokens: u32,
    /// Tokens of the last one; those between lie on a straight line. `tokens` where absent.
    pub tokens_last: Option<u32>,
    /// Share of requests that have one, 0 to 1.
    pub share: f64,
    /// Zipf exponent; 0 uses all alike.
    #[serde(default)]
    pub zipf_s: f64,
}

/// Reads a duration written as a string.
pub(super) fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<SimTime, D::Error> {
    parse_duration(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

/// Reads an optional duration.
pub(super) fn some_duration<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SimTime>, D::Error> {
    duration(d).map(Some)
}

impl LengthSpec {
    /// What it says, or what is wrong with it; `key` is its table.
    pub(super) fn length(&self, key: &'static str) -> Result<Length, (&'static str, String)> {
        let fail = |what: &str| Err((key, format!("`{key}` {what}")));
        if let Some(tokens) = self.constant {
            let alone = LengthSpec { constant: Some(tokens), ..LengthSpec::default() };
            return match tokens {
                _ if *self != alone => {
                    fail("has a constant and more; a constant stands alone, without median and its kin")
                }
                0 => fail("has a constant of 0; it must be at least 1"),
                _ => Ok(Length::Constant(tokens)),
            };
        }
        let (Some(median), Some(max)) = (self.median, self.max) else {
            return fail("needs a constant, or median and max with one of p95 and sigma");
        };
        if !(median.is_finite() && median > 0.0) {
            return fail("has a median that is not above 0");
        }
        let sigma = match (self.p95, self.sigma) {
            (Some(p95), None) if p95.is_finite() && p95 >= median => libm::log(p95 / median) / STANDARD_P95,
            (Some(_), None) => return fail("has a p95 below its median"),
            (None, Some(sigma)) if sigma.is_finite() && sigma >= 0.0 => sigma,
            (None, Some(_)) => return fail("has a sigma below 0"),
            _ => return fail("needs exactly one of p95 and sigma"),
        };
        let min = self.min.unwrap_or(1);
        if min == 0 || min > max {
            return fail("needs 1 <= min <= max");
        }
        Ok(Length::LogNormal { median, sigma, min, max })
    }
}

/// The 95th percentile of the standard normal.
const STANDARD_P95: f64 = 1.644_853_626_951_472_2;

impl Length {
    /// A number of tokens, rounded at once. A stream is made only where something is drawn from it.
    pub fn draw<R: Rng>(&self, stream: impl FnOnce() -> R) -> u32 {
        match *self {
            Length::Constant(tokens) => tokens,
            Length::LogNormal { median, sigma, min, max } => {
                let tokens = dist::log_normal(&mut stream(), median, sigma).round();
                tokens.clamp(f64::from(min), f64::from(max)) as u32
            }
        }
    }
}

impl Prefixes {
    /// Tokens of prefix `i`.
    pub(super) fn tokens_of(&self, i: u32) -> u32 {
        let (first, last) = (i64::from(self.tokens), i64::from(self.tokens_last.unwrap_or(self.tokens)));
        let steps = i64::from(self.count.max(2) - 1);
        (first + (last - first) * i64::from(i) / steps) as u32
    }
}

impl GenerateSpec {
    /// Parses and checks a generator file; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong`.
    pub fn parse(text: &str, name: &str) -> Result<GenerateSpec, String> {
        let spec: GenerateSpec = parse_toml(text, name)?;
        spec.check().map_err(|(key, what)| format!("{name}:{}: {what}", line_of_key(text, key)))?;
        Ok(spec)
    }

    /// Checks what types cannot say; the key that is at fault comes first.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let fail = |key: &'static str, what: &str| Err((key, what.to_string()));
        if self.requests.is_none() && self.duration.is_none() {
            return fail("", "neither `requests` nor `duration` is set; at least one is needed");
        }
        if self.requests == Some(0) {
            return fail("requests", "`requests` is 0; it must be at least 1");
        }
        if let Process::Gamma { cv } = self.arrivals.process
            && !(cv.is_finite() && (0.01..=100.0).contains(&cv))
        {
            return fail("cv", "`cv` must be from 0.01 to 100");
        }
        let rate = &self.arrivals.rate;
        if rate.is_empty() || rate.iter().any(|p| !(p.per_s.is_finite() && p.per_s >= 0.0)) {
            return fail("rate", "`rate` needs at least one point, and each `per_s` must be 0 or more");
        }
        if rate.windows(2).any(|w| w[0].at >= w[1].at) {
            return fail("rate", "`rate` points must be in order of time, each later than the one before");
        }
        if rate.iter().all(|p| p.per_s == 0.0) {
            return fail("rate", "`rate` is 0 throughout; some point must be above 0");
        }
        if self.arrivals.bursts.iter().any(|b| !(b.times.is_finite() && b.times >= 0.0) || b.duration.0 == 0) {
            return fail("bursts", "a burst needs `times` of 0 or more and a `duration` above 0");
        }
        if self.max_output_tokens == Some(0) {
            return fail("max_output_tokens", "`max_output_tokens` is 0; it must be at least 1");
        }
        self.prompt.length("prompt")?;
        self.output.length("output")?;
        let Some(p) = &self.prefixes else { return Ok(()) };
        if p.count == 0 || p.count > 1_000_000 || p.tokens == 0 || p.tokens_last == Some(0) {
            return fail("prefixes", "`prefixes` needs a count from 1 to 1,000,000 and at least 1 token each");
        }
        if !((0.0..=1.0).contains(&p.share) && p.zipf_s.is_finite() && p.zipf_s >= 0.0) {
            return fail("prefixes", "`prefixes` needs a share from 0 to 1 and a zipf_s of 0 or more");
        }
        Ok(())
    }
}

/// TOML with errors as `NAME:LINE: what`.
fn parse_toml<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        format!("{name}:{line}: {}", e.message())
    })
}

/// The first line that sets `key` or opens its table; 1 where there is none.
fn line_of_key(text: &str, key: &str) -> usize {
    let opens = |line: &str| {
        let line = line.trim_start();
        let table = line.trim_start_matches('[').split(']').next().unwrap_or("");
        let set = line.split('=').next().unwrap_or("").trim();
        set == key || line.starts_with('[') && table.rsplit('.').next() == Some(key)
    };
    text.lines().position(opens).map_or(1, |i| i + 1)
}
