//! What an account has left of its limits.
//!
//! The order of a call: [`Limiter::admit`] looks at everything and reserves what is counted when a call is sent;
//! [`Limiter::started`] charges the prompt once the prompt cache was looked up; [`Limiter::settle`] charges or gives back
//! what only the end tells, [`Limiter::failed`] what a call that got no answer does not use. The cache is looked up after
//! admission, for what is refused must not touch it: so a prompt is let in by its whole length, and what it reads from the
//! cache comes back at the same instant where cache reads do not count.
use super::bucket::{DAY_NS, DayCount, MINUTE_NS, Ramp, TokenBucket};
use super::rules::{Counting, Day, Limits, OutputCounting, Squeeze};
use crate::api::CacheUse;
use crate::types::{FailureCause, Job, SimTime, Usd};

const MINUTE: SimTime = SimTime(MINUTE_NS);
const DAY: SimTime = SimTime(DAY_NS);

/// What a call that was let in holds until it ends, tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserved {
    output: u64,
    both: u64,
    /// Thousandths of an input-equivalent token.
    utilization: u64,
}

#[cfg(test)]
impl Reserved {
    pub(super) fn output(&self) -> u64 {
        self.output
    }
    pub(super) fn both(&self) -> u64 {
        self.both
    }
}

/// What a call used, tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Prompt tokens.
    pub prompt: u32,
    /// Prompt tokens read from the prompt cache; part of `prompt`.
    pub cached: u32,
    /// Output tokens.
    pub output: u32,
}

/// See the module head. Every endpoint that names the account draws on it.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    requests: Option<TokenBucket>,
    requests_of_day: Option<TokenBucket>,
    requests_since_midnight: Option<DayCount>,
    input: Option<TokenBucket>,
    output: Option<TokenBucket>,
    both: Option<TokenBucket>,
    both_of_day: Option<TokenBucket>,
    utilization: Option<TokenBucket>,
    ramp: Option<Ramp>,
    spent: Usd,
    squeezes: Vec<Squeeze>,
    /// When a squeeze begins or ends next.
    turns_at: SimTime,
}

/// Cost of a call against each of the limits that are looked at when it is sent.
struct Asked {
    prompt: u64,
    output: u64,
    both: u64,
}

impl Limiter {
    /// A limiter that has all of its limits left.
    pub fn new(limits: &Limits, squeezes: &[Squeeze]) -> Limiter {
        let minute = |limit: Option<u64>| limit.map(|n| TokenBucket::new(n, MINUTE));
        let day = |limit: Option<u64>| limit.map(|n| TokenBucket::new(n, DAY));
        let held = limits.rules.requests_over.unwrap_or(MINUTE);
        let (rolling, midnight) = match limits.rules.day {
            Day::Rolling => (limits.requests_per_day, None),
            Day::Midnight(offset) => (None, limits.requests_per_day.map(|n| DayCount::new(n, offset))),
        };
        let units = limits.utilization.map(|u| u.tokens_per_minute.saturating_mul(1_000));
        let mut limiter = Limiter {
            limits: *limits,
            requests: limits.requests_per_minute.map(|n| TokenBucket::holding(n, MINUTE, held)),
            requests_of_day: day(rolling),
            requests_since_midnight: midnight,
            input: minute(limits.input_tokens_per_minute),
            output: minute(limits.output_tokens_per_minute),
            both: minute(limits.tokens_per_minute),
            both_of_day: day(limits.tokens_per_day),
            utilization: minute(units),
            ramp: limits.rules.acceleration.map(Ramp::new),
            spent: Usd::ZERO,
            squeezes: squeezes.to_vec(),
            turns_at: if squeezes.is_empty() { SimTime::NEVER } else { SimTime::ZERO },
        };
        limiter.turn(SimTime::ZERO);
        limiter
    }

    /// Squeezes that begin or end until `now`, in order.
    fn turn(&mut self, now: SimTime) {
        while self.turns_at <= now {
            let at = self.turns_at;
            let ends = self.squeezes.iter().flat_map(|s| [s.at, s.until]);
            self.turns_at = ends.filter(|t| *t > at).min().unwrap_or(SimTime::NEVER);
            let on = self.squeezes.iter().filter(|s| s.at <= at && at < s.until);
            let share = on.fold(1_000_000u128, |ppm, s| ppm * u128::from(s.times_ppm) / 1_000_000);
            let of = |limit: u64| ((u128::from(limit) * share / 1_000_000) as u64).max(1);
            let l = self.limits;
            for (bucket, limit) in [
                (&mut self.requests, l.requests_per_minute),
                (&mut self.requests_of_day, l.requests_per_day),
                (&mut self.input, l.input_tokens_per_minute),
                (&mut self.output, l.output_tokens_per_minute),
                (&mut self.both, l.tokens_per_minute),
                (&mut self.both_of_day, l.tokens_per_day),
            ] {
                if let (Some(bucket), Some(limit)) = (bucket, limit) {
                    bucket.set_rate(of(limit), at);
                }
            }
            if let (Some(count), Some(limit)) = (&mut self.requests_since_midnight, l.requests_per_day) {
                count.set_limit(of(limit));
            }
        }
    }

    fn asked(&self, job: &Job) -> Asked {
        let (prompt, most) = (u64::from(job.prompt_tokens), u64::from(job.max_output_tokens));
        let rules = &self.limits.rules;
        Asked {
            prompt,
            // By what was generated, a call may start when there is a token left.
            output: if rules.output == OutputCounting::MaxTokens { most } else { 1 },
            both: match rules.both {
                Counting::Actual => prompt,
                Counting::Larger => prompt.max(most),
                Counting::Sum | Counting::BurnDown(_) => prompt + most,
            },
        }
    }

    /// The longest of the waits for buckets; `NEVER` for a call that they never let in.
    fn wait(&mut self, asked: &Asked, now: SimTime) -> SimTime {
        let oversized_wait = self.limits.rules.oversized_wait;
        let mut longest = self.requests_since_midnight.as_mut().map_or(SimTime::ZERO, |count| count.wait(now));
        for (bucket, cost) in [
            (&mut self.requests, 1),
            (&mut self.requests_of_day, 1),
            (&mut self.input, asked.prompt),
            (&mut self.output, asked.output),
            (&mut self.both, asked.both),
            (&mut self.both_of_day, asked.both),
            (&mut self.utilization, 0),
        ] {
            if let Some(bucket) = bucket {
                let never = !oversized_wait && !bucket.fits(cost);
                longest = longest.max(if never { SimTime::NEVER } else { bucket.wait(cost, now) });
            }
        }
        longest
    }

    /// Lets a call in, or not; a refusal may count as a request.
    ///
    /// # Errors
    /// The refusal.
    pub fn admit(&mut self, job: &Job, now: SimTime) -> Result<Reserved, FailureCause> {
        self.turn(now);
        if self.limits.spend_cap.is_some_and(|cap| self.spent >= cap) {
            return Err(FailureCause::QuotaExhausted);
        }
        let asked = self.asked(job);
        let rules = self.limits.rules;
        let wait = self.wait(&asked, now);
        let slow = self.ramp.as_mut().map_or(SimTime::ZERO, |ramp| ramp.wait(asked.prompt, now));
        if wait > SimTime::ZERO || slow > SimTime::ZERO {
            if rules.refused_count {
                // It takes of the limit what is there; no debt, or a client that hammers would never get in again.
                [&mut self.requests, &mut self.requests_of_day].into_iter().flatten().for_each(|b| b.drain(1, now));
                if let Some(count) = &mut self.requests_since_midnight
                    && count.wait(now) == SimTime::ZERO
                {
                    count.charge();
                }
            }
            let after = self.wait(&asked, now);
            return Err(match wait {
                SimTime::ZERO => FailureCause::SlowDown { retry_after: after.max(slow) },
                // No time helps, so none is named.
                SimTime::NEVER => FailureCause::RateLimited { retry_after: SimTime::ZERO },
                _ => FailureCause::RateLimited { retry_after: after.max(slow) },
            });
        }
        if let Some(count) = &mut self.requests_since_midnight {
            count.charge();
        }
        if let Some(ramp) = &mut self.ramp {
            ramp.charge(asked.prompt);
        }
        let mut reserved = Reserved::default();
        if rules.output == OutputCounting::MaxTokens {
            reserved.output = asked.output;
        }
        if rules.both != Counting::Actual {
            reserved.both = asked.both;
        }
        if let Some(u) = self.limits.utilization {
            reserved.utilization = asked.prompt * 1_000 + u64::from(job.max_output_tokens) * u.output_milli;
        }
        for (bucket, cost) in [
            (&mut self.requests, 1),
            (&mut self.requests_of_day, 1),
            (&mut self.output, reserved.output),
            (&mut self.both, reserved.both),
            (&mut self.both_of_day, reserved.both),
            (&mut self.utilization, reserved.utilization),
        ] {
            if let Some(bucket) = bucket {
                bucket.charge(cost, now);
            }
        }
        Ok(reserved)
    }

    /// A call that was let in has been looked up in the prompt cache and will be answered.
    pub fn started(&mut self, job: &Job, cache: CacheUse, now: SimTime) {
        let rules = &self.limits.rules;
        if let Some(input) = &mut self.input {
            input.charge(job.prompt_tokens.into(), now);
            if !rules.cache_reads_count {
                input.give_back(cache.read.into(), now);
            }
        }
        if rules.both == Counting::Actual {
            for bucket in [&mut self.both, &mut self.both_of_day].into_iter().flatten() {
                bucket.charge(job.prompt_tokens.into(), now);
                if !rules.cache_reads_count {
                    bucket.give_back(cache.read.into(), now);
                }
            }
        }
    }

    /// A call ended, or was hung up on: what it used, and what it was billed.
    pub fn settle(&mut self, reserved: Reserved, used: Used, billed: Usd, now: SimTime) {
        self.turn(now);
        self.spent += billed;
        let (fresh, output) = (u64::from(used.prompt - used.cached), u64::from(used.output));
        if let Some(bucket) = &mut self.output {
            correct(bucket, reserved.output, output, now);
        }
        let both = match self.limits.rules.both {
            Counting::Actual => output,
            Counting::Larger | Counting::Sum => reserved.both,
            Counting::BurnDown(times) => fresh + output * u64::from(times),
        };
        for bucket in [&mut self.both, &mut self.both_of_day].into_iter().flatten() {
            correct(bucket, reserved.both, both, now);
        }
        if let (Some(bucket), Some(u)) = (&mut self.utilization, self.limits.utilization) {
            correct(bucket, reserved.utilization, fresh * 1_000 + output * u.output_milli, now);
        }
    }

    /// A call that was let in got no answer: what it reserved comes back, but where it is counted once and for all.
    pub fn failed(&mut self, reserved: Reserved, now: SimTime) {
        self.turn(now);
        let kept = matches!(self.limits.rules.both, Counting::Larger | Counting::Sum);
        let both = if kept { 0 } else { reserved.both };
        for (bucket, cost) in [
            (&mut self.output, reserved.output),
            (&mut self.both, both),
            (&mut self.both_of_day, both),
            (&mut self.utilization, reserved.utilization),
        ] {
            if let Some(bucket) = bucket {
                bucket.give_back(cost, now);
            }
        }
    }
}

/// A reservation becomes what was used.
fn correct(bucket: &mut TokenBucket, reserved: u64, used: u64, now: SimTime) {
    if used >= reserved {
        bucket.charge(used - reserved, now);
    } else {
        bucket.give_back(reserved - used, now);
    }
}
