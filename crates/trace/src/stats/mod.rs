//! What a trace looks like, in one pass over its entries.
//!
//! Must hold: memory grows with distinct token counts, sessions, tenants and blocks only, each up to a bound beyond which
//! the figures are of a sample or a lump and say so; what a trace does not have is `None`, never a guess.
//! Read first: this file, then `reuse.rs`.
use baseload_core::types::{TraceFault, wrong};
mod arrivals;
mod groups;
mod marks;
mod ranks;
mod reuse;
mod tokens;

pub use arrivals::{ArrivalStats, Dispersion, RateSeries};
pub use groups::{SessionStats, TenantShare, TenantStats, TimeQuantiles};
pub use reuse::{CurvePoint, EXACT_BLOCKS, PrefixCurve};
pub use tokens::{Counts, Quantiles};

use arrivals::Arrivals;
use baseload_core::types::{Account, Clock, Entries, Entry, Status};
use groups::{Sessions, Tenants, Times};
use reuse::Reuse;
use serde::Serialize;

/// Tokens of a block unless said otherwise: vLLM's default.
pub const BLOCK_TOKENS: u32 = 16;

/// A summary of a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceStats {
    /// Requests.
    pub count: u64,
    /// When requests come; `None` where the trace does not say.
    pub arrivals: Option<ArrivalStats>,
    /// Prompt tokens.
    pub prompt_tokens: Quantiles,
    /// Output tokens, as the trace has them.
    pub output_tokens: Quantiles,
    /// Requests whose output is 0 tokens.
    pub zero_outputs: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that their clients gave up.
    pub cancelled: u64,
    /// Requests that a response cache answered.
    pub from_cache: u64,
    /// Images in prompts; they are not priced.
    pub images: u64,
    /// Tenants; `None` where the trace has none.
    pub tenants: Option<TenantStats>,
    /// Sessions; `None` where the trace has none.
    pub sessions: Option<SessionStats>,
    /// Measured time to the first token.
    pub ttft: Option<TimeQuantiles>,
    /// Measured time to the last token.
    pub e2e: Option<TimeQuantiles>,
    /// Share of prompt tokens that a cache had, as measured, over requests of which it is known; 0 to 1.
    pub measured_cached: Option<f64>,
    /// Share of prompt tokens that a prefix cache would have, by its size; `None` where no prompt names its content.
    pub prefix: Option<PrefixCurve>,
    /// What was left out, and what the source says of tenants, models and money.
    pub account: Account,
    /// What people should know of how the trace was read and of these figures. A sentence each.
    pub notes: Vec<String>,
}

impl TraceStats {
    /// Reads prepared entries (`trace::prepare`) to their end, with prefixes cut to blocks of `block_tokens`.
    ///
    /// # Errors
    /// The entries' own; that time goes back; that there are no requests, or that a block has no tokens.
    pub fn of(entries: &mut dyn Entries, block_tokens: u32) -> Result<TraceStats, TraceFault> {
        if block_tokens == 0 {
            return Err(TraceFault::new("a block is 0 tokens").hint("it must be at least 1"));
        }
        let timed = matches!(entries.clock(), Clock::Common | Clock::Zero);
        let mut all = Pass::new(block_tokens, entries.names_private_text());
        let mut entry = Entry::blank();
        while entries.next(&mut entry)? {
            if timed {
                all.arrivals.add(entry.at_ns).map_err(|e| wrong!("{}: {e}", entries.place()))?;
            }
            all.add(&entry);
        }
        if all.count == 0 {
            return Err(TraceFault::no_requests());
        }
        let clock = entries.clock();
        Ok(all.stats(timed, clock, entries.account(), entries.notes()))
    }

    /// Share of prompt tokens that a prefix cache without limit has; `None` where no prompt names its content.
    pub fn unlimited_hit_share(&self) -> Option<f64> {
        self.prefix.as_ref().map(|curve| curve.unlimited)
    }
}

/// All that is counted in the pass.
struct Pass {
    count: u64,
    arrivals: Arrivals,
    prompts: Counts,
    outputs: Counts,
    statuses: [u64; Status::ALL.len()],
    zero_outputs: u64,
    images: u64,
    tenants: Tenants,
    sessions: Sessions,
    ttft: Times,
    e2e: Times,
    /// Cached and prompt tokens of requests whose cached tokens are known.
    cached: (u64, u64),
    reuse: Reuse,
}

impl Pass {
    fn new(block_tokens: u32, named_later: bool) -> Pass {
        Pass {
            count: 0,
            arrivals: Arrivals::new(),
            prompts: Counts::default(),
            outputs: Counts::default(),
            statuses: [0; Status::ALL.len()],
            zero_outputs: 0,
            images: 0,
            tenants: Tenants::default(),
            sessions: Sessions::new(),
            ttft: Times::new(),
            e2e: Times::new(),
            cached: (0, 0),
            reuse: Reuse::new(block_tokens, named_later),
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.prompts.add(entry.prompt_tokens);
        self.outputs.add(entry.output_tokens);
        self.zero_outputs += u64::from(entry.output_tokens == 0);
        self.tenants.add(entry);
        self.sessions.add(entry);
        self.reuse.add(entry);
        let measured = &entry.measured;
        self.statuses[measured.status as usize] += 1;
        self.images += u64::from(measured.images);
        measured.ttft_ns.into_iter().for_each(|ns| self.ttft.add(ns));
        measured.e2e_ns.into_iter().for_each(|ns| self.e2e.add(ns));
        if let Some(cached) = measured.cached_tokens {
            self.cached.0 += u64::from(cached);
            self.cached.1 += u64::from(entry.prompt_tokens);
        }
    }

    fn stats(mut self, timed: bool, clock: Clock, account: Account, mut notes: Vec<String>) -> TraceStats {
        let of = |status: Status| self.statuses[status as usize];
        let (failed, cancelled, from_cache) = (of(Status::Failed), of(Status::Cancelled), of(Status::FromCache));
        let (tenants, sessions) = (self.tenants.stats(), self.sessions.stats(self.count));
        let prefix = self.reuse.curve();
        match clock {
            Clock::Session => notes.push(
                "each session counts time from its own start, so that there is no rate; prefixes are followed in the file's order"
                    .into(),
            ),
            Clock::None => notes.push("the trace has no times; prefixes are followed in the file's order".into()),
            Clock::Common | Clock::Zero => {}
        }
        if let Some(n) = tenants.as_ref().map(|t| t.not_told_apart).filter(|n| *n > 0) {
            notes.push(format!(
                "{n} requests are of tenants that came after the first million and are lumped as the rest"
            ));
        }
        if let Some(n) = sessions.as_ref().map(|s| s.sampled_one_in).filter(|n| *n > 1) {
            notes.push(format!(
                "there are too many sessions to follow all: their figures are an estimate from one in {n}, chosen by its \
                 number's hash"
            ));
        }
        if let Some(n) = prefix.as_ref().map(|p| p.sampled_one_in).filter(|n| *n > 1) {
            notes.push(format!(
                "there are more than {EXACT_BLOCKS} distinct blocks: prefix hits are an estimate from one block in {n}, chosen by its hash"
            ));
        }
        TraceStats {
            count: self.count,
            arrivals: timed.then(|| self.arrivals.stats()),
            prompt_tokens: self.prompts.quantiles(),
            output_tokens: self.outputs.quantiles(),
            zero_outputs: self.zero_outputs,
            failed,
            cancelled,
            from_cache,
            images: self.images,
            tenants,
            sessions,
            ttft: self.ttft.quantiles(),
            e2e: self.e2e.quantiles(),
            measured_cached: (self.cached.1 > 0).then(|| self.cached.0 as f64 / self.cached.1 as f64),
            prefix,
            account,
            notes,
        }
    }
}

#[cfg(test)]
mod tests;
