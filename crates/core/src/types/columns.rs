//! How the columns of a file that has no known format are to be read, and what class names a reader accepts.
use super::{Rest, TraceFault};
use serde::Deserialize;
use std::sync::{Arc, Mutex};

/// What a fault of a column map adds.
const HINT: &str = "a column map names columns, see traces/README.md";

/// Characters of a token, where nobody says otherwise: the rule of thumb that readers of text have, too.
const CHARS_PER_TOKEN: f64 = 4.0;

/// What the numbers of a column of times count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TimeUnit {
    /// Seconds, decimal.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds, decimal.
    #[serde(rename = "ms")]
    Millis,
    /// Microseconds, decimal.
    #[serde(rename = "us")]
    Micros,
    /// Nanoseconds, whole.
    #[serde(rename = "ns")]
    Nanos,
    /// ISO 8601; UTC where no zone is written. For arrivals.
    #[serde(rename = "iso8601")]
    Iso8601,
}

impl TimeUnit {
    /// Decimal digits of a nanosecond in it.
    pub fn digits(self) -> usize {
        match self {
            TimeUnit::Seconds => 9,
            TimeUnit::Millis => 6,
            TimeUnit::Micros => 3,
            TimeUnit::Nanos | TimeUnit::Iso8601 => 0,
        }
    }
}

/// A column of times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeColumn {
    /// Name of the column in the file.
    pub column: String,
    /// What it counts.
    pub unit: TimeUnit,
}

/// Names of a file's columns (or JSON keys). A request's tokens are needed, or what stands for them; without arrivals the
/// trace has none.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMap {
    /// Arrival.
    pub arrival: Option<TimeColumn>,
    /// Prompt tokens; or `prompt_chars`.
    pub prompt_tokens: Option<String>,
    /// Output tokens; or `answer_tokens`.
    pub output_tokens: Option<String>,
    /// Characters of the prompt, where its tokens are not known.
    pub prompt_chars: Option<String>,
    /// Characters of a token, for `prompt_chars`: 4 unless given. Tokens are rounded up.
    pub chars_per_token: Option<f64>,
    /// Output tokens of every request, where none are known.
    pub answer_tokens: Option<u32>,
    /// Tenant: any text, numbered from 1 in order of first appearance.
    pub tenant: Option<String>,
    /// Session: any text, numbered in order of first appearance.
    pub session: Option<String>,
    /// Class: a name.
    pub class: Option<String>,
    /// The client's limit, tokens.
    pub max_output_tokens: Option<String>,
    /// Priority, lower is more urgent.
    pub priority: Option<String>,
    /// Prompt tokens that a cache had.
    pub cached_tokens: Option<String>,
    /// Images in the prompt.
    pub images: Option<String>,
    /// How it ended: completed, failed, cancelled, from_cache.
    pub status: Option<String>,
    /// From what it waited for to its start.
    pub think: Option<TimeColumn>,
    /// Measured time to the first token.
    pub ttft: Option<TimeColumn>,
    /// Measured time to the last token.
    pub e2e: Option<TimeColumn>,
}

impl ColumnMap {
    /// Reads a map from TOML; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    pub fn parse(text: &str, name: &str) -> Result<ColumnMap, TraceFault> {
        let map: ColumnMap = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            TraceFault::of(name, e.message()).on_line(line as u64).hint(HINT)
        })?;
        let fault = |what: &str| Err(TraceFault::of(name, what).on_line(1).hint(HINT));
        if map.prompt_tokens.is_some() == map.prompt_chars.is_some() {
            return fault("give exactly one of prompt_tokens and prompt_chars");
        }
        if map.output_tokens.is_some() == map.answer_tokens.is_some() {
            return fault("give exactly one of output_tokens and answer_tokens");
        }
        match map.chars_per_token {
            Some(_) if map.prompt_chars.is_none() => return fault("chars_per_token goes with prompt_chars"),
            Some(n) if !(n.is_finite() && n > 0.0) => {
                return fault(&format!("chars_per_token is {n}; it must be above 0"));
            }
            _ => {}
        }
        for (key, time) in [("think", &map.think), ("ttft", &map.ttft), ("e2e", &map.e2e)] {
            if time.as_ref().is_some_and(|t| t.unit == TimeUnit::Iso8601) {
                let fault = TraceFault::of(name, format!("{key} has the unit iso8601")).on_line(1);
                return Err(fault.hint("a duration must be in s, ms, us or ns"));
            }
        }
        Ok(map)
    }

    /// Tokens that so many characters are taken to be.
    pub fn tokens_of(&self, chars: u32) -> u32 {
        libm::ceil(f64::from(chars) / self.chars_a_token()).clamp(1.0, f64::from(u32::MAX)) as u32
    }

    fn chars_a_token(&self) -> f64 {
        self.chars_per_token.unwrap_or(CHARS_PER_TOKEN)
    }

    /// What tokens are taken to be that the file does not have, in words.
    pub fn notes(&self) -> Vec<String> {
        let prompt = self
            .prompt_chars
            .as_ref()
            .map(|column| format!("prompt tokens are an assumption: {column} / {}, rounded up", self.chars_a_token()));
        let output = self.answer_tokens.map(|n| format!("output tokens are an assumption: {n} each"));
        prompt.into_iter().chain(output).collect()
    }

    /// The columns it names, each with its key here; times are at the end.
    pub fn columns(&self) -> Vec<(&'static str, &str)> {
        let plain = [
            ("prompt_tokens", self.prompt_tokens.as_ref()),
            ("prompt_chars", self.prompt_chars.as_ref()),
            ("output_tokens", self.output_tokens.as_ref()),
            ("tenant", self.tenant.as_ref()),
            ("session", self.session.as_ref()),
            ("class", self.class.as_ref()),
            ("max_output_tokens", self.max_output_tokens.as_ref()),
            ("priority", self.priority.as_ref()),
            ("cached_tokens", self.cached_tokens.as_ref()),
            ("images", self.images.as_ref()),
            ("status", self.status.as_ref()),
        ];
        let times = [("arrival", &self.arrival), ("think", &self.think), ("ttft", &self.ttft), ("e2e", &self.e2e)];
        let times = times.into_iter().map(|(key, time)| (key, time.as_ref().map(|t| &t.column)));
        plain.into_iter().chain(times).filter_map(|(key, column)| Some((key, column?.as_str()))).collect()
    }
}

/// Class names that a reader accepts, and their numbers.
#[derive(Debug, Clone)]
pub enum Classes {
    /// The experiment's, in order; others are refused.
    Known(Arc<[String]>),
    /// All, numbered in order of first appearance; whoever holds a clone sees them.
    Any(Arc<Mutex<Vec<String>>>),
}

impl Classes {
    /// The experiment's.
    pub fn known(names: &[String]) -> Classes {
        Classes::Known(names.into())
    }
    /// Any class names, numbered as they come.
    pub fn any() -> Classes {
        Classes::Any(Arc::default())
    }
    /// Names so far.
    pub fn names(&self) -> Vec<String> {
        match self {
            Classes::Known(names) => names.to_vec(),
            Classes::Any(names) => names.lock().map(|n| n.clone()).unwrap_or_default(),
        }
    }
    /// The number of a name; an empty one is none.
    ///
    /// # Errors
    /// A name that is not known.
    pub fn number(&self, name: &str) -> Result<u16, TraceFault> {
        if name.is_empty() {
            return Ok(u16::MAX);
        }
        let position = |names: &[String]| names.iter().position(|c| c == name).map(|i| i as u16);
        match self {
            Classes::Known(names) => position(names).ok_or_else(|| {
                let known = if names.is_empty() { "the experiment has none".into() } else { names.join(", ") };
                // It is no fault of the row: to leave the class out would be another experiment.
                let fault = TraceFault::new(format!("class `{name}` is not in the experiment"));
                TraceFault { rest: Rest::Lost, ..fault.hint(format!("known classes: {known}")) }
            }),
            Classes::Any(names) => {
                let failed = |_| TraceFault::new("a reader of class names has failed").hint("start again");
                let mut names = names.lock().map_err(failed)?;
                if let Some(number) = position(&names) {
                    return Ok(number);
                }
                if names.len() >= usize::from(u16::MAX) {
                    let fault = TraceFault::new(format!("class `{name}` is one too many"));
                    return Err(fault.hint(format!("at most {} fit", u16::MAX)));
                }
                names.push(name.into());
                Ok((names.len() - 1) as u16)
            }
        }
    }
}
