//! What cannot be done to a trace, whatever it holds, and what that has to do with its requests' times and numbers.
use super::{ClassRule, LengthChange, ScaleRate, Spike, Thin, ThinBy, Transform, Volume};
use baseload_core::types::check::{above_0, at_least_1, in_range, share};
use baseload_core::types::{Fault, Faults, SimTime, duration_text};

/// Copies of a trace at most.
const MOST_COPIES: u32 = 1_000;
/// Times a rate at most.
const MOST_TIMES: f64 = 1_000.0;
/// The shortest day of a daily curve.
const SHORTEST_DAY: SimTime = SimTime::from_secs(60);

impl Transform {
    /// Whether it goes by the times of requests.
    pub(super) fn needs_times(&self) -> bool {
        match self {
            Transform::Slice(t) => t.from.is_some() || t.to.is_some(),
            Transform::Thin(t) => t.by == ThinBy::Gaps,
            Transform::Tokens(_) | Transform::Tenants(_) | Transform::Class(_) | Transform::Anonymise(_) => false,
            _ => true,
        }
    }

    /// Whether some requests come out with other numbers than they came in with: copies, and those of another trace. Then a
    /// number does not lead back to the trace's row.
    pub fn renumbers(&self) -> bool {
        match self {
            Transform::Superpose(_) | Transform::Repeat(_) | Transform::Anonymise(_) => true,
            Transform::ScaleRate(ScaleRate { times })
            | Transform::Volume(Volume { times, .. })
            | Transform::Spike(Spike { times, .. }) => *times > 1.0,
            Transform::Diurnal(t) => t.amplitude > 0.0,
            Transform::Slice(_)
            | Transform::Thin(_)
            | Transform::ScaleTime(_)
            | Transform::Tokens(_)
            | Transform::Tenants(_)
            | Transform::Class(_) => false,
        }
    }

    /// What cannot be done, whatever the trace. Keys are counted from the transform's own.
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        match self {
            Transform::Slice(t) => {
                if t.from.zip(t.to).is_some_and(|(from, to)| from >= to) {
                    faults.push(
                        Fault::at("to", "it is not after from, so that the slice is empty").hint("give a later one"),
                    );
                }
                faults.take(t.take.map_or(Ok(1), |n| at_least_1("take", n)));
            }
            Transform::Thin(Thin { share, .. }) | Transform::Class(ClassRule { share, .. }) => {
                faults.take(part("share", *share));
            }
            Transform::Superpose(t) => {
                if t.copies == 1 && t.with.is_none() {
                    faults.push(Fault::new("it lays nothing over the trace").hint("give copies, with, or both"));
                }
                let holds = (1..=MOST_COPIES).contains(&t.copies);
                faults.take(in_range("copies", t.copies, holds, "it must be from 1 to 1,000"));
            }
            Transform::ScaleRate(ScaleRate { times }) | Transform::Volume(Volume { times, .. }) => {
                let holds = *times > 0.0 && *times <= MOST_TIMES;
                faults.take(in_range("times", *times, holds, "it must be a number above 0, at most 1,000"));
            }
            Transform::ScaleTime(t) => drop(faults.take(above_0("times", t.times))),
            Transform::Repeat(t) => {
                if t.requests.is_none() && t.duration.is_none() {
                    faults.push(Fault::new("nothing ends it").hint("give requests, duration, or both"));
                }
                faults.take(t.requests.map_or(Ok(1), |n| at_least_1("requests", n)));
            }
            Transform::Tokens(t) => {
                faults.extend(t.prompt.faults("prompt").into_iter().chain(t.output.faults("output")))
            }
            Transform::Tenants(t) => {
                let each = t.shares.iter().all(|s| s.is_finite() && *s >= 0.0);
                if !each || t.shares.iter().sum::<f64>() <= 0.0 {
                    let fault = Fault::at("shares", format!("it is {:?}", t.shares));
                    faults.push(fault.hint("it must be a number from 0 for each tenant, one of them above 0"));
                }
            }
            Transform::Spike(t) => {
                let holds = (0.0..=MOST_TIMES).contains(&t.times);
                faults.take(in_range("times", t.times, holds, "it must be a number from 0 to 1,000"));
                if t.duration == SimTime::ZERO {
                    faults.push(Fault::at("duration", "it is 0").hint("a spike lasts some time"));
                }
            }
            Transform::Diurnal(t) => {
                faults.take(share("amplitude", t.amplitude));
                if t.period < SHORTEST_DAY {
                    let fault = Fault::at("period", format!("it is {}", duration_text(t.period)));
                    faults.push(fault.hint("it must be at least a minute"));
                }
            }
            Transform::Anonymise(t) => drop(faults.take(at_least_1("tokens", t.tokens))),
        }
        faults
    }
}

impl LengthChange {
    /// What makes no sense of it.
    fn faults(&self, key: &'static str) -> Faults {
        let mut faults = Faults::default();
        faults.take(above_0("times", self.times));
        faults.take(at_least_1("min", self.min));
        if let Some(max) = self.max.filter(|max| *max < self.min) {
            faults
                .push(Fault::at("max", format!("it is {max}")).hint(format!("it must be at least min, {}", self.min)));
        }
        faults.under(key)
    }
}

/// A share of which something is left.
fn part(key: &'static str, x: f64) -> Result<f64, Fault> {
    in_range(key, x, x > 0.0 && x <= 1.0, "it must be above 0 and at most 1")
}
