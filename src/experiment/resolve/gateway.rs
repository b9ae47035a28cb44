//! The gateway around a policy, resolved: names of places looked up, rules checked.
use super::super::format::{
    AdmissionSection, BackoffSection, BreakerSection, CascadeSection, CauseName, CooldownSection, DurationText,
    FallbackSection, GatewaySection, HedgeSection, ImpatienceSection, JitterSection, RetryAfterSection, RetrySection,
    SaturationSection,
};
use super::policy::Kept;
use super::*;
use baseload_core::gateway::{
    Admission, Backoff, Breaker, Budget, Cascade, Causes, Cooldown, Detector, Fallbacks, Hedge, Impatience, Jitter,
    Queue, Retry, RetryAfter,
};
use baseload_core::types::{EndpointId, Place, PlaceId, PoolId};
use indexmap::IndexMap;

/// What the gateway of a policy does, resolved.
#[derive(Clone)]
pub(super) struct ResolvedGateway {
    pub resilience: Resilience,
    pub scrape: (SimTime, SimTime),
    pub assumed_prefill_tokens_per_s: u64,
    pub kv_event_delay: SimTime,
}

/// Places that a policy has, by name.
pub(super) struct Places<'a> {
    /// All of the experiment.
    pub offers: &'a Offers<'a>,
    /// Pools and endpoints that the policy keeps.
    pub kept: &'a Kept,
}

impl Places<'_> {
    /// The place that `name` at `key` means, among all of the experiment.
    fn anywhere(&self, key: impl Into<KeyPath>, name: &str) -> Result<Place, Fault> {
        let pool = self.offers.pools.iter().position(|(p, _)| *p == name).map(|p| PoolId::nth(p).into());
        let endpoint = || self.offers.endpoints.iter().position(|e| *e == name).map(|e| EndpointId::nth(e).into());
        pool.or_else(endpoint).ok_or_else(|| Fault::unknown(key, "pool or endpoint", name, self.offers.places()))
    }
    /// The place as the policy numbers its own; none where the policy has not that place.
    fn of_policy(&self, place: Place) -> Option<Place> {
        match place {
            Place::Pool(p) => {
                self.kept.pools.iter().any(|(pool, replicas)| *pool == p.index() && *replicas > 0).then_some(place)
            }
            Place::Endpoint(e) => {
                self.kept.endpoints.iter().position(|b| *b == e.index()).map(|e| EndpointId::nth(e).into())
            }
            Place::Replica(_) => None,
        }
    }
}

fn ppm(key: impl Into<KeyPath>, value: f64) -> Result<u32, Fault> {
    Ok((share(key, value)? * 1e6).round() as u32)
}

/// The only one of several choices that is given.
fn only<T>(choices: &[(&str, bool)], chosen: Option<T>) -> Result<T, Fault> {
    let given = choices.iter().filter(|(_, on)| *on).count();
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let fault = || Fault::new(format!("{given} are given")).hint(format!("give one of {}", names.join(", ")));
    chosen.filter(|_| given == 1).ok_or_else(fault)
}

/// What is given, resolved: its faults stand under `key`.
fn some<S, T, E: Into<Faults>>(
    key: &str,
    section: Option<&S>,
    made: impl FnOnce(&S) -> Result<T, E>,
) -> Result<Option<T>, Faults> {
    section.map(|s| made(s).map_err(|e| e.into().under(key))).transpose()
}

impl Resolver<'_> {
    /// The gateway of a policy. Where that has none of its own it is the experiment's, and only what names the policy's places
    /// can differ: its faults are said once.
    pub(super) fn gateway(&self, p: &PolicySection, places: &Places<'_>) -> Result<ResolvedGateway, Faults> {
        let cascade = some("cascade", p.own.cascade.as_ref(), |c| cascade(c, places));
        let (own, g) = match &p.own.gateway {
            Some(own) => (true, own),
            None => (false, &self.file.gateway),
        };
        let mut faults = Faults::default();
        let cascade = faults.or_default(cascade);
        match resolved(g, places) {
            Ok(mut gateway) => {
                gateway.resilience.cascade = cascade;
                faults.finish(gateway)
            }
            Err(wrong) => {
                // `all` says what is wrong with the experiment's own.
                if own {
                    faults.extend(wrong.under("gateway"));
                }
                Err(faults)
            }
        }
    }

    /// The experiment's own gateway, before all of its places.
    pub(super) fn own_gateway(&self, offers: &Offers<'_>) -> Result<ResolvedGateway, Faults> {
        let kept = Kept {
            pools: offers.pools.iter().enumerate().map(|(i, (_, replicas))| (i, *replicas)).collect(),
            endpoints: (0..offers.endpoints.len()).collect(),
        };
        resolved(&self.file.gateway, &Places { offers, kept: &kept })
    }
}

/// A gateway of its section. Keys of faults are counted from that.
fn resolved(g: &GatewaySection, places: &Places<'_>) -> Result<ResolvedGateway, Faults> {
    let mut faults = Faults::default();
    let scrape = faults.or_default(scrape(&g.scrape).map_err(|faults| faults.under("scrape")));
    let mut concurrency = Vec::new();
    for (name, most) in g.concurrency.iter().flatten() {
        let key = key!["concurrency", name];
        let most = faults.or_default(at_least_1(key.clone(), *most));
        let place = faults.take(places.anywhere(key, name)).and_then(|place| places.of_policy(place));
        concurrency.extend(place.map(|place| (place, most)));
    }
    let limited = g.concurrency.as_ref().is_some_and(|c| !c.is_empty());
    let mut time = |key: &str, text: &Option<DurationText>| {
        faults.or_default(text.as_ref().map(|text| longer_than_0(key, text)).transpose())
    };
    let (try_timeout, first_token_timeout) =
        (time("try_timeout", &g.try_timeout), time("first_token_timeout", &g.first_token_timeout));
    let resilience = Resilience {
        timeout: faults.or(SimTime::ZERO, longer_than_0("timeout", &g.timeout)),
        try_timeout,
        first_token_timeout,
        retry: faults.or_default(retry(g.retry.as_ref(), g.retries).map_err(|faults| faults.under("retry"))),
        fallbacks: faults
            .or_default(some("fallback", g.fallback.as_ref(), |f| fallbacks(f, places)))
            .unwrap_or_default(),
        hedge: faults.or_default(some("hedge", g.hedge.as_ref(), hedge)),
        breaker: faults.or_default(some("breaker", g.breaker.as_ref(), breaker)),
        cooldown: faults.or_default(some("cooldown", g.cooldown.as_ref(), cooldown)),
        admission: faults.or_default(some("admission", g.admission.as_ref(), |a| admission(a, limited))),
        concurrency,
        impatience: faults.or_default(some("impatience", g.impatience.as_ref(), impatience)),
        cascade: None,
    };
    let kv_event_delay = faults.or(SimTime::ZERO, duration("kv_event_delay", &g.kv_event_delay));
    let assumed_prefill_tokens_per_s = g.assumed_prefill_tokens_per_s;
    faults.finish(ResolvedGateway { resilience, scrape, assumed_prefill_tokens_per_s, kv_event_delay })
}

/// The retries that a gateway section means, with its preset's number.
pub(super) fn retries_of(g: &GatewaySection) -> u32 {
    let preset = g.retry.as_ref().map(|r| r.preset).unwrap_or_default();
    g.retries.unwrap_or_else(|| Retry::preset(preset.name()).unwrap_or_default().retries)
}

fn retry(section: Option<&RetrySection>, retries: Option<u32>) -> Result<Retry, Faults> {
    let none = RetrySection::default();
    let r = section.unwrap_or(&none);
    let preset = Retry::preset(r.preset.name()).unwrap_or_default();
    let on = r.on.as_ref().map(|names| Causes {
        timeout: names.contains(&CauseName::Timeout),
        rate_limited: names.contains(&CauseName::RateLimited),
        server_error: names.contains(&CauseName::ServerError),
        overloaded: names.contains(&CauseName::Overloaded),
        queue_full: names.contains(&CauseName::QueueFull),
        replica_lost: names.contains(&CauseName::ReplicaLost),
    });
    let mut faults = Faults::default();
    let budget = some("budget", r.budget.as_ref(), |b| {
        let mut faults = Faults::default();
        let share_ppm = faults.or_default(ppm("share", b.share)).into();
        let burst = faults.or_default(at_least_1("burst", b.burst)).into();
        faults.finish(Budget { share_ppm, burst })
    });
    let retry = Retry {
        retries: retries.unwrap_or(preset.retries),
        on: on.unwrap_or(preset.on),
        backoff: faults
            .or_default(some("backoff", r.backoff.as_ref(), |b| backoff(b, preset.backoff)))
            .unwrap_or(preset.backoff),
        retry_after: faults
            .or_default(some("retry_after", r.retry_after.as_ref(), retry_after))
            .unwrap_or(preset.retry_after),
        at_once_elsewhere: r.at_once_elsewhere.unwrap_or(preset.at_once_elsewhere),
        budget: faults.or_default(budget),
    };
    faults.finish(retry)
}

fn backoff(b: &BackoffSection, preset: Backoff) -> Result<Backoff, Faults> {
    let mut faults = Faults::default();
    let mut time = |key: &str, text: &Option<DurationText>, preset| {
        text.as_ref().map_or(preset, |text| faults.or(preset, duration(key, text)))
    };
    let base = time("base", &b.base, preset.base);
    let max = time("max", &b.max, preset.max.max(base));
    let factor = b.factor.unwrap_or(preset.factor);
    let factor = faults.or_default(in_range("factor", factor, (1.0..=1e6).contains(&factor), "it must be at least 1"));
    let jitter = faults.or_default(some("jitter", b.jitter.as_ref(), jitter)).unwrap_or(preset.jitter);
    faults.finish(Backoff { base, factor, max, jitter })
}

fn jitter(j: &JitterSection) -> Result<Jitter, Fault> {
    let given = [("less", j.less.is_some()), ("around", j.around.is_some()), ("plus", j.plus.is_some())];
    let chosen = match (j.less, j.around, &j.plus) {
        (Some(x), ..) => Some(Jitter::Less(share("less", x)?)),
        (_, Some(x), _) => Some(Jitter::Around(share("around", x)?)),
        (.., Some(t)) => Some(Jitter::Plus(duration("plus", t)?)),
        _ => None,
    };
    only(&given, chosen)
}

fn retry_after(a: &RetryAfterSection) -> Result<RetryAfter, Fault> {
    let time = |key: &str, text: &Option<DurationText>| text.as_ref().map(|t| duration(key, t)).transpose();
    let up_to = time("up_to", &a.up_to)?;
    let otherwise = time("up_to_else_backoff", &a.up_to_else_backoff)?;
    let in_all = time("up_to_in_all", &a.up_to_in_all)?;
    let ignored = a.ignored == Some(true);
    let given = [
        ("up_to", up_to.is_some()),
        ("up_to_else_backoff", otherwise.is_some()),
        ("up_to_in_all", in_all.is_some()),
        ("ignored = true", ignored),
    ];
    let chosen = up_to.map(RetryAfter::UpTo).or(otherwise.map(RetryAfter::UpToElseBackoff));
    let chosen = chosen.or(in_all.map(RetryAfter::UpToInAll)).or(ignored.then_some(RetryAfter::Ignored));
    only(&given, chosen)
}

/// Chains of places: of each the places to go on to.
type Chains = Vec<(Place, Vec<Place>)>;

fn fallbacks(f: &FallbackSection, places: &Places<'_>) -> Result<Fallbacks, Faults> {
    let mut faults = Faults::default();
    let mut read = |kind: &str, chains: &IndexMap<String, Vec<String>>| {
        let mut out = Chains::new();
        for (of, to) in chains {
            let key = key![kind, of];
            if to.is_empty() {
                let fault = Fault::at(key.clone(), "it is empty");
                faults.push(fault.hint("name the places to go on to, or leave it out"));
            }
            let owner = faults.take(places.anywhere(key.clone(), of));
            let to = to.iter().enumerate();
            let to: Vec<Place> =
                to.filter_map(|(i, name)| faults.take(places.anywhere(key.clone().then(i), name))).collect();
            if owner.is_some_and(|owner| to.contains(&owner)) {
                let fault = Fault::at(key, format!("`{of}` falls back to itself"));
                faults.push(fault.hint("leave it out; retries try a place again"));
            }
            out.extend(owner.map(|owner| (owner, to)));
        }
        out
    };
    let (chains, too_long) = (read("chains", &f.chains), read("context_window", &f.context_window));
    let max_hops = faults.or_default(at_least_1("max_hops", f.max_hops));
    let all = Fallbacks { chains, too_long, max_hops };
    let kept = |chains: Chains| {
        let chain = |(of, to): (Place, Vec<Place>)| {
            let to: Vec<Place> = to.into_iter().filter_map(|s| places.of_policy(s)).collect();
            places.of_policy(of).filter(|_| !to.is_empty()).map(|of| (of, to))
        };
        chains.into_iter().filter_map(chain).collect()
    };
    faults.finish(Fallbacks { chains: kept(all.chains), too_long: kept(all.too_long), max_hops })
}

fn hedge(h: &HedgeSection) -> Result<Hedge, Faults> {
    if h.after.is_none() && h.quantile.is_none() {
        let fault = Fault::new("it says not when").hint("give after, such as \"2s\", or quantile, such as 0.95");
        return Err(fault.into());
    }
    let mut faults = Faults::default();
    let after = faults.or_default(h.after.as_ref().map(|t| longer_than_0("after", t)).transpose());
    let quantile_ppm = faults.or_default(h.quantile.map(|q| ppm("quantile", q)).transpose());
    faults.finish(Hedge { after, quantile_ppm })
}

fn breaker(b: &BreakerSection) -> Result<Breaker, Faults> {
    let mut faults = Faults::default();
    let rate = b
        .failed_share
        .map(|s| (faults.or_default(ppm("failed_share", s)), faults.or_default(at_least_1("at_least", b.at_least))));
    let breaker = Breaker {
        failures: faults.or_default(at_least_1("failures", b.failures)),
        window: faults.or(SimTime::ZERO, longer_than_0("window", &b.window)),
        rate,
        open: faults.or(SimTime::ZERO, longer_than_0("open", &b.open)),
        successes: faults.or_default(at_least_1("successes", b.successes)),
        refuse_if_all_open: b.refuse_if_all_open,
    };
    faults.finish(breaker)
}

fn cooldown(c: &CooldownSection) -> Result<Cooldown, Faults> {
    let mut faults = Faults::default();
    let cooldown = Cooldown {
        time: faults.or(SimTime::ZERO, longer_than_0("time", &c.time)),
        failed_ppm: faults.or_default(ppm("failed_share", c.failed_share)),
        at_least: faults.or_default(at_least_1("at_least", c.at_least)),
    };
    faults.finish(cooldown)
}

/// `limited`: places have limits of their own that tell when they are full.
fn admission(a: &AdmissionSection, limited: bool) -> Result<Admission, Faults> {
    let mut faults = Faults::default();
    let detector: Result<_, Faults> = match (&a.saturation, a.max_in_flight) {
        (Some(_), Some(_)) => Err(Fault::new("both saturation and max_in_flight").hint("give one").into()),
        (Some(s), None) => saturation(s).map(Some).map_err(|faults| faults.under("saturation")),
        (None, Some(most)) => Ok(faults.take(at_least_1("max_in_flight", most)).map(Detector::InFlight)),
        (None, None) if !limited => {
            let fault = Fault::new("nothing tells when the fleet is full");
            Err(fault.hint("give saturation or max_in_flight").into())
        }
        (None, None) => Ok(None),
    };
    let detector = faults.or_default(detector);
    let queue = some("queue", a.queue.as_ref(), |q| {
        let mut faults = Faults::default();
        let capacity = faults.or_default(at_least_1("capacity", q.capacity));
        let ttl = faults.or(SimTime::ZERO, longer_than_0("ttl", &q.ttl));
        faults.finish(Queue { capacity, ttl })
    });
    let queue = faults.or_default(queue);
    faults.finish(Admission { detector, shed_above: a.shed_above, queue })
}

fn saturation(s: &SaturationSection) -> Result<Detector, Faults> {
    let mut faults = Faults::default();
    let kv_use = above_0("kv_use", s.kv_use).and_then(|x| ppm("kv_use", x));
    let stale = s.stale_after.as_ref().map(|t| duration("stale_after", t)).transpose();
    let detector = Detector::Utilization {
        waiting: faults.or_default(at_least_1("waiting", s.waiting)),
        kv_use_ppm: faults.or_default(kv_use),
        stale_after: faults.or_default(stale).unwrap_or(SimTime::NEVER),
    };
    faults.finish(detector)
}

fn impatience(i: &ImpatienceSection) -> Result<Impatience, Faults> {
    let mut faults = Faults::default();
    let holds = (0.0..=10.0).contains(&i.sigma);
    let impatience = Impatience {
        share: faults.or_default(share("share", i.share)),
        median: faults.or(SimTime::ZERO, longer_than_0("patience", &i.patience)),
        sigma: faults.or_default(in_range("sigma", i.sigma, holds, "it must lie between 0 and 10")),
    };
    faults.finish(impatience)
}

fn cascade(c: &CascadeSection, places: &Places<'_>) -> Result<Cascade, Faults> {
    let mut faults = Faults::default();
    if c.stages.len() < 2 || c.accept.len() + 1 != c.stages.len() {
        let what = format!("{} stages and {} numbers in accept", c.stages.len(), c.accept.len());
        faults.push(Fault::new(what).hint("give at least two stages, and a number for each but the last"));
    }
    let mut stages = Vec::new();
    for (i, name) in c.stages.iter().enumerate() {
        let at = key!["stages", i];
        let place = places.anywhere(at.clone(), name).and_then(|place| {
            let fault = || {
                let hint = "keep replicas of the pool, or name the endpoint in endpoints";
                Fault::at(at, format!("the policy has no `{name}`")).hint(hint)
            };
            places.of_policy(place).ok_or_else(fault)
        });
        stages.extend(faults.take(place));
    }
    let accept = c.accept.iter().enumerate();
    let accept = accept.map(|(i, a)| faults.or_default(share(key!["accept", i], *a))).collect();
    faults.finish(Cascade { stages, accept })
}
