//! A profile of a bought API: fitted times of one model at one provider, with where they are from and how good they are.
//!
//! Imports only `types`. Must keep true: a profile that loads is a law that can be drawn from, never faster for a prompt
//! of which less was cached (`api::ProfileLaw` relies on it); a fault names file, line and key; the embedded ones load.
use super::CatalogError;
use super::nearest::hint;
use crate::types::{Fault, Segment, TraceFault, key};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// A figure at each of the quantiles that are scored.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtQuantiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// How good a law's quantiles were on calls that it was not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantileScore {
    /// Calls scored.
    pub calls: u64,
    /// Pinball loss over that of the empirical quantile of the calls it was fitted on; below 1 is better than that.
    pub pinball_ratio: AtQuantiles,
    /// Share of the calls at or below the predicted quantile; right where it is the quantile's own share.
    pub coverage: AtQuantiles,
}

/// Scores of a profile's own fit, five folds of whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiScores {
    /// The whole call.
    pub e2e: Option<QuantileScore>,
    /// Time to first token, where calls were streamed.
    pub ttft: Option<QuantileScore>,
}

/// The calls that a profile was fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiProfileData {
    /// Names of the files, for people.
    pub files: Vec<String>,
    /// SHA-256 over the hashes of the calls.
    pub hash: String,
    /// Calls with a time.
    pub calls: u64,
    /// Groups of calls that belong together (sessions), 0 where the files name none.
    pub groups: u64,
    /// Calls of which the time to first token is known.
    pub streamed: u64,
    /// Median prompt, tokens.
    pub prompt_tokens: u32,
    /// Median of the prompt tokens of a call that were sent before.
    pub cached_tokens: u32,
    /// Median output, tokens.
    pub output_tokens: u32,
}

/// What became of all calls, where the file has those that failed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiOutcomes {
    /// Calls made.
    pub calls: u64,
    /// Refused with 429: the limits of the account that measured, no property of the model.
    pub rate_limited: u64,
    /// Answered, but put aside by the benchmark because the answer was short.
    pub short: u64,
    /// Failed otherwise.
    pub failed: u64,
}

impl ApiOutcomes {
    /// Share of the calls that were let in and failed.
    pub fn error_rate(&self) -> f64 {
        self.failed as f64 / self.calls.saturating_sub(self.rate_limited).max(1) as f64
    }
}

/// The law of one duration: a typical time, linear in the call's tokens, times a random factor whose distribution depends
/// on the typical time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTime {
    /// Seconds of every call.
    pub base_s: f64,
    /// Seconds each 1,000 prompt tokens, cached or not.
    pub s_per_1000_prompt_tokens: f64,
    /// Seconds more each 1,000 prompt tokens that were not cached.
    pub s_per_1000_uncached_tokens: f64,
    /// Seconds each 1,000 output tokens.
    pub s_per_1000_output_tokens: f64,
    /// Shares of calls, from 0 to 1, at which factors are given; between them the factor's logarithm is linear.
    pub levels: Vec<f64>,
    /// Factors, by typical time; between two of these times linear in the logarithms.
    pub knot: Vec<ApiKnot>,
}

/// The factors of calls whose typical time is about this.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKnot {
    /// Typical time, seconds.
    pub typical_s: f64,
    /// A call's time over its typical time, at each of the levels.
    pub factors: Vec<f64>,
}

/// A profile, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiProfile {
    /// Version of this form: 1.
    pub version: u32,
    /// Name of the profile: `provider/model` unless given.
    pub name: String,
    /// Who sells the model.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// When the calls were made: a day, a month, a year or a range.
    pub measured: String,
    /// When the profile was fitted.
    pub date: String,
    /// Where the calls are from.
    pub source: String,
    /// What the profile does not know, in words.
    #[serde(default)]
    pub note: String,
    /// Factors of both times in each hour of the day, from midnight; none: all hours are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Vec<f64>>,
    /// Share of calls whose luck in both times is one draw; in the others the two draws are independent.
    pub together: f64,
    /// The first token comes after at most this share of the whole time.
    pub most_ttft_share: f64,
    /// Calls that the profile was fitted on.
    pub data: ApiProfileData,
    /// Outcomes, where the file has failed calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<ApiOutcomes>,
    /// Scores on held-out folds.
    #[serde(default)]
    pub scores: ApiScores,
    /// The whole call.
    pub e2e: ApiTime,
    /// Time to first token.
    pub ttft: ApiTime,
}

/// A model's name without the day of its release (`-20251101`): providers sell it under both.
pub fn undated(model: &str) -> &str {
    match model.rsplit_once('-') {
        Some((name, day)) if day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => model,
    }
}

/// The line of a key in its table, or in its element of an array of tables.
fn line_of(text: &str, key: &[Segment]) -> u64 {
    let (mut names, mut nth) = (Vec::new(), 0);
    for segment in key {
        match segment {
            Segment::Name(name) => names.push(name.as_str()),
            Segment::Index(at) => nth = *at,
        }
    }
    let key = names.pop().unwrap_or_default();
    let header = names.join(".");
    let (mut at, mut seen, mut here) = (1, 0, header.is_empty());
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
            here = name == header && {
                seen += 1;
                seen == nth + 1
            };
            at = if here { i as u64 + 1 } else { at };
        } else if here && line.split('=').next().is_some_and(|k| k.trim() == key) {
            return i as u64 + 1;
        }
    }
    at
}

/// The profiles in `data/api_profiles`.
const EMBEDDED: [&str; 21] = [
    include_str!("data/api_profiles/anthropic_claude-opus-4-5.toml"),
    include_str!("data/api_profiles/anthropic_claude-sonnet-4.toml"),
    include_str!("data/api_profiles/anyscale_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/anyscale_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/anyscale_llama-2-7b-chat.toml"),
    include_str!("data/api_profiles/bedrock_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/bedrock_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/fireworks_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/fireworks_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/fireworks_llama-2-7b-chat.toml"),
    include_str!("data/api_profiles/groq_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/lepton_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/lepton_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/lepton_llama-2-7b-chat.toml"),
    include_str!("data/api_profiles/perplexity_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/replicate_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/replicate_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/replicate_llama-2-7b-chat.toml"),
    include_str!("data/api_profiles/together_llama-2-13b-chat.toml"),
    include_str!("data/api_profiles/together_llama-2-70b-chat.toml"),
    include_str!("data/api_profiles/together_llama-2-7b-chat.toml"),
];

impl ApiTime {
    fn check(&self) -> Result<(), Fault> {
        for (key, value) in [
            ("base_s", self.base_s),
            ("s_per_1000_prompt_tokens", self.s_per_1000_prompt_tokens),
            ("s_per_1000_uncached_tokens", self.s_per_1000_uncached_tokens),
            ("s_per_1000_output_tokens", self.s_per_1000_output_tokens),
        ] {
            if !(0.0..1e5).contains(&value) {
                return Err(Fault::at(key, format!("is {value}")).hint("it must be a number of seconds from 0"));
            }
        }
        let rising = |v: &[f64]| v.windows(2).all(|w| w[0] < w[1]);
        let l = &self.levels;
        if l.len() < 2 || l[0] != 0.0 || l[l.len() - 1] != 1.0 || !rising(l) {
            return Err(Fault::at("levels", "must be shares that rise from 0 to 1"));
        }
        if self.knot.is_empty() {
            return Err(Fault::at("knot", "is missing").hint("at least one is needed"));
        }
        for (i, k) in self.knot.iter().enumerate() {
            let after = i.checked_sub(1).map_or(0.0, |i| self.knot[i].typical_s);
            if !(k.typical_s.is_finite() && k.typical_s > after) {
                let fault = Fault::at(key!["knot", i, "typical_s"], format!("is {}", k.typical_s));
                return Err(fault.hint(format!("it must be above {after}")));
            }
            let factors = |what: String| Fault::at(key!["knot", i, "factors"], what);
            if k.factors.len() != l.len() {
                return Err(factors(format!("are {}", k.factors.len())).hint(format!("there are {} levels", l.len())));
            }
            let sound = k.factors.iter().all(|f| f.is_finite() && (1e-6..1e6).contains(f));
            if !sound || k.factors.windows(2).any(|w| w[0] > w[1]) {
                return Err(factors("must be numbers above 0 that do not fall".into()));
            }
            if let Some(below) = i.checked_sub(1).map(|i| &self.knot[i]) {
                // A whole call of more tokens must not be faster with the same luck: `Latency::least` relies on it.
                let slower = |(a, b): (&f64, &f64)| b * k.typical_s >= a * below.typical_s * (1.0 - 1e-12);
                if !below.factors.iter().zip(&k.factors).all(slower) {
                    return Err(factors("make a call faster than one of the knot before".into()));
                }
            }
        }
        Ok(())
    }
}

impl ApiProfile {
    /// Reads a profile; `name` is for messages.
    ///
    /// # Errors
    /// What is no profile, or not one that can be drawn from, with its line.
    pub fn parse(text: &str, name: &str) -> Result<ApiProfile, TraceFault> {
        let profile: ApiProfile = toml::from_str(text).map_err(|e| TraceFault::toml(name, text, &e))?;
        profile.check().map_err(|fault| {
            let what = format!("{} {}", fault.key, fault.what);
            let line = line_of(text, fault.key.segments());
            TraceFault { hint: fault.hint, ..TraceFault::of(name, what).on_line(line) }
        })?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.version != 1 {
            let fault = Fault::at("version", format!("is {}", self.version));
            return Err(fault.hint("this program reads profiles of version 1"));
        }
        for (key, text) in [("name", &self.name), ("provider", &self.provider), ("model", &self.model)] {
            if text.is_empty() {
                return Err(Fault::at(key, "is empty").hint("it must say whose calls were measured"));
            }
        }
        for (key, value) in [("together", self.together), ("most_ttft_share", self.most_ttft_share)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Fault::at(key, format!("is {value}")).hint("it must lie between 0 and 1"));
            }
        }
        if let Some(hours) = &self.hours
            && (hours.len() != 24 || !hours.iter().all(|h| (1e-3..1e3).contains(h)))
        {
            return Err(Fault::at("hours", "must be 24 numbers above 0, one for each hour from midnight"));
        }
        self.e2e.check().map_err(|fault| fault.under("e2e"))?;
        self.ttft.check().map_err(|fault| fault.under("ttft"))?;
        if self.ttft.s_per_1000_output_tokens != 0.0 {
            let fault = Fault::at(key!["ttft", "s_per_1000_output_tokens"], "must be 0");
            return Err(fault.hint("a first token knows no length"));
        }
        Ok(())
    }

    /// The profiles that this program carries, parsed once.
    pub fn embedded() -> &'static [ApiProfile] {
        static ONCE: OnceLock<Vec<ApiProfile>> = OnceLock::new();
        ONCE.get_or_init(|| {
            let parse = |text: &&str| match ApiProfile::parse(text, "embedded profile") {
                Ok(profile) => profile,
                Err(e) => panic!("catalog-embedded: {e}"),
            };
            EMBEDDED.iter().map(parse).collect()
        })
    }

    /// The embedded profile `name`.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<&'static ApiProfile, CatalogError> {
        let all = ApiProfile::embedded();
        all.iter().find(|p| p.name == name).ok_or_else(|| CatalogError::Unknown {
            what: "profile of an API",
            name: name.to_owned(),
            hint: hint(name, all.iter().map(|p| p.name.as_str()), "baseload catalog latency"),
        })
    }

    /// Whether the profile is of `model` at `provider`, a day of release aside.
    pub fn is_of(&self, provider: &str, model: &str) -> bool {
        self.provider == provider && undated(&self.model) == undated(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_profiles_load_under_names_of_their_own_with_source_date_and_scores() {
        let all = ApiProfile::embedded();
        for (i, p) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|q| q.name != p.name), "profile {} stands twice", p.name);
            assert_eq!(p.name, format!("{}/{}", p.provider, p.model));
            assert!(
                !p.source.is_empty() && crate::catalog::age_days(&p.measured, "2026-11-25").is_some(),
                "{}",
                p.name
            );
            // Of 20 calls none can be left out and a law still be fitted.
            assert!(p.scores.e2e.is_some() || p.data.calls == 20, "{}", p.name);
            assert!(!p.data.files.is_empty() && p.data.hash.starts_with("sha256:"), "{}", p.name);
        }
        let says = ApiProfile::named("anthropic/claude-opus-45").unwrap_err().to_string();
        assert!(says.contains("did you mean `anthropic/claude-opus-4-5`"), "{says}");
        assert!(ApiProfile::named("anthropic/claude-opus-4-5").unwrap().is_of("anthropic", "claude-opus-4-5-20251101"));
    }

    #[test]
    fn faults_name_line_and_key() {
        let good = toml::to_string(&ApiProfile::embedded()[0]).unwrap();
        assert!(ApiProfile::parse(&good, "p").is_ok());
        let line = |words: &str| good.lines().position(|l| l.starts_with(words)).unwrap() + 1;
        let fault = |from: &str, to: &str| ApiProfile::parse(&good.replacen(from, to, 1), "p").unwrap_err().to_string();
        let at = |words: &str, rest: &str| format!("p:{}: {rest}", line(words));
        let wrong = fault("together = ", "together = 7");
        assert!(wrong.starts_with(&at("together", "together is 7")) && wrong.contains("between 0 and 1"), "{wrong}");
        let wrong = fault("base_s = ", "base_s = -");
        assert!(wrong.starts_with(&at("base_s", "e2e.base_s is -")), "{wrong}");
        let wrong = fault("levels = [0.0, ", "levels = [0.5, ");
        assert!(wrong.starts_with(&at("levels", "e2e.levels must be shares that rise")), "{wrong}");
        let wrong = fault("factors = [", "factors = [90.0, ");
        assert!(wrong.starts_with(&at("factors", "e2e.knot[0].factors are 29; there are 28 levels")), "{wrong}");
        let wrong = fault("together = ", "hours = [1.0]\ntogether = ");
        assert!(wrong.starts_with(&at("together", "hours must be 24 numbers")), "{wrong}");
        let wrong = fault("provider", "providr");
        assert!(wrong.starts_with("p:3: unknown field `providr`"), "{wrong}");
    }
}
