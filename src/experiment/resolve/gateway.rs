//! The gateway around a policy, resolved: names of places looked up, rules checked.
use super::super::format::{
    AdmissionSection, BackoffSection, BreakerSection, CascadeSection, CauseName, CooldownSection, FallbackSection,
    GatewaySection, HedgeSection, ImpatienceSection, JitterSection, RetryAfterSection, RetrySection,
};
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
    pub pools: &'a [ResolvedPool],
    pub endpoints: &'a [ResolvedEndpoint],
    /// Replicas kept of each pool.
    pub kept: &'a [(usize, u32)],
    /// Endpoints bought from, indices into `endpoints`.
    pub bought: &'a [usize],
}

impl Places<'_> {
    /// A place among all of the experiment.
    fn anywhere(&self, key: &str, name: &str) -> Result<Place, String> {
        let pool = self.pools.iter().position(|p| p.name == name).map(|p| PoolId::nth(p).into());
        let endpoint = || self.endpoints.iter().position(|e| e.name == name).map(|e| EndpointId::nth(e).into());
        pool.or_else(endpoint).ok_or_else(|| {
            let names =
                self.pools.iter().map(|p| p.name.as_str()).chain(self.endpoints.iter().map(|e| e.name.as_str()));
            format!("{key}: {}", unknown("pool or endpoint", name, names, "[pool.NAME] or [endpoint.NAME]"))
        })
    }
    /// The same place among those that the policy has, if it has it.
    fn of_policy(&self, place: Place) -> Option<Place> {
        match place {
            Place::Pool(p) => {
                self.kept.iter().any(|(pool, replicas)| *pool == p.index() && *replicas > 0).then_some(place)
            }
            Place::Endpoint(e) => self.bought.iter().position(|b| *b == e.index()).map(|e| EndpointId::nth(e).into()),
            Place::Replica(_) => None,
        }
    }
    fn name(&self, place: Place) -> &str {
        match place {
            Place::Pool(p) => &self.pools[p.index()].name,
            Place::Endpoint(e) => &self.endpoints[e.index()].name,
            Place::Replica(_) => "",
        }
    }
}

fn longer(key: &str, text: &str) -> Result<SimTime, String> {
    match duration(key, text)? {
        SimTime::ZERO => Err(format!("{key} is 0; it must be longer")),
        time => Ok(time),
    }
}
fn ppm(key: &str, value: f64) -> Result<u32, String> {
    Ok((share(key, value)? * 1e6).round() as u32)
}
/// The only one of several choices that is given.
fn only<T>(key: &str, choices: &[(&str, bool)], chosen: Option<T>) -> Result<T, String> {
    let given = choices.iter().filter(|(_, on)| *on).count();
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    chosen.filter(|_| given == 1).ok_or_else(|| format!("{key}: {given} are given; give one of {}", names.join(", ")))
}

impl Resolver<'_> {
    /// The gateway of policy `name`.
    pub(super) fn gateway(
        &self,
        name: &str,
        p: &PolicySection,
        places: &Places<'_>,
    ) -> Result<ResolvedGateway, String> {
        let (key, g) = match &p.own.gateway {
            Some(own) => (format!("policy.{name}.gateway"), own),
            None => ("gateway".to_string(), &self.file.gateway),
        };
        let at = |k: &str| format!("{key}.{k}");
        let interval = longer(&at("scrape.interval"), &g.scrape.interval)?;
        let some = |k: &str, text: &Option<DurationText>| text.as_ref().map(|t| longer(&at(k), t)).transpose();
        let mut concurrency = Vec::new();
        for (place, most) in g.concurrency.iter().flatten() {
            let key = at(&format!("concurrency.{place}"));
            let place = places.anywhere(&key, place)?;
            let most = at_least_one(&key, *most)?;
            concurrency.extend(places.of_policy(place).map(|place| (place, most)));
        }
        let resilience = Resilience {
            timeout: longer(&at("timeout"), &g.timeout)?,
            try_timeout: some("try_timeout", &g.try_timeout)?,
            first_token_timeout: some("first_token_timeout", &g.first_token_timeout)?,
            retry: retry(&at("retry"), g.retry.as_ref(), g.retries)?,
            fallbacks: g
                .fallback
                .as_ref()
                .map_or_else(|| Ok(Fallbacks::default()), |f| fallbacks(&at("fallback"), f, places))?,
            hedge: g.hedge.as_ref().map(|h| hedge(&at("hedge"), h)).transpose()?,
            breaker: g.breaker.as_ref().map(|b| breaker(&at("breaker"), b)).transpose()?,
            cooldown: g.cooldown.as_ref().map(|c| cooldown(&at("cooldown"), c)).transpose()?,
            admission: g
                .admission
                .as_ref()
                .map(|a| admission(&at("admission"), a, !concurrency.is_empty()))
                .transpose()?,
            concurrency,
            impatience: g.impatience.as_ref().map(|i| impatience(&at("impatience"), i)).transpose()?,
            cascade: p
                .own
                .cascade
                .as_ref()
                .map(|c| cascade(&format!("policy.{name}.cascade"), c, places))
                .transpose()?,
        };
        Ok(ResolvedGateway {
            resilience,
            scrape: (interval, duration(&at("scrape.delay"), &g.scrape.delay)?),
            assumed_prefill_tokens_per_s: g.assumed_prefill_tokens_per_s,
            kv_event_delay: duration(&at("kv_event_delay"), &g.kv_event_delay)?,
        })
    }
}

/// The retries that a gateway section means, with its preset's number.
pub(super) fn retries_of(g: &GatewaySection) -> u32 {
    let preset = g.retry.as_ref().map(|r| r.preset).unwrap_or_default();
    g.retries.unwrap_or_else(|| Retry::preset(preset.name()).unwrap_or_default().retries)
}

fn retry(key: &str, section: Option<&RetrySection>, retries: Option<u32>) -> Result<Retry, String> {
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
    let budget = r.budget.as_ref().map(|b| {
        let share_ppm = ppm(&format!("{key}.budget.share"), b.share)?.into();
        let burst = at_least_one(&format!("{key}.budget.burst"), b.burst)?.into();
        Ok::<Budget, String>(Budget { share_ppm, burst })
    });
    Ok(Retry {
        retries: retries.unwrap_or(preset.retries),
        on: on.unwrap_or(preset.on),
        backoff: match &r.backoff {
            Some(b) => backoff(&format!("{key}.backoff"), b, preset.backoff)?,
            None => preset.backoff,
        },
        retry_after: match &r.retry_after {
            Some(a) => retry_after(&format!("{key}.retry_after"), a)?,
            None => preset.retry_after,
        },
        at_once_elsewhere: r.at_once_elsewhere.unwrap_or(preset.at_once_elsewhere),
        budget: budget.transpose()?,
    })
}

fn backoff(key: &str, b: &BackoffSection, preset: Backoff) -> Result<Backoff, String> {
    let time = |k: &str, text: &Option<DurationText>, preset| {
        text.as_ref().map_or(Ok(preset), |t| duration(&format!("{key}.{k}"), t))
    };
    let factor = b.factor.unwrap_or(preset.factor);
    if !(1.0..=1e6).contains(&factor) {
        return Err(format!("{key}.factor is {factor}; it must be at least 1"));
    }
    let jitter = b.jitter.as_ref().map_or(Ok(preset.jitter), |j| jitter(&format!("{key}.jitter"), j))?;
    let base = time("base", &b.base, preset.base)?;
    Ok(Backoff { base, factor, max: time("max", &b.max, preset.max.max(base))?, jitter })
}

fn jitter(key: &str, j: &JitterSection) -> Result<Jitter, String> {
    let given = [("less", j.less.is_some()), ("around", j.around.is_some()), ("plus", j.plus.is_some())];
    let chosen = match (j.less, j.around, &j.plus) {
        (Some(x), ..) => Some(Jitter::Less(share(&format!("{key}.less"), x)?)),
        (_, Some(x), _) => Some(Jitter::Around(share(&format!("{key}.around"), x)?)),
        (.., Some(t)) => Some(Jitter::Plus(duration(&format!("{key}.plus"), t)?)),
        _ => None,
    };
    only(key, &given, chosen)
}

fn retry_after(key: &str, a: &RetryAfterSection) -> Result<RetryAfter, String> {
    let time =
        |k: &str, text: &Option<DurationText>| text.as_ref().map(|t| duration(&format!("{key}.{k}"), t)).transpose();
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
    only(key, &given, chosen)
}

fn fallbacks(key: &str, f: &FallbackSection, places: &Places<'_>) -> Result<Fallbacks, String> {
    let read = |kind: &str, chains: &IndexMap<String, Vec<String>>| {
        let mut out: Vec<(Place, Vec<Place>)> = Vec::new();
        for (of, to) in chains {
            let key = format!("{key}.{kind}.{of}");
            if to.is_empty() {
                return Err(format!("{key} is empty; name the places to go on to, or leave it out"));
            }
            let owner = places.anywhere(&key, of)?;
            out.push((owner, to.iter().map(|t| places.anywhere(&key, t)).collect::<Result<_, _>>()?));
        }
        Ok(out)
    };
    let max_hops = at_least_one(&format!("{key}.max_hops"), f.max_hops)?;
    let all = Fallbacks {
        chains: read("chains", &f.chains)?,
        too_long: read("context_window", &f.context_window)?,
        max_hops,
    };
    if let Some(way) = all.cycle() {
        let names: Vec<&str> = way.iter().map(|s| places.name(*s)).collect();
        let kind = if f.chains.contains_key(names[0]) { "chains" } else { "context_window" };
        return Err(format!(
            "{key}.{kind}.{}: it goes round in a circle: {}; a chain must end",
            names[0],
            names.join(" -> ")
        ));
    }
    let kept = |chains: Vec<(Place, Vec<Place>)>| {
        let chain = |(of, to): (Place, Vec<Place>)| {
            let to: Vec<Place> = to.into_iter().filter_map(|s| places.of_policy(s)).collect();
            places.of_policy(of).filter(|_| !to.is_empty()).map(|of| (of, to))
        };
        chains.into_iter().filter_map(chain).collect()
    };
    Ok(Fallbacks { chains: kept(all.chains), too_long: kept(all.too_long), max_hops })
}

fn hedge(key: &str, h: &HedgeSection) -> Result<Hedge, String> {
    if h.after.is_none() && h.quantile.is_none() {
        return Err(format!("{key}: it says not when: give after, such as \"2s\", or quantile, such as 0.95"));
    }
    let after = h.after.as_ref().map(|t| longer(&format!("{key}.after"), t)).transpose()?;
    let quantile_ppm = h.quantile.map(|q| ppm(&format!("{key}.quantile"), q)).transpose()?;
    Ok(Hedge { after, quantile_ppm })
}

fn breaker(key: &str, b: &BreakerSection) -> Result<Breaker, String> {
    let at = |k: &str| format!("{key}.{k}");
    let rate = b.failed_share.map(|s| {
        let (ppm, at_least) = (ppm(&at("failed_share"), s)?, at_least_one(&at("at_least"), b.at_least)?);
        Ok::<(u32, u32), String>((ppm, at_least))
    });
    Ok(Breaker {
        failures: at_least_one(&at("failures"), b.failures)?,
        window: longer(&at("window"), &b.window)?,
        rate: rate.transpose()?,
        open: longer(&at("open"), &b.open)?,
        successes: at_least_one(&at("successes"), b.successes)?,
        refuse_if_all_open: b.refuse_if_all_open,
    })
}

fn cooldown(key: &str, c: &CooldownSection) -> Result<Cooldown, String> {
    Ok(Cooldown {
        time: longer(&format!("{key}.time"), &c.time)?,
        failed_ppm: ppm(&format!("{key}.failed_share"), c.failed_share)?,
        at_least: at_least_one(&format!("{key}.at_least"), c.at_least)?,
    })
}

fn admission(key: &str, a: &AdmissionSection, limits: bool) -> Result<Admission, String> {
    let at = |k: &str| format!("{key}.{k}");
    let detector = match (&a.saturation, a.max_in_flight) {
        (Some(_), Some(_)) => return Err(format!("{key}: both saturation and max_in_flight; give one")),
        (Some(s), None) => {
            let kv_use_ppm = ppm(&at("saturation.kv_use"), s.kv_use)?;
            if kv_use_ppm == 0 {
                return Err(format!("{} is 0; it must be above 0", at("saturation.kv_use")));
            }
            let stale = s.stale_after.as_ref().map(|t| duration(&at("saturation.stale_after"), t)).transpose()?;
            let waiting = at_least_one(&at("saturation.waiting"), s.waiting)?;
            Some(Detector::Utilization { waiting, kv_use_ppm, stale_after: stale.unwrap_or(SimTime::NEVER) })
        }
        (None, Some(most)) => Some(Detector::InFlight(at_least_one(&at("max_in_flight"), most)?)),
        (None, None) if !limits => {
            return Err(format!("{key}: nothing tells when the fleet is full: give saturation or max_in_flight"));
        }
        (None, None) => None,
    };
    let queue = a.queue.as_ref().map(|q| {
        let capacity = at_least_one(&at("queue.capacity"), q.capacity)?;
        Ok::<Queue, String>(Queue { capacity, ttl: longer(&at("queue.ttl"), &q.ttl)? })
    });
    Ok(Admission { detector, shed_above: a.shed_above, queue: queue.transpose()? })
}

fn impatience(key: &str, i: &ImpatienceSection) -> Result<Impatience, String> {
    if !(0.0..=10.0).contains(&i.sigma) {
        return Err(format!("{key}.sigma is {}; it must lie between 0 and 10", i.sigma));
    }
    let median = longer(&format!("{key}.patience"), &i.patience)?;
    Ok(Impatience { share: share(&format!("{key}.share"), i.share)?, median, sigma: i.sigma })
}

fn cascade(key: &str, c: &CascadeSection, places: &Places<'_>) -> Result<Cascade, String> {
    if c.stages.len() < 2 || c.accept.len() + 1 != c.stages.len() {
        return Err(format!(
            "{key}: {} stages and {} numbers in accept; give at least two stages, and a number for each but the last",
            c.stages.len(),
            c.accept.len()
        ));
    }
    let of_policy = |name: &String| {
        let key = format!("{key}.stages");
        let spot = places.anywhere(&key, name)?;
        places.of_policy(spot).ok_or_else(|| {
            format!("{key}: the policy has no `{name}`: keep replicas of the pool, or name the endpoint in endpoints")
        })
    };
    let accept = c.accept.iter().map(|a| share(&format!("{key}.accept"), *a)).collect::<Result<_, _>>()?;
    Ok(Cascade { stages: c.stages.iter().map(of_policy).collect::<Result<_, _>>()?, accept })
}
