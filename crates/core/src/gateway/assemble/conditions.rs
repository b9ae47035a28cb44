//! Conditions of their tables. Keys of faults are counted from the condition's table.
use super::super::condition::{Condition, Daily, Overflow, Saturation};
use super::super::parts::{BudgetSection, DailySection, FullSection, SaturationSection};
use crate::types::check::{above_0, at_least_1, duration, in_range, longer_than_0, share};
use crate::types::{Fault, Faults, SimTime, Usd};

pub(super) fn milli(x: f64) -> u64 {
    (x * 1e3).round() as u64
}
pub(super) fn ppm(x: f64) -> u64 {
    (x * 1e6).round() as u64
}

pub(super) fn overflow(o: &FullSection) -> Result<Condition, Faults> {
    if o.waiting_per_replica.is_none() && o.kv_use.is_none() && o.predicted_ttft.is_none() {
        let fault = Fault::new("it has no threshold").hint("give waiting_per_replica, kv_use or predicted_ttft");
        return Err(fault.into());
    }
    let mut faults = Faults::default();
    let waiting = o.waiting_per_replica.map(|x| above_0("waiting_per_replica", x)).transpose();
    let predicted = o.predicted_ttft.as_ref().map(|t| longer_than_0("predicted_ttft", t)).transpose();
    let made = Overflow {
        waiting_per_replica_milli: faults.or_default(waiting).map(milli),
        kv_use_ppm: faults.or_default(o.kv_use.map(|x| share("kv_use", x)).transpose()).map(ppm),
        predicted_ttft: faults.or_default(predicted),
        hysteresis_milli: milli(faults.or_default(share("hysteresis", o.hysteresis))),
    };
    faults.finish(Condition::Overflow(made))
}

pub(super) fn daily(d: &DailySection) -> Result<Condition, Faults> {
    let day = longer_than_0("day", &d.day)?;
    let mut faults = Faults::default();
    let mut clock = |key: &str, text: &str| {
        let time = duration(key, text).and_then(|time| {
            in_range(key, text, time <= day, &format!("it must lie within the day of {}", d.day)).map(|_| time)
        });
        faults.or(SimTime::ZERO, time)
    };
    let (from, to, offset) = (clock("from", &d.from), clock("to", &d.to), clock("offset", &d.offset));
    faults.finish(())?;
    if from == to {
        let what = format!("from and to are both {}", d.from);
        return Err(Fault::new(what).hint("the part of the day is empty").into());
    }
    Ok(Condition::Daily(Daily { from, to, day, offset }))
}

pub(super) fn budget(b: &BudgetSection) -> Result<Condition, Faults> {
    let mut faults = Faults::default();
    let money = above_0("usd_per_day", b.usd_per_day)
        .and_then(|usd| Usd::from_number(usd).map_err(|fault| fault.under("usd_per_day")));
    let money = faults.or(Usd::ZERO, money);
    let day = faults.or(SimTime::ZERO, longer_than_0("day", &b.day));
    faults.finish(Condition::Budget { per_day_pico: money.0, day })
}

pub(super) fn saturation(s: &SaturationSection) -> Result<Condition, Faults> {
    let mut faults = Faults::default();
    let kv_use = share("kv_use", s.kv_use).and_then(|x| above_0("kv_use", x));
    let made = Saturation {
        queue: faults.or_default(at_least_1("waiting", s.waiting)),
        kv_use_ppm: ppm(faults.or_default(kv_use)) as u32,
        stale_after: faults.or(SimTime::ZERO, duration("stale_after", &s.stale_after)),
    };
    faults.finish(Condition::Saturated(made))
}
