//! Incidents at a provider: for a while a share of calls fails and the others are slower, at all of its endpoints at once.
//!
//! Incidents are written down, or drawn as a renewal process: incident `k` of a provider is a pure function of (seed,
//! replicate, `incident/PROVIDER`, k), so that all its endpoints and all policies meet the same ones. The sequence begins
//! [`WARM_UP`] before the simulation, so that a simulation does not begin just after an incident.
//! Must keep true: a call's fate is decided when it is sent, by the luck of (seed, request, try); what is under way when an
//! incident begins goes on. Incidents only ever fail calls or slow them down, so bounds on latency hold.
use super::DrawKey;
use crate::random::{dist, stream};
use crate::types::{FailureCause, NS_PER_S, SimTime};
use std::sync::Arc;

/// How long before the simulation a drawn sequence begins.
pub const WARM_UP: SimTime = SimTime::from_secs(200 * 86_400);

/// A time in which calls fail or are slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When the incident begins.
    pub at: SimTime,
    /// When the incident is over.
    pub until: SimTime,
    /// Share of calls that fail, 0 to 1. All of them make a full outage.
    pub fails: f64,
    /// By how much calls are slower that do not fail, at least 1.
    pub slower: f64,
}

/// How often incidents come and how long they last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// From the end of an incident to the next, median, hours; log-normal.
    pub gap_median_h: f64,
    /// Sigma of its logarithm.
    pub gap_sigma: f64,
    /// How long one lasts, median, minutes; log-normal.
    pub duration_median_min: f64,
    /// Sigma of its logarithm.
    pub duration_sigma: f64,
    /// Share of incidents that users notice, 0 to 1.
    pub noticed: f64,
    /// Share of noticed incidents that are full outages, 0 to 1.
    pub full: f64,
    /// Share of calls that fail in a partial one.
    pub partial_fails: f64,
    /// By how much the others are slower then.
    pub partial_slower: f64,
}

/// The incidents of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Outages {
    /// The provider; its name is part of the names of the random streams.
    pub provider: String,
    /// Written down, in any order; several at a time add up.
    pub written: Vec<Incident>,
    /// Drawn beside them.
    pub drawn: Option<Drawn>,
}

/// Drawn incidents in order of time.
#[derive(Debug, Clone)]
pub struct Sequence {
    rule: Drawn,
    stream: String,
    luck: (u64, u32),
    k: u64,
    /// End of the last incident, nanoseconds after the sequence's own beginning.
    ended: u128,
}

impl Sequence {
    /// A sequence of incidents from its beginning.
    pub fn new(provider: &str, rule: Drawn, seed: u64, replicate: u32) -> Sequence {
        Sequence { rule, stream: format!("incident/{provider}"), luck: (seed, replicate), k: 0, ended: 0 }
    }
}

impl Iterator for Sequence {
    type Item = Incident;
    /// The next incident that users notice and that has not ended when the simulation begins; never dry.
    fn next(&mut self) -> Option<Incident> {
        let ns = |seconds: f64| (seconds * NS_PER_S as f64).round() as u128;
        loop {
            let mut draws = stream(self.luck.0, self.luck.1, &self.stream, self.k, 0);
            self.k += 1;
            let r = &self.rule;
            let gap = ns(dist::log_normal(&mut draws, r.gap_median_h, r.gap_sigma) * 3_600.0).max(1);
            let lasts = ns(dist::log_normal(&mut draws, r.duration_median_min, r.duration_sigma) * 60.0).max(1);
            let (noticed, full) = (dist::uniform01(&mut draws) < r.noticed, dist::uniform01(&mut draws) < r.full);
            let begins = self.ended + gap;
            self.ended = begins + lasts;
            let clock = |at: u128| SimTime(u64::try_from(at.saturating_sub(WARM_UP.0.into())).unwrap_or(u64::MAX));
            let (at, until) = (clock(begins), clock(self.ended));
            if at == SimTime::NEVER || noticed && until > SimTime::ZERO {
                let (fails, slower) = if full { (1.0, 1.0) } else { (r.partial_fails, r.partial_slower) };
                return Some(Incident { at, until, fails, slower });
            }
        }
    }
}

/// What an endpoint meets of its provider's incidents.
#[derive(Debug)]
pub struct Weather {
    outages: Arc<Outages>,
    drawn: Option<(Sequence, Incident)>,
    /// Names the draws of an endpoint's calls.
    stream: String,
    /// Nothing of what holds now changes before.
    until: SimTime,
    fails: f64,
    slower: f64,
}

/// What becomes of a call that would have been answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// The call is answered, its times multiplied by this.
    Slower(f64),
    /// The call fails.
    Fails(FailureCause),
}

impl Weather {
    /// At the endpoint of this name.
    pub fn new(outages: &Arc<Outages>, endpoint: &str, seed: u64, replicate: u32) -> Weather {
        let drawn = outages.drawn.and_then(|rule| {
            let mut sequence = Sequence::new(&outages.provider, rule, seed, replicate);
            let first = sequence.next()?;
            Some((sequence, first))
        });
        let stream = format!("endpoint/{endpoint}/incident");
        Weather { outages: outages.clone(), drawn, stream, until: SimTime::ZERO, fails: 0.0, slower: 1.0 }
    }

    /// Looks at what holds at `now`, which never runs backwards.
    fn look(&mut self, now: SimTime) {
        if let Some((sequence, incident)) = &mut self.drawn {
            while incident.until <= now {
                let Some(next) = sequence.next() else { break };
                *incident = next;
            }
        }
        let all = self.outages.written.iter().chain(self.drawn.as_ref().map(|(_, incident)| incident));
        let (mut stays, mut passes, mut slower) = (u64::MAX, 1.0, 1.0);
        for i in all {
            stays = stays.min([i.at, i.until].into_iter().filter(|t| *t > now).map(|t| t.0).min().unwrap_or(u64::MAX));
            if i.at <= now && now < i.until {
                (passes, slower) = (passes * (1.0 - i.fails), slower * i.slower.max(1.0));
            }
        }
        (self.until, self.fails, self.slower) = (SimTime(stays), 1.0 - passes, slower);
    }

    /// The fate of a call that is sent now. In a partial outage calls fail as overload (529, 503), in a full one as 5xx.
    pub fn fate(&mut self, luck: DrawKey, now: SimTime) -> Fate {
        if now >= self.until {
            self.look(now);
        }
        if self.fails >= 1.0 {
            return Fate::Fails(FailureCause::ServerError);
        }
        if self.fails > 0.0 {
            let mut draws = stream(luck.seed, luck.replicate, &self.stream, luck.request, luck.try_number);
            if dist::uniform01(&mut draws) < self.fails {
                return Fate::Fails(FailureCause::Overloaded);
            }
        }
        Fate::Slower(self.slower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenAI's API by spec/apis.md 4.5: any-impact availability 99.578 %, weighted 99.821 %.
    const RULE: Drawn = Drawn {
        gap_median_h: 48.0,
        gap_sigma: 1.4277,
        duration_median_min: 74.0,
        duration_sigma: 1.0494,
        noticed: 0.268,
        full: 0.1775,
        partial_fails: 0.3,
        partial_slower: 2.0,
    };

    fn luck(request: u64) -> DrawKey {
        DrawKey { seed: 1, replicate: 0, request, try_number: 0 }
    }

    #[test]
    fn all_endpoints_of_a_provider_meet_the_same_incidents_and_another_provider_others() {
        let first =
            |provider: &str, seed| -> Vec<Incident> { Sequence::new(provider, RULE, seed, 0).take(20).collect() };
        assert_eq!(first("openai", 1), first("openai", 1));
        assert_ne!(first("openai", 1), first("anthropic", 1));
        assert_ne!(first("openai", 1), first("openai", 2));
        let order = first("openai", 1);
        assert!(order.windows(2).all(|w| w[0].at < w[0].until && w[0].until < w[1].at));
        // Whenever an endpoint is asked first, it meets what the sequence says.
        let outages = Arc::new(Outages { provider: "openai".into(), written: Vec::new(), drawn: Some(RULE) });
        let mut late = Weather::new(&outages, "x", 1, 0);
        let mut early = Weather::new(&outages, "x", 1, 0);
        for (i, incident) in order.iter().enumerate() {
            early.look(SimTime(incident.at.0.saturating_sub(1)));
            let inside = SimTime(incident.at.0 + (incident.until.0 - incident.at.0) / 2);
            early.look(inside);
            assert!((early.fails - incident.fails).abs() < 1e-9 && early.slower == incident.slower);
            if i >= 10 {
                late.look(inside);
                assert_eq!((late.fails, late.slower), (early.fails, early.slower));
            }
            early.look(incident.until);
            assert_eq!((early.fails, early.slower), (0.0, 1.0));
        }
    }

    #[test]
    fn written_incidents_begin_and_end_on_the_instant_and_add_up() {
        let s = SimTime::from_secs;
        let one = |at, until, fails, slower| Incident { at: s(at), until: s(until), fails, slower };
        let written = vec![one(10, 20, 1.0, 1.0), one(30, 50, 0.5, 3.0), one(40, 60, 0.5, 2.0)];
        let outages = Arc::new(Outages { provider: "p".into(), written, drawn: None });
        let mut w = Weather::new(&outages, "e", 1, 0);
        let mut at = |ns: u64| {
            let fates: Vec<Fate> = (0..4_000).map(|i| w.fate(luck(i), SimTime(ns))).collect();
            let failed = fates.iter().filter(|f| matches!(f, Fate::Fails(_))).count();
            let slower = fates.iter().find_map(|f| if let Fate::Slower(by) = f { Some(*by) } else { None });
            let full = fates.contains(&Fate::Fails(FailureCause::ServerError));
            (failed as f64 / 4_000.0, slower, full)
        };
        assert_eq!(at(9_999_999_999), (0.0, Some(1.0), false));
        assert_eq!(at(10_000_000_000), (1.0, None, true));
        assert_eq!(at(20_000_000_000), (0.0, Some(1.0), false));
        let (failed, slower, full) = at(35_000_000_000);
        assert!((failed - 0.5).abs() < 0.03 && slower == Some(3.0) && !full, "{failed}");
        let (failed, slower, _) = at(45_000_000_000);
        assert!((failed - 0.75).abs() < 0.03 && slower == Some(6.0), "{failed}");
        assert_eq!(at(60_000_000_000), (0.0, Some(1.0), false));
    }
}
