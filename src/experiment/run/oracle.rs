//! Two bounds that no policy beats on its own fleet, and how far this one is from them (its *regret*).
//!
//! Both are over what the policy delivered, so that whoever turns requests away gains nothing by it: the requests that
//! it completed, those that met the SLO in time for it, the others at any time before the gateway's timeout.
//!
//! **`oracle-cost`**: the least monthly bill that the same fleet could have served them with. Rents and people are paid
//! in any case. Own replicas offer their time from the first arrival to the latest instant at which an answer still
//! meets its SLO; a request needs at least the time of `economics/work.rs` there, with all of its prompt cached that somebody
//! else may have had. The dearest requests for that time are served on own GPUs, in fractions (`economics/knapsack.rs`);
//! those that only own pools may serve go first; the rest are bought at the cheapest allowed endpoint, with the best
//! cache hit. Relaxed: queues, batches that do not fit each other, whole requests, memory, rate limits, errors, failures.
//!
//! **`oracle-latency`**: a request's least TTFT and E2E over all backends that may serve it, each unloaded: an own
//! replica for it alone, best cached; an endpoint by the luck that its try there has or would have had.
//!
//! May import: api, economics, engine, gateway, sim, types. Must keep true: `never-beaten`, neither bound exceeds what any
//! policy does; memory does not grow with requests.
use super::super::verdict::summary::{OracleSummary, PolicySummary, RegretSummary};
use baseload_core::api::{CacheRule, Call, DrawKey, EndpointSpec, ServiceStreams, Streams, Usage};
use baseload_core::economics::{self, Knapsack, WorkFloor, token_ranges};
use baseload_core::engine::EngineLimits;
use baseload_core::fleet::ReplicaType;
use baseload_core::gateway::{BackendFacts, allowed};
use baseload_core::sim::{SimStats, WorldSpec};
use baseload_core::types::{
    BatchShape, ClassSpec, Content, Femtos, Outcome, PrefillChunk, RequestRecord, RequestView, SimTime, StepTime, Usd,
    served_prefix,
};
use hdrhistogram::Histogram;
use smallvec::SmallVec;
use std::sync::Arc;

/// How shared parts of steps are split between rows and prompts, thousandths; the best bound of them counts.
const SPLITS: [u64; 3] = [0, 900, 1_000];
/// The request that pools of different speeds are compared by: prompt tokens and rows.
const TYPICAL: (u32, u32) = (1_000, 300);

/// Indices of backends that may serve a request.
type Few = SmallVec<[usize; 8]>;

struct OwnPool {
    facts: BackendFacts,
    replicas: u32,
    limits: EngineLimits,
    step: Arc<dyn StepTime>,
    /// One a split.
    work: Vec<WorkFloor>,
    /// A femtosecond here in those of the fastest pool, by split: numerator and denominator.
    speed: Vec<(u128, u128)>,
    /// Least time a prompt token when at most so many are computed at once: ascending `(tokens, fs)`.
    prompt_fs: Vec<(u64, u64)>,
}

struct PricedEndpoint {
    spec: EndpointSpec,
    facts: BackendFacts,
    streams: Streams,
    service: ServiceStreams,
}

impl PricedEndpoint {
    /// Hidden tokens of an answer, the same at every try.
    fn hidden(&self, luck: DrawKey, r: &RequestRecord) -> u32 {
        self.spec.service.hidden(&self.service, luck, r.output_tokens, r.max_output_tokens)
    }

    /// Prompt tokens that its cache may have had: what others brought, and after a first try all.
    fn cacheable(r: &RequestRecord) -> u32 {
        if r.attempts > 1 { r.prompt_tokens } else { r.shareable_tokens.min(r.prompt_tokens) }
    }

    /// Least TTFT and E2E of the try with this luck.
    fn least(&self, luck: DrawKey, r: &RequestRecord) -> (SimTime, SimTime) {
        if let Some(turnaround) = self.spec.service.turnaround {
            let whole = turnaround.draw(&self.service, luck);
            return (whole, whole);
        }
        let hidden = self.hidden(luck, r);
        let (prompt, output) = (r.prompt_tokens, r.output_tokens + hidden);
        let call = Call { prompt, cached: Self::cacheable(r), output, at: SimTime::ZERO };
        let least = self.spec.latency.least(&self.streams, luck, &call, hidden);
        (least.first, least.whole)
    }

    /// The least that it bills for a request: its prompt cached as far as the rule and others allow, or not at all where
    /// reading does not pay; what is not read is written where that has a price.
    fn least_price(&self, luck: DrawKey, r: &RequestRecord) -> Usd {
        let (prompt, reasoning) = (u64::from(r.prompt_tokens), u64::from(self.hidden(luck, r)));
        let output = u64::from(r.output_tokens) + reasoning;
        let bill = |read: u32| {
            let written = self.spec.cache.map_or(0, |rule| rule.written(r.prompt_tokens, read));
            self.spec.price.bill(&Usage { prompt, cached: read.into(), written: written.into(), output, reasoning })
        };
        let most = |rule: CacheRule| rule.hit(Self::cacheable(r));
        self.spec.cache.map_or(bill(0), |rule| bill(0).min(bill(most(rule))))
    }
}

/// Bounds on bill and latencies of one policy, built up from its requests' records.
pub struct Oracle {
    own: Vec<OwnPool>,
    bought: Vec<PricedEndpoint>,
    classes: Vec<ClassSpec>,
    luck: (u64, u32),
    slo: [Option<SimTime>; 3],
    timeout: SimTime,
    /// No request has text of its own here: constraints read its length alone.
    content: Content,
    /// Cheapest prices of all that was completed.
    prices: Usd,
    /// One a split.
    sacks: Vec<Knapsack>,
    /// Latest instants at which own work for those in time, and for all, may end.
    latest: [SimTime; 2],
    ttft: Floor,
    e2e: Floor,
}

/// Least latencies, beside what was measured.
struct Floor {
    least: Histogram<u64>,
    least_ns: u128,
    measured_ns: u128,
}

impl Floor {
    fn new() -> Floor {
        Floor { least: super::histogram::histogram(), least_ns: 0, measured_ns: 0 }
    }
    fn add(&mut self, least: SimTime, measured: SimTime) {
        self.least.saturating_record(least.0.max(1));
        self.least_ns += u128::from(least.0);
        self.measured_ns += u128::from(measured.0);
    }
    fn mean_s(&self, ns: u128) -> Option<f64> {
        let n = self.least.len();
        (n > 0).then(|| ns as f64 / n as f64 / 1e9)
    }
    fn quantile_s(&self, q: f64) -> Option<f64> {
        (!self.least.is_empty()).then(|| self.least.value_at_quantile(q) as f64 / 1e9)
    }
}

/// Tables of measured kernels may be a millionth off what they promise to be monotone in.
fn safely(fs: u128) -> u128 {
    fs - fs / 1_000_000
}

impl OwnPool {
    fn new(replica: &ReplicaType, replicas: u32, priced: bool) -> OwnPool {
        let (facts, limits, step) = (replica.facts, replica.limits, replica.step_time.clone());
        let EngineLimits { most_rows, most_tokens, .. } = limits;
        let split = |milli: &u64| WorkFloor::new(step.as_ref(), most_rows, most_tokens, *milli);
        let work = if priced { SPLITS.iter().map(split).collect() } else { Vec::new() };
        let parts = step.floor(most_rows);
        // No step is shorter than that of a single token, be it a row or a chunk.
        let one = [PrefillChunk { context: 0, tokens: 1 }];
        let chunk = step.batch(&BatchShape { prefill: &one, decode_rows: 0, decode_ctx_sum: 0 }).0;
        let alone = chunk.min(step.decode(1, 0).base_fs.into());
        // n tokens in a step take at least what the first number of their range takes.
        let mut least = u64::MAX;
        let per_token = |(first, last): (u64, u64)| {
            let pairs = u128::from(first) * u128::from(first - 1) / 2;
            let chunk = u128::from(step.floor_of_tokens(first))
                + u128::from(parts.per_prefill_token_fs) * u128::from(if first > 1 { first } else { 0 })
                + u128::from(parts.per_pair_fs) * pairs;
            least = least.min((safely(chunk.max(alone)) / u128::from(last)) as u64);
            (last, least)
        };
        let prompt_fs = token_ranges(most_tokens).map(per_token).collect();
        OwnPool { facts, replicas, limits, step, work, speed: Vec::new(), prompt_fs }
    }

    /// Most prompt tokens that its prefix cache can have.
    fn cached(&self, r: &RequestRecord) -> u32 {
        let block = self.limits.cached_block.unwrap_or(u32::MAX);
        served_prefix(r.shareable_tokens, r.prompt_tokens, block)
    }

    /// Least TTFT and E2E of a request that has a replica for itself, in whole nanoseconds, rounded down.
    fn unloaded(&self, r: &RequestRecord) -> (SimTime, SimTime) {
        let fresh = u64::from(r.prompt_tokens - self.cached(r));
        let at = self.prompt_fs.partition_point(|(tokens, _)| *tokens < fresh).min(self.prompt_fs.len() - 1);
        let prefill = u128::from(fresh) * u128::from(self.prompt_fs[at].1);
        let (mut context, mut left, mut decode) = (u64::from(r.prompt_tokens), u64::from(rows(r)), 0u128);
        while left > 0 {
            let law = self.step.decode(1, context);
            let steps = left.min(law.until_ctx_sum.saturating_sub(context).max(1));
            let contexts = u128::from(context) * u128::from(steps) + u128::from(steps) * u128::from(steps - 1) / 2;
            decode += u128::from(law.base_fs) * u128::from(steps) + u128::from(law.per_ctx_fs) * contexts;
            (context, left) = (context + steps, left - steps);
        }
        (Femtos(prefill).to_time(), Femtos(prefill + safely(decode)).to_time())
    }
}

/// Steps in which a request decodes: a token sampled when a preempted request is computed again is none.
fn rows(r: &RequestRecord) -> u32 {
    r.output_tokens.saturating_sub(1).saturating_sub(r.preemptions)
}

impl Oracle {
    /// For a policy that has the world of `spec`.
    pub fn new(spec: &WorldSpec) -> Oracle {
        Oracle::of(spec, !spec.endpoints.is_empty())
    }

    /// For a policy that has the world of `spec`: bounds on its latencies alone, which take less time.
    pub fn of_latencies(spec: &WorldSpec) -> Oracle {
        Oracle::of(spec, false)
    }

    fn of(spec: &WorldSpec, priced: bool) -> Oracle {
        let kept = spec.pools.iter().filter(|p| p.replicas > 0);
        let mut own: Vec<OwnPool> = kept.map(|p| OwnPool::new(&p.replica, p.replicas, priced)).collect();
        for split in 0..SPLITS.len() * usize::from(priced) {
            let typical: Vec<u128> = own.iter().map(|p| p.work[split].of(TYPICAL.0, 0, TYPICAL.1)).collect();
            let fastest = typical.iter().copied().min().unwrap_or(0);
            // As 32 bits, so that products with a month of femtoseconds fit; a pool that claims no floor has no speed.
            let widest = typical.iter().copied().max().unwrap_or(0);
            let shift = (u128::BITS - widest.leading_zeros()).saturating_sub(32);
            let short = |fs: u128| (fs >> shift).max(1);
            let speed = |own: u128| if fastest == 0 { (1, 1) } else { (short(fastest), short(own)) };
            own.iter_mut().zip(typical).for_each(|(p, t)| p.speed.push(speed(t)));
        }
        let bought = spec.endpoints.iter().map(|e| PricedEndpoint {
            facts: BackendFacts {
                internal: false,
                capability: e.capability,
                max_context_tokens: e.max_input_tokens,
                deferred: e.deferred(),
            },
            streams: Streams::of(&e.name),
            service: ServiceStreams::of(&e.name),
            spec: e.clone(),
        });
        Oracle {
            own,
            bought: bought.collect(),
            classes: spec.classes.iter().map(|(class, _)| class.clone()).collect(),
            luck: (spec.seed, spec.replicate),
            slo: spec.slo,
            timeout: spec.resilience.timeout,
            content: Content::private(u64::MAX, 0),
            prices: Usd::ZERO,
            sacks: vec![Knapsack::default(); if priced { SPLITS.len() } else { 0 }],
            latest: [SimTime::ZERO; 2],
            ttft: Floor::new(),
            e2e: Floor::new(),
        }
    }

    /// Takes a request's record.
    pub fn request(&mut self, r: &RequestRecord) {
        if r.outcome != Outcome::Completed {
            return;
        }
        let view = RequestView {
            index: r.index,
            arrival: r.arrival,
            tenant: r.tenant,
            session: r.session,
            class: &self.classes[usize::from(r.class)],
            prompt_tokens: r.prompt_tokens,
            max_output_tokens: r.output_tokens,
            priority: 0,
            content: &self.content,
        };
        let total = u64::from(r.prompt_tokens) + u64::from(r.output_tokens);
        let may = |facts: &BackendFacts| allowed(&view, facts) && total <= u64::from(facts.max_context_tokens);
        let own: Few = (0..self.own.len()).filter(|p| may(&self.own[*p].facts)).collect();
        let bought: Few = (0..self.bought.len()).filter(|e| may(&self.bought[*e].facts)).collect();
        self.latency(r, &own, &bought);
        if !self.sacks.is_empty() {
            self.cost(r, &own, &bought);
        }
    }

    fn luck_of(&self, r: &RequestRecord, try_number: u32) -> DrawKey {
        DrawKey { seed: self.luck.0, replicate: self.luck.1, request: r.index, try_number }
    }

    fn latency(&mut self, r: &RequestRecord, own: &[usize], bought: &[usize]) {
        let own = own.iter().map(|p| self.own[*p].unloaded(r));
        let bought = bought.iter().flat_map(|e| {
            let b = &self.bought[*e];
            (0..r.attempts.max(1)).map(|try_number| b.least(self.luck_of(r, try_number), r))
        });
        let least = own.chain(bought).reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)));
        let Some((ttft, e2e)) = least else { return };
        self.ttft.add(ttft, r.ttft.unwrap_or(r.e2e));
        self.e2e.add(e2e, r.e2e);
    }

    fn cost(&mut self, r: &RequestRecord, own: &[usize], bought: &[usize]) {
        let price = bought.iter().map(|e| self.bought[*e].least_price(self.luck_of(r, 0), r)).min();
        self.prices += price.unwrap_or(Usd::ZERO);
        if own.is_empty() {
            return;
        }
        let deadline = self.deadline(r);
        let patience = self.classes[usize::from(r.class)].tolerates.unwrap_or(self.timeout);
        let any_time = SimTime(r.arrival.0.saturating_add(patience.0)).max(r.ended);
        let in_time = r.met_slo && deadline < any_time;
        if in_time {
            self.latest[0] = self.latest[0].max(deadline);
        }
        self.latest[1] = self.latest[1].max(any_time);
        for (split, sack) in self.sacks.iter_mut().enumerate() {
            let need = own.iter().map(|p| {
                let pool = &self.own[*p];
                let (fast, slow) = pool.speed[split];
                pool.work[split].of(r.prompt_tokens, pool.cached(r), rows(r)) * fast / slow
            });
            sack.add(in_time, need.min().unwrap_or(0), price);
        }
    }

    /// The latest end that meets every part of the SLO; TPOT is rounded down, so just under a nanosecond more is met.
    fn deadline(&self, r: &RequestRecord) -> SimTime {
        let [ttft, tpot, e2e] = self.slo;
        // Work that may wait has its own objectives (`ClassSpec::tolerates`).
        let tolerates = self.classes[usize::from(r.class)].tolerates;
        let (ttft, e2e) = (tolerates.or(ttft), tolerates.or(e2e));
        let gaps = u64::from(r.output_tokens.saturating_sub(1));
        let streamed = match (ttft, tpot) {
            (Some(ttft), _) if gaps == 0 => ttft.0,
            (Some(ttft), Some(tpot)) => ttft.0.saturating_add((tpot.0 + 1).saturating_mul(gaps)),
            _ => u64::MAX,
        };
        SimTime(r.arrival.0.saturating_add(streamed.min(e2e.map_or(u64::MAX, |t| t.0))))
    }

    /// The least that was to be bought, US$ of the window.
    fn least_spend(&self, stats: &SimStats) -> Usd {
        let offered = |latest: SimTime, split: usize| -> u128 {
            let each = Femtos::from_time(SimTime(latest.since(stats.first_arrival).0 + 1)).0;
            let of = |p: &OwnPool| {
                let (fast, slow) = p.speed[split];
                (u128::from(p.replicas) * each * fast).div_ceil(slow)
            };
            self.own.iter().map(of).sum()
        };
        let spend = |(split, sack): (usize, &Knapsack)| {
            let saved = sack.most_saved(offered(self.latest[0], split), offered(self.latest[1], split));
            Usd((self.prices.0 - saved.0).max(0))
        };
        self.sacks.iter().enumerate().map(spend).max().unwrap_or(Usd::ZERO)
    }

    /// Median of the requests' least times end to end, seconds; `None` where none completed.
    pub fn least_e2e_p50_s(&self) -> Option<f64> {
        self.e2e.quantile_s(0.5)
    }

    /// The bounds, and what `policy` does beyond them. `billed` is the time that its spend was made in, `total` its bill, `fixed`
    /// the part that no policy saves.
    pub fn summaries(
        &self,
        stats: &SimStats,
        billed: SimTime,
        (total, fixed): (Usd, Usd),
        policy: &PolicySummary,
    ) -> (OracleSummary, RegretSummary) {
        let spend = self.least_spend(stats);
        let api = match billed {
            SimTime::ZERO => Usd::ZERO,
            _ => spend.scaled(u128::from(economics::MONTH.0), u128::from(billed.0)),
        };
        // Each line of the bill was rounded by itself, by half a pico-dollar at most: within that the two are equal.
        let (bought, rounding) = (total.0 - fixed.0, 1 + self.bought.len() as i128);
        let api = if api.0 <= bought + rounding { Usd(api.0.min(bought)) } else { api };
        let bound = fixed + api;
        let over = Usd(total.0 - bound.0);
        let oracle = OracleSummary {
            cost_usd_per_month: bound.as_f64(),
            api_usd_per_month: api.as_f64(),
            ttft_mean_s: self.ttft.mean_s(self.ttft.least_ns),
            ttft_p50_s: self.ttft.quantile_s(0.5),
            ttft_p99_s: self.ttft.quantile_s(0.99),
            e2e_mean_s: self.e2e.mean_s(self.e2e.least_ns),
            e2e_p50_s: self.e2e.quantile_s(0.5),
            e2e_p99_s: self.e2e.quantile_s(0.99),
        };
        let beyond = |measured: Option<f64>, least: Option<f64>| measured.zip(least).map(|(m, l)| m - l);
        let mean = |f: &Floor| beyond(f.mean_s(f.measured_ns), f.mean_s(f.least_ns));
        let regret = RegretSummary {
            cost_usd_per_month: over.as_f64(),
            cost_share: if total.0 > 0 { over.0 as f64 / total.0 as f64 } else { 0.0 },
            ttft_mean_s: mean(&self.ttft),
            ttft_p50_s: beyond(policy.ttft_p50_s, oracle.ttft_p50_s),
            ttft_p99_s: beyond(policy.ttft_p99_s, oracle.ttft_p99_s),
            e2e_mean_s: mean(&self.e2e),
            e2e_p50_s: beyond(policy.e2e_p50_s, oracle.e2e_p50_s),
            e2e_p99_s: beyond(policy.e2e_p99_s, oracle.e2e_p99_s),
        };
        (oracle, regret)
    }
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
