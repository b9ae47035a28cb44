//! An account's limits, and by which rules its provider counts (spec/apis.md 4.1 and 4.4).
use super::bucket::Acceleration;
use crate::catalog::{LimitRules, OutputRule, SharedRule};
use crate::types::{SimTime, Usd};

/// How output tokens are counted against `output_tokens_per_minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputCounting {
    /// By what was generated, when the call ends: a charge after the fact, which may leave a debt.
    #[default]
    Actual,
    /// By `max_tokens` when the call starts; what was not used comes back at its end.
    MaxTokens,
}

/// How calls are counted against `tokens_per_minute` and `tokens_per_day`, which hold for input and output together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// The prompt when the call starts, its output at its end.
    #[default]
    Actual,
    /// The larger of `max_tokens` and the prompt, when the call is sent; never corrected.
    Larger,
    /// The prompt and `max_tokens`, when the call is sent; never corrected.
    Sum,
    /// The prompt and `max_tokens`, when the call is sent; at its end corrected to the uncached prompt and so many times
    /// its output (Bedrock's burn-down).
    BurnDown(u32),
}

/// When the count of a day begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Day {
    /// Never: a day's limit refills continuously.
    #[default]
    Rolling,
    /// At midnight, by a clock that shows this when the simulation starts. Tokens a day refill continuously all the same.
    Midnight(SimTime),
}

/// Rules by which limits are counted. The default is plain: no provider's in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Output tokens.
    pub output: OutputCounting,
    /// Input and output tokens together.
    pub both: Counting,
    /// Whether tokens read from the prompt cache count as input.
    pub cache_reads_count: bool,
    /// Whether refused calls count as requests.
    pub refused_count: bool,
    /// Whether a call of more tokens than the limit waits for a full bucket; it is refused whenever it comes otherwise.
    pub oversized_wait: bool,
    /// A shorter interval over which requests a minute are enforced.
    pub requests_over: Option<SimTime>,
    /// Limits of a day.
    pub day: Day,
    /// Limits of growth.
    pub acceleration: Option<Acceleration>,
}

impl Rules {
    /// The rules where no provider's are known: refused calls count, cache reads do not, output counts when it is there.
    pub const PLAIN: Rules = Rules {
        output: OutputCounting::Actual,
        both: Counting::Actual,
        cache_reads_count: false,
        refused_count: true,
        oversized_wait: true,
        requests_over: None,
        day: Day::Rolling,
        acceleration: None,
    };
    /// The rules of a row of the catalogue for calls of `model`.
    pub fn of(row: &LimitRules, model: &str) -> Rules {
        let acceleration = row.acceleration.as_ref().map(|a| Acceleration {
            times_ppm: (a.times * 1e6).round() as u64,
            over_minutes: a.over_minutes,
            above: a.above_tokens_per_minute,
        });
        Rules {
            output: match row.output {
                OutputRule::Actual => OutputCounting::Actual,
                OutputRule::MaxTokens => OutputCounting::MaxTokens,
            },
            both: match row.both {
                SharedRule::Actual => Counting::Actual,
                SharedRule::Larger => Counting::Larger,
                SharedRule::Sum => Counting::Sum,
                SharedRule::BurnDown => Counting::BurnDown(row.burn_down(model)),
            },
            cache_reads_count: row.cache_reads_count,
            refused_count: row.refused_count,
            oversized_wait: row.oversized_wait,
            requests_over: None,
            day: if row.day_begins_at_midnight { Day::Midnight(SimTime::ZERO) } else { Day::Rolling },
            acceleration,
        }
    }
}

#[cfg(test)]
impl Rules {
    /// Names of the embedded rows.
    pub const PRESETS: [&str; 6] = ["plain", "openai", "anthropic", "gemini", "cerebras", "bedrock"];

    /// The rules of the embedded row of a provider.
    pub fn of_provider(name: &str) -> Rules {
        let row = crate::catalog::Catalog::embedded().limit_rules(name).unwrap();
        Rules::of(row, "")
    }
}

/// Utilisation of provisioned units (Azure's PTU): a leaky bucket of input-equivalent tokens. A call is let in while no more
/// than a minute's worth is in it (100 %), whatever the call adds; it adds the prompt and the weighted `max_tokens`, which
/// its end corrects to the uncached prompt and the weighted output. That the bucket holds a minute's worth is an assumption:
/// the documents give its rate only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utilization {
    /// Input-equivalent tokens a minute of all units together.
    pub tokens_per_minute: u64,
    /// What an output token counts, thousandths of an input token.
    pub output_milli: u64,
}

/// An account's limits; `None` = unlimited. All above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests a day.
    pub requests_per_day: Option<u64>,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Input and output tokens a minute, together.
    pub tokens_per_minute: Option<u64>,
    /// Input and output tokens a day, together.
    pub tokens_per_day: Option<u64>,
    /// What the account may spend in the whole simulation.
    pub spend_cap: Option<Usd>,
    /// Limit of provisioned units, by how far they are used.
    pub utilization: Option<Utilization>,
    /// Rules by which calls are counted against the limits.
    pub rules: Rules,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits {
        requests_per_minute: None,
        requests_per_day: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        tokens_per_minute: None,
        tokens_per_day: None,
        spend_cap: None,
        utilization: None,
        rules: Rules::PLAIN,
    };

    /// Whether no call is ever refused for them.
    pub fn is_unlimited(&self) -> bool {
        *self == Limits { rules: self.rules, ..Limits::NONE }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::NONE
    }
}

/// For a while an account has only a part of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Squeeze {
    /// When the account begins to have less.
    pub at: SimTime,
    /// When the account has all of its limits again.
    pub until: SimTime,
    /// Share of its limits that the account has, millionths; shares of several at a time multiply.
    pub times_ppm: u64,
}
