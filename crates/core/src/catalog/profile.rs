//! A profile: fitted step times of one model on one kind of machine, with where they are from.
//!
//! Imports only `types`. Must keep true: every number says its unit; a profile lists the rows that it was fitted on by
//! hash, so that nobody scores it on them unawares; the embedded ones load (a test does).
use super::CatalogError;
use super::nearest::hint;
use crate::types::TraceFault;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// Non-negative seconds for each physical feature of an engine step; at most 12 numbers, the frontend's included.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepCoefficients {
    /// Seconds of every step.
    pub step_s: f64,
    /// Seconds of each of the first eight decoding sequences, beside `sequence_s`.
    pub first_sequences_s: f64,
    /// Seconds of each decoding sequence.
    pub sequence_s: f64,
    /// Seconds of each 1,000 tokens of context of the decoding sequences.
    pub context_s_per_1000: f64,
    /// Seconds of each prefill chunk.
    pub prefill_s: f64,
    /// Seconds of each prefill token.
    pub prefill_token_s: f64,
    /// Seconds of each million pairs of a prefill token and a token it attends to.
    pub prefill_pair_s_per_million: f64,
}

/// What lies between a client and its engine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frontend {
    /// From the client's send until the engine has the request.
    pub arrival_s: f64,
    /// Seconds added to `arrival_s` for each 1,000 prompt tokens: the HTTP body, tokenisation.
    pub arrival_s_per_1000_prompt_tokens: f64,
    /// From the engine's token until the client has it.
    pub token_s: f64,
}

/// The engine that was measured. What is absent is what the program takes without it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MeasuredEngine {
    /// Name of the engine in an experiment; empty for the usual engine.
    pub name: String,
    /// Version of the engine.
    pub version: String,
    /// KV blocks, the null block included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpu_blocks: Option<u32>,
    /// Longest sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u32>,
    /// Keys of the engine's own section in an experiment; they are checked where a replica is made of them.
    #[serde(flatten)]
    pub settings: toml::Table,
}

impl MeasuredEngine {
    /// Itself, with `value` at a key of the engine's own section where there is one.
    #[must_use]
    pub fn with(mut self, key: &str, value: Option<impl Into<toml::Value>>) -> MeasuredEngine {
        self.settings.extend(value.map(|value| (key.to_owned(), value.into())));
        self
    }

    /// Itself, with what `other` says instead where it says something.
    #[must_use]
    pub fn overlaid(&self, other: &MeasuredEngine) -> MeasuredEngine {
        let text = |a: &String, b: &String| if b.is_empty() { a.clone() } else { b.clone() };
        let mut settings = self.settings.clone();
        settings.extend(other.settings.clone());
        MeasuredEngine {
            name: text(&self.name, &other.name),
            version: text(&self.version, &other.version),
            num_gpu_blocks: other.num_gpu_blocks.or(self.num_gpu_blocks),
            max_model_len: other.max_model_len.or(self.max_model_len),
            settings,
        }
    }
}

/// The data that a profile was fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileData {
    /// Kind, as `baseload validate --kind` names it.
    pub kind: String,
    /// Names of the files, for people.
    pub files: Vec<String>,
    /// SHA-256 over the hashes of the rows.
    pub hash: String,
    /// Hashes of the rows (whole runs, where a file is one run).
    pub rows: Vec<String>,
}

/// How far off the fit was on a part that it did not see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBack {
    /// The part.
    pub group: String,
    /// The metric.
    pub metric: String,
    /// Predictions compared.
    pub n: u64,
    /// Median of the absolute error as a share of what was measured.
    pub median_ape: f64,
    /// 90th percentile of the absolute error as a share of what was measured.
    pub p90_ape: f64,
}

/// A profile, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of this form: 1.
    pub version: u32,
    /// Name of the profile.
    pub name: String,
    /// When the profile was fitted.
    pub date: String,
    /// How, in words.
    pub source: String,
    /// The machine: an id of the catalogue, or a name such as `cpu`.
    pub gpu: String,
    /// The model: an id of the catalogue, or how the data name it.
    pub model: String,
    /// Type of weights and activations.
    pub dtype: String,
    /// GPUs that share each layer.
    pub tensor_parallel: u32,
    /// The engine.
    pub engine: MeasuredEngine,
    /// Step time.
    pub step: StepCoefficients,
    /// Frontend, where the data were taken outside the engine. Never part of a step.
    pub frontend: Option<Frontend>,
    /// Measurements that the profile was fitted on.
    pub data: ProfileData,
    /// Errors on held-back parts.
    #[serde(default)]
    pub held_back: Vec<HeldBack>,
}

const EMBEDDED: [&str; 2] =
    [include_str!("data/profiles/cpu-vllm-0.32.toml"), include_str!("data/profiles/cpu-vllm-0.32-serve.toml")];

impl Profile {
    /// Reads a profile; `name` is for messages.
    ///
    /// # Errors
    /// What is no profile, with its line; a coefficient that is negative or no number.
    pub fn parse(text: &str, name: &str) -> Result<Profile, TraceFault> {
        let profile: Profile = toml::from_str(text).map_err(|e| TraceFault::toml(name, text, &e))?;
        let wrong = |what: String, hint: &str| Err(TraceFault::of(name, what).hint(hint));
        if profile.version != 1 {
            let what = format!("version is {}", profile.version);
            return wrong(what, "this program reads profiles of version 1");
        }
        let (s, f) = (profile.step, profile.frontend.unwrap_or_default());
        for (key, value) in [
            ("step.step_s", s.step_s),
            ("step.first_sequences_s", s.first_sequences_s),
            ("step.sequence_s", s.sequence_s),
            ("step.context_s_per_1000", s.context_s_per_1000),
            ("step.prefill_s", s.prefill_s),
            ("step.prefill_token_s", s.prefill_token_s),
            ("step.prefill_pair_s_per_million", s.prefill_pair_s_per_million),
            ("frontend.arrival_s", f.arrival_s),
            ("frontend.arrival_s_per_1000_prompt_tokens", f.arrival_s_per_1000_prompt_tokens),
            ("frontend.token_s", f.token_s),
        ] {
            if !(value.is_finite() && (0.0..1000.0).contains(&value)) {
                return wrong(format!("{key} is {value}"), "it must be a number from 0, in seconds");
            }
        }
        if s.step_s + s.first_sequences_s + s.sequence_s + s.prefill_token_s <= 0.0 {
            return wrong("[step] has no number above 0".into(), "give one; a step would take no time");
        }
        Ok(profile)
    }

    /// The profiles that this program carries, parsed once.
    pub fn embedded() -> &'static [Profile] {
        static ONCE: OnceLock<Vec<Profile>> = OnceLock::new();
        ONCE.get_or_init(|| {
            let parse = |text: &&str| match Profile::parse(text, "embedded profile") {
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
    pub fn named(name: &str) -> Result<&'static Profile, CatalogError> {
        let all = Profile::embedded();
        all.iter().find(|p| p.name == name).ok_or_else(|| CatalogError::Unknown {
            what: "profile",
            name: name.to_owned(),
            hint: hint(name, all.iter().map(|p| p.name.as_str()), "docs/validation.md"),
        })
    }

    /// Model, GPU and formats that the profile is for, in words.
    pub fn of_what(&self) -> String {
        let gpus = if self.tensor_parallel > 1 { format!("{} x ", self.tensor_parallel) } else { String::new() };
        format!("{} in {} on {gpus}{}", self.model, self.dtype, self.gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_profiles_load_under_names_of_their_own() {
        let all = Profile::embedded();
        for (i, p) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|q| q.name != p.name), "profile {} stands twice", p.name);
            assert!(!p.data.rows.is_empty() && !p.held_back.is_empty(), "{}: no rows, or no error", p.name);
        }
        assert!(Profile::named("no-such").unwrap_err().to_string().contains("unknown profile `no-such`"));
    }
}
