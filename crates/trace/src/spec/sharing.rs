//! What a generator file says of text that requests share: system prompts, reuse of earlier prompts, sessions.
use super::length::check_quantiles;
use super::{Fault, LengthSpec, fail};
use baseload_core::types::TraceFault;
use schemars::JsonSchema;
use serde::Deserialize;

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

/// Prompts that begin as earlier ones did: a tree of blocks, as in Mooncake's and Bailian's traces.
///
/// A request draws by its prompt's length how much of it an infinite prefix cache would hold: nothing, exactly the base
/// text that many prompts begin with, or a fraction; and takes it from an earlier prompt that is long enough, about
/// as many requests back as `distance` says.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reuse {
    /// What is shared ends at multiples of so many tokens.
    #[serde(default = "one")]
    pub block: u32,
    /// What is shared may also end where a prompt ends; without it only whole blocks are shared.
    #[serde(default = "yes")]
    pub tails: bool,
    /// Tokens of the text that many prompts begin with; 0: there is none.
    #[serde(default)]
    pub base_tokens: u32,
    /// Earlier requests that are remembered.
    #[serde(default = "history")]
    pub history: u32,
    /// How many requests back the shared text was last used, quantiles `[share, requests]`; evenly over `history` where absent.
    #[serde(default)]
    pub distance: Vec<(f64, u32)>,
    /// By length of the prompt, ascending; the last one takes what is longer, too.
    pub bins: Vec<ReuseBin>,
}

/// How much prompts of a certain length reuse.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReuseBin {
    /// Prompts of up to so many tokens.
    pub up_to: u32,
    /// Share of the bin's prompts that reuse nothing.
    #[serde(default)]
    pub none: f64,
    /// Share of the bin's prompts that reuse exactly the base text.
    #[serde(default)]
    pub base: f64,
    /// Fraction of the prompt that the others reuse, quantiles `[share, fraction]`.
    #[serde(default)]
    pub fraction: Vec<(f64, f64)>,
}

/// Requests that belong together: each turn's prompt repeats what came before.
///
/// Either `grow` (a turn adds the answer and new text) or `by_turn` (measured lengths by turn) says how prompts grow.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Turns of a session.
    pub turns: LengthSpec,
    /// Sessions at most; ends the trace as `requests` does.
    pub count: Option<u64>,
    /// Arrivals are those of all requests, and so many sessions wait for their next turn on average: an arrival starts a session
    /// where fewer wait, and else is the turn that is due first. Without it arrivals are those of first turns, and the others follow.
    /// Needs `requests`.
    pub concurrent: Option<f64>,
    /// Milliseconds from the start of a turn to the next, in an open loop; the answer's and the think time where absent.
    pub gap_ms: Option<LengthSpec>,
    /// Milliseconds from the end of an answer to the next turn.
    pub think_ms: Option<LengthSpec>,
    /// What an answer is taken to last in an open loop, milliseconds a token.
    #[serde(default = "answer_ms")]
    pub answer_ms_per_token: f64,
    /// New tokens of each turn after the first (a question, a tool's output).
    pub grow: Option<LengthSpec>,
    /// Chance that a turn starts over from the first turn's prompt (a context that was compacted or cleared).
    #[serde(default)]
    pub reset: f64,
    /// Chance that a turn goes back to some earlier turn of its session, each as likely, and continues from there.
    #[serde(default)]
    pub branch: f64,
    /// A turn whose prompt would be longer starts over from the first turn's prompt.
    pub most_prompt_tokens: Option<u32>,
    /// A turn's prompt repeats answers as such; without it answers become new text, as in traces that do not name them.
    #[serde(default = "yes")]
    pub repeat_answers: bool,
    /// Prompt tokens by turn, with straight lines between turns. A session keeps its rank from turn to turn. Every `count` sessions
    /// (1,024 where it is absent) are one population, the same for every seed but for its order: depths and ranks cover their laws
    /// evenly, so that a few sessions have the measured quantiles, too.
    #[serde(default)]
    pub by_turn: Vec<TurnLength>,
    /// With `by_turn`: the chance that a turn draws another rank.
    #[serde(default)]
    pub redraw: f64,
    /// With `by_turn`: the chance that a turn repeats the whole prompt before it, as far as it is long enough. The others reuse
    /// as `[reuse]` says, of their session's turn before.
    #[serde(default = "certain")]
    pub extend: f64,
    /// With `by_turn`: what turns reuse that do not extend the one before may come from other sessions.
    #[serde(default)]
    pub across: bool,
}

/// Prompt tokens of a turn.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnLength {
    /// The turn, from 1.
    pub turn: u32,
    /// Quantiles `[share, tokens]`.
    pub quantiles: Vec<(f64, u32)>,
}

fn one() -> u32 {
    1
}
fn history() -> u32 {
    4096
}
fn answer_ms() -> f64 {
    20.0
}
fn certain() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}

fn share(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

impl Prefixes {
    /// Tokens of prefix `i`.
    pub(crate) fn tokens_of(&self, i: u32) -> u32 {
        let (first, last) = (i64::from(self.tokens), i64::from(self.tokens_last.unwrap_or(self.tokens)));
        let steps = i64::from(self.count.max(2) - 1);
        (first + (last - first) * i64::from(i) / steps) as u32
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.count == 0 || self.count > 1_000_000 || self.tokens == 0 || self.tokens_last == Some(0) {
            return fail("prefixes", "`prefixes` needs a count from 1 to 1,000,000 and at least 1 token each");
        }
        if !(share(self.share) && self.zipf_s.is_finite() && self.zipf_s >= 0.0) {
            return fail("prefixes", "`prefixes` needs a share from 0 to 1 and a zipf_s of 0 or more");
        }
        Ok(())
    }
}

impl Reuse {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.block == 0 || !(1..=1_000_000).contains(&self.history) {
            return fail("reuse", "`reuse` needs a block of at least 1 token and a history of 1 to 1,000,000 requests");
        }
        if self.bins.is_empty() || self.bins.windows(2).any(|w| w[0].up_to >= w[1].up_to) {
            return fail("bins", "`bins` needs at least one, in order of `up_to`");
        }
        for bin in &self.bins {
            if !(share(bin.none) && share(bin.base) && bin.none + bin.base <= 1.0 + 1e-9) {
                return fail("bins", "`none` and `base` of a bin are shares from 0 to 1 of one whole");
            }
            if bin.base > 0.0 && self.base_tokens == 0 {
                return fail("bins", "`base` of a bin needs `base_tokens`");
            }
            if bin.fraction.is_empty() {
                if bin.none + bin.base < 1.0 - 1e-6 {
                    return fail("bins", "a bin needs `fraction` where not all reuse nothing or the base");
                }
            } else {
                check_quantiles("fraction", bin.fraction.iter().copied())?;
                if bin.fraction.iter().any(|f| !share(f.1)) {
                    return fail("fraction", "`fraction` is from 0 to 1");
                }
            }
        }
        if !self.distance.is_empty() {
            check_quantiles("distance", self.distance.iter().map(|d| (d.0, f64::from(d.1))))?;
        }
        Ok(())
    }
}

impl Sessions {
    pub(super) fn check(&self, prompt: &LengthSpec, reuse: bool) -> Result<(), Fault> {
        self.turns.length("turns")?;
        for (key, length) in [("gap_ms", &self.gap_ms), ("think_ms", &self.think_ms), ("grow", &self.grow)] {
            length.as_ref().map_or(Ok(()), |l| l.length(key).map(|_| ()))?;
        }
        if self.concurrent.is_some_and(|c| !(c.is_finite() && c >= 0.0)) {
            return fail("concurrent", "`concurrent` is a number of sessions, 0 or more");
        }
        if self.count == Some(0) {
            return fail("count", TraceFault::new("`count` is 0").hint("it must be at least 1"));
        }
        let shares = [self.reset, self.branch, self.redraw, self.extend];
        if !shares.into_iter().all(share) || self.reset + self.branch > 1.0 {
            return fail("sessions", "`reset`, `branch`, `redraw` and `extend` are chances from 0 to 1");
        }
        if !(self.answer_ms_per_token.is_finite() && (0.0..=1e6).contains(&self.answer_ms_per_token)) {
            return fail("answer_ms_per_token", "`answer_ms_per_token` is from 0 to 1,000,000");
        }
        match (&self.grow, self.by_turn.is_empty()) {
            (Some(_), true) if !prompt.is_empty() && !reuse => {}
            (None, false) if prompt.is_empty() => {}
            _ => {
                return fail(
                    "sessions",
                    "`sessions` needs `grow` with [prompt] for the first turn (and no [reuse]), or `by_turn` without [prompt]",
                );
            }
        }
        let ordered = self.by_turn.windows(2).all(|w| w[0].turn < w[1].turn);
        if !ordered || self.by_turn.first().is_some_and(|t| t.turn != 1) {
            return fail("by_turn", "`by_turn` starts with turn 1 and is in order of turns");
        }
        for turn in &self.by_turn {
            check_quantiles("by_turn", turn.quantiles.iter().map(|q| (q.0, f64::from(q.1))))?;
        }
        Ok(())
    }
}
