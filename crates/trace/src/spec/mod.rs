//! What a generator file says: arrivals, lengths, shared text. Parsing and checking only; no randomness but draws.
use baseload_core::types::TraceFault;
mod arrivals;
mod length;
mod sharing;

pub use arrivals::{Arrivals, Bench, Burst, Family, Process, Ramp, RampShape, RatePoint, State, Windows};
use baseload_core::types::{SimTime, parse_duration};
pub(crate) use length::at_share;
pub use length::{Length, LengthSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
pub use sharing::{Prefixes, Reuse, ReuseBin, Sessions, TurnLength};

/// The key at fault, and what is wrong with it.
pub(crate) type Fault = (&'static str, TraceFault);

fn fail<T>(key: &'static str, what: impl Into<TraceFault>) -> Result<T, Fault> {
    Err((key, what.into()))
}

/// A generator file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateSpec {
    /// At most so many requests. One of `requests`, `duration` and what else ends the arrivals is needed.
    pub requests: Option<u64>,
    /// No arrivals from then on.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<SimTime>,
    /// When requests come (with `sessions`: when sessions start).
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Prompt tokens, shared prefix included.
    #[serde(default)]
    pub prompt: LengthSpec,
    /// Output tokens.
    #[serde(default)]
    pub output: LengthSpec,
    /// The client's limit in tokens; the experiment's default where absent. Raised to the output where that is longer.
    pub max_output_tokens: Option<u32>,
    /// How prompt and output hang together.
    pub joint: Option<Joint>,
    /// System prompts that requests share.
    pub prefixes: Option<Prefixes>,
    /// Prompts that begin as earlier ones did.
    pub reuse: Option<Reuse>,
    /// Requests that belong together.
    pub sessions: Option<Sessions>,
    /// Instead of `arrivals`, `prompt` and `output`: clients that send side by side.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// A pool of ServeGen's client profiles, each a tenant, instead of arrivals, lengths and what is shared.
    pub servegen: Option<Pool>,
}

/// A folder of ServeGen's client profiles.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The folder; the path is relative to the specification.
    pub path: std::path::PathBuf,
    /// Requests a second of all clients together, on average over their windows; as published where absent.
    pub total_per_s: Option<f64>,
}

/// A Gaussian copula of prompt and output lengths.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Joint {
    /// Spearman's rank correlation, -1 to 1.
    pub rank_correlation: f64,
}

/// One of several clients; a tenant.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Tenant number of the client; its place in the list, from 0, where absent.
    pub tenant: Option<u32>,
    /// When its requests come.
    pub arrivals: Arrivals,
    /// Prompt tokens.
    pub prompt: LengthSpec,
    /// Output tokens.
    pub output: LengthSpec,
}

/// Reads a duration written as a string.
pub(crate) fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<SimTime, D::Error> {
    parse_duration(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

/// Reads an optional duration.
pub(crate) fn some_duration<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SimTime>, D::Error> {
    duration(d).map(Some)
}

impl GenerateSpec {
    /// Parses and checks a generator file; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong`.
    pub fn parse(text: &str, name: &str) -> Result<GenerateSpec, TraceFault> {
        let mut spec: GenerateSpec = parse_toml(text, name)?;
        if let Some(bench) = &mut spec.arrivals.bench {
            bench.requests = bench.requests.or(spec.requests);
        }
        spec.check().map_err(|(key, fault)| fault.in_file(name).on_line(line_of_key(text, key) as u64))?;
        Ok(spec)
    }

    /// Checks what types cannot say; the key that is at fault comes first.
    fn check(&self) -> Result<(), Fault> {
        let ends = |a: &Arrivals| a.windows.is_some() || a.bench.is_some();
        let counted = self.sessions.as_ref().is_some_and(|s| s.count.is_some());
        let clients_end = !self.clients.is_empty() && self.clients.iter().all(|c| ends(&c.arrivals));
        let clients_end = clients_end || self.servegen.is_some();
        if self.requests.is_none() && self.duration.is_none() && !(ends(&self.arrivals) || clients_end || counted) {
            return fail(
                "",
                TraceFault::new("neither `requests` nor `duration` is set").hint("at least one is needed"),
            );
        }
        if self.requests == Some(0) {
            return fail("requests", TraceFault::new("`requests` is 0").hint("it must be at least 1"));
        }
        if self.max_output_tokens == Some(0) {
            return fail(
                "max_output_tokens",
                TraceFault::new("`max_output_tokens` is 0").hint("it must be at least 1"),
            );
        }
        if let Some(joint) = self.joint
            && !(-1.0..=1.0).contains(&joint.rank_correlation)
        {
            return fail("rank_correlation", "`rank_correlation` must be from -1 to 1");
        }
        if let Some(pool) = &self.servegen {
            if !self.clients.is_empty() || !self.says_nothing_else() {
                return fail(
                    "servegen",
                    TraceFault::new("`servegen` stands instead of arrivals, lengths and what is shared")
                        .hint("give it alone"),
                );
            }
            if pool.total_per_s.is_some_and(|r| !(r.is_finite() && r > 0.0)) {
                return fail("total_per_s", "`total_per_s` must be a number above 0");
            }
            return Ok(());
        }
        if !self.clients.is_empty() {
            return self.check_clients();
        }
        self.arrivals.check()?;
        if self.sessions.as_ref().is_none_or(|s| s.by_turn.is_empty()) {
            self.prompt.length("prompt")?;
        }
        self.output.length("output")?;
        if self.prefixes.is_some() && (self.reuse.is_some() || self.sessions.is_some()) {
            return fail(
                "prefixes",
                TraceFault::new("`prefixes` does not go with `reuse` or `sessions`").hint("give one of them"),
            );
        }
        self.prefixes.as_ref().map_or(Ok(()), Prefixes::check)?;
        self.reuse.as_ref().map_or(Ok(()), Reuse::check)?;
        let Some(sessions) = &self.sessions else { return Ok(()) };
        if sessions.concurrent.is_some() && self.requests.is_none() {
            return fail("concurrent", "`concurrent` needs `requests`");
        }
        sessions.check(&self.prompt, self.reuse.is_some())
    }

    /// Whether nothing is said of requests themselves but by clients.
    fn says_nothing_else(&self) -> bool {
        self.arrivals == Arrivals::default()
            && self.prompt.is_empty()
            && self.output.is_empty()
            && self.sessions.is_none()
            && self.reuse.is_none()
            && self.prefixes.is_none()
    }

    fn check_clients(&self) -> Result<(), Fault> {
        if !self.says_nothing_else() {
            return fail("clients", "`clients` have arrivals, prompt and output of their own, and share nothing");
        }
        for client in &self.clients {
            client.arrivals.check()?;
            client.prompt.length("prompt")?;
            client.output.length("output")?;
        }
        Ok(())
    }
}

/// TOML with errors as `NAME:LINE: what`.
fn parse_toml<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, TraceFault> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        TraceFault::of(name, e.message()).on_line(line as u64)
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
