//! What cannot be done to a trace, whatever it holds.
use super::{ScaleRate, ThinBy, Transform, Volume};
use baseload_core::types::{Clock, SimTime, TraceFault, wrong};

/// A rate is multiplied by at most this.
const MOST_TIMES: f64 = 1_000.0;

impl Transform {
    /// Refuses what cannot be done, whatever the trace.
    ///
    /// # Errors
    /// `key: what is wrong; what would be right`.
    pub(super) fn check(&self, clock: Clock) -> Result<(), TraceFault> {
        if self.reads_times() && !matches!(clock, Clock::Common | Clock::Zero) {
            return Err(
                "the trace does not say when its requests arrive, which this needs; thin it by session, slice \
                        it by count, or change the sessions' starts instead"
                    .into(),
            );
        }
        self.check_numbers()
    }

    fn reads_times(&self) -> bool {
        match self {
            Transform::Slice(t) => t.from.is_some() || t.to.is_some(),
            Transform::Thin(t) => t.by == ThinBy::Gaps,
            Transform::Tokens(_) | Transform::Tenants(_) | Transform::Class(_) | Transform::Anonymise(_) => false,
            _ => true,
        }
    }

    fn check_numbers(&self) -> Result<(), TraceFault> {
        match self {
            Transform::Slice(t) => {
                if let (Some(from), Some(to)) = (t.from, t.to)
                    && from >= to
                {
                    return Err("to is not after from; the slice would be empty".into());
                }
                if t.take == Some(0) {
                    return Err("take is 0; it must be at least 1 request".into());
                }
                Ok(())
            }
            Transform::Thin(t) => share("share", t.share),
            Transform::Superpose(t) => match (t.copies, &t.with) {
                (0, _) => Err("copies is 0; it must be at least 1".into()),
                (1, None) => Err("neither copies nor with is given; one is needed".into()),
                (c, _) if c > 1_000 => Err(wrong!("copies is {c}; it must be at most 1,000")),
                _ => Ok(()),
            },
            Transform::ScaleRate(ScaleRate { times }) | Transform::Volume(Volume { times, .. }) => {
                above_zero("times", *times)?;
                if *times > MOST_TIMES {
                    return Err(wrong!("times is {times}; it must be at most 1,000"));
                }
                Ok(())
            }
            Transform::ScaleTime(t) => above_zero("times", t.times),
            Transform::Repeat(t) => match (t.requests, t.duration) {
                (None, None) => Err("neither requests nor duration is given; one is needed".into()),
                (Some(0), _) => Err("requests is 0; it must be at least 1".into()),
                _ => Ok(()),
            },
            Transform::Tokens(t) => {
                for (key, c) in [("prompt", &t.prompt), ("output", &t.output)] {
                    above_zero(&format!("{key}.times"), c.times)?;
                    if c.min == 0 || c.max.is_some_and(|max| max < c.min) {
                        return Err(wrong!("{key} needs 1 <= min <= max"));
                    }
                }
                Ok(())
            }
            Transform::Tenants(t) => {
                if t.shares.is_empty() || t.shares.iter().any(|s| !(s.is_finite() && *s >= 0.0)) {
                    return Err("shares needs a number of 0 or more for each tenant".into());
                }
                above_zero("the sum of shares", t.shares.iter().sum())
            }
            Transform::Class(t) => share("share", t.share),
            Transform::Spike(t) => match t.times.is_finite() && (0.0..=MOST_TIMES).contains(&t.times) {
                _ if t.duration == SimTime::ZERO => Err("duration is 0; a spike needs some time".into()),
                true => Ok(()),
                false => Err(wrong!("times is {}; it must be from 0 to 1,000", t.times)),
            },
            Transform::Diurnal(t) => match (0.0..=1.0).contains(&t.amplitude) {
                _ if t.period < SimTime::from_secs(60) => Err("period is under a minute; a day needs some time".into()),
                true => Ok(()),
                false => Err(wrong!("amplitude is {}; it must be from 0 to 1", t.amplitude)),
            },
            Transform::Anonymise(t) => match t.tokens {
                0 => Err("tokens is 0; it must be at least 1".into()),
                _ => Ok(()),
            },
        }
    }
}

fn above_zero(key: &str, x: f64) -> Result<(), TraceFault> {
    match x.is_finite() && x > 0.0 {
        true => Ok(()),
        false => Err(wrong!("{key} is {x}; it must be a number above 0")),
    }
}

fn share(key: &str, x: f64) -> Result<(), TraceFault> {
    match x > 0.0 && x <= 1.0 {
        true => Ok(()),
        false => Err(wrong!("{key} is {x}; it must be above 0 and at most 1")),
    }
}
