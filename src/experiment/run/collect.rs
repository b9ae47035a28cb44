//! One simulation's records, turned into a policy's summary as they come.
use super::super::resolve::{Experiment, Hourly, QualityInput, ResolvedPolicy};
use super::super::verdict::summary::{BillRow, FallsBehind, PolicySummary, PoolUse};
use super::backlog::Backlog;
use super::histogram::{LONGEST_NS, histogram};
use super::oracle::Oracle;
use super::timeline::Timeline;
use super::window::Window;
use baseload_core::economics::{self, Bill, LineKind};
use baseload_core::sim::{SimStats, WorldSpec};
use baseload_core::types::{
    AttemptRecord, EndpointId, Fault, Femtos, GapRun, IdMap, Outcome, OutcomeCause, Place, PoolId, RecordSink,
    RequestRecord, SeriesRow, SimTime, TraceFault, Usd,
};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Tries of a pool from which the split over its replicas says something.
const ENOUGH_TRIES: u64 = 100;

/// Counts, histograms and sums of one simulation; forwards records to `writer`, if there is one.
pub struct Collector {
    ttft: Histogram<u64>,
    tpot: Histogram<u64>,
    e2e: Histogram<u64>,
    itl: Histogram<u64>,
    counts: [u64; 5],
    met_slo: u64,
    /// Completed requests whose quality is known, and those above the bar.
    judged: (u64, u64),
    /// The highest index of a request.
    last_index: u64,
    /// The table of answers, if there is one.
    quality: Option<QualityInput>,
    prompt_tokens: u64,
    output_tokens: u64,
    own_tokens: u64,
    cached_tokens: u64,
    preemptions: u64,
    spend: IdMap<EndpointId, Usd>,
    /// Pool of each replica, and tries that it took.
    tries: Vec<(PoolId, u64)>,
    causes: BTreeMap<&'static str, u64>,
    oracle: Option<Oracle>,
    timeline: Timeline,
    /// Times of requests that may not wait.
    backlog: Backlog,
    /// By class: whether its requests may wait.
    tolerant: Vec<bool>,
    /// Requests below this index warm the fleet up, and how many of them ended.
    warmup: (u64, u64),
    /// First arrival, last end, and last end of what may not wait, of what counts, where there is a warm-up.
    after_warmup: Option<[SimTime; 3]>,
    #[cfg(feature = "frames")]
    writer: Option<crate::frames::RecordWriter>,
    /// First fault of the writer; the run ends at it.
    pub fault: Option<TraceFault>,
}

impl Collector {
    /// An empty collector for the world of `spec`.
    pub fn of(spec: &WorldSpec) -> Collector {
        let tolerant = spec.classes.iter().map(|(class, _)| class.tolerates.is_some()).collect();
        Collector { tolerant, ..Collector::new(spec.endpoints.len()) }
    }

    fn new(endpoints: usize) -> Collector {
        Collector {
            ttft: histogram(),
            tpot: histogram(),
            e2e: histogram(),
            itl: histogram(),
            counts: [0; 5],
            met_slo: 0,
            judged: (0, 0),
            last_index: 0,
            quality: None,
            prompt_tokens: 0,
            output_tokens: 0,
            own_tokens: 0,
            cached_tokens: 0,
            preemptions: 0,
            spend: (0..endpoints).map(|_| Usd::ZERO).collect(),
            tries: Vec::new(),
            causes: BTreeMap::new(),
            oracle: None,
            timeline: Timeline::default(),
            backlog: Backlog::default(),
            tolerant: Vec::new(),
            warmup: (0, 0),
            after_warmup: None,
            #[cfg(feature = "frames")]
            writer: None,
            fault: None,
        }
    }
    /// This collector, which also bounds what any policy could have done.
    pub fn with_oracle(mut self, oracle: Oracle) -> Collector {
        self.oracle = Some(oracle);
        self
    }
    /// This collector, which leaves the first `requests` out of what it counts.
    pub fn with_warmup(mut self, requests: u64) -> Collector {
        self.warmup.0 = requests;
        self
    }
    /// This collector, which also refuses requests that a table of answers has no row for.
    pub fn with_quality(mut self, quality: Option<&QualityInput>) -> Collector {
        self.quality = quality.cloned();
        self
    }
    /// The fault of a request that the table of answers has no row for.
    pub fn missing_row(&self) -> Option<Fault> {
        self.quality.as_ref()?.too_short(self.last_index)
    }
    /// This collector, which also writes records.
    #[cfg(feature = "frames")]
    pub fn with_writer(mut self, writer: crate::frames::RecordWriter) -> Collector {
        self.writer = Some(writer);
        self
    }
    /// Writes what is left of the records.
    ///
    /// # Errors
    /// The writer's first fault.
    pub fn close(&mut self) -> Result<(), TraceFault> {
        #[cfg(feature = "frames")]
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        self.fault.take().map_or(Ok(()), Err)
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    /// First to last arrival of what counts.
    pub fn arrivals(&self, stats: &SimStats) -> SimTime {
        let stats = self.counted(stats);
        stats.last_arrival.since(stats.first_arrival)
    }

    /// The stretches of a simulation without its warm-up. Without one they are the caller's: a break-even has a window of its own.
    fn counted(&self, stats: &SimStats) -> SimStats {
        let stats = stats.clone();
        match self.after_warmup {
            Some([first_arrival, ended, ended_in_haste]) => SimStats { first_arrival, ended, ended_in_haste, ..stats },
            None => stats,
        }
    }

    /// The summary of a policy whose simulation ended with `stats`.
    ///
    /// # Errors
    /// API spend in no time at all: a month cannot be told from it.
    pub fn summary(&self, exp: &Experiment, policy: &ResolvedPolicy, stats: &SimStats) -> Result<PolicySummary, Fault> {
        let least_e2e_s = self.oracle.as_ref().and_then(Oracle::least_e2e_p50_s);
        let stats = &self.counted(stats);
        let window = Window::of(stats, exp.trace.is_closed(), least_e2e_s);
        let served_s = window.served.as_secs_f64();
        let per_s = |n: u64| if served_s > 0.0 { n as f64 / served_s } else { 0.0 };
        let completed = self.count(Outcome::Completed);
        let timed_out = self.count(Outcome::TimedOut);
        let total: u64 = self.counts.iter().sum();
        assert_eq!(total + self.warmup.1, stats.requests, "nothing-lost: outcomes and arrivals differ");
        let bill = self.bill(exp, policy, window.billed())?;
        let all_tokens = self.prompt_tokens + self.output_tokens;
        let quantile = |h: &Histogram<u64>, q: f64| (!h.is_empty()).then(|| h.value_at_quantile(q) as f64 / 1e9);
        let share = |n: u64, of: u64| if of == 0 { 0.0 } else { n as f64 / of as f64 };
        let caused = |causes: &[OutcomeCause]| causes.iter().filter_map(|c| self.causes.get(c.name())).sum();
        let drain = stats.ended.since(stats.last_arrival);
        let behind = self.falls_behind(exp, policy, stats, &window);
        let fixed = bill.total_of(LineKind::Gpu) + bill.total_of(LineKind::People) + hourly(exp, policy);
        let spend = self.spend.values().copied().sum::<Usd>();
        let kinds = [LineKind::Gpu, LineKind::Api, LineKind::People].map(|k| bill.total_of(k).as_f64());
        let mut summary = PolicySummary {
            name: policy.name.clone(),
            requests: total,
            completed,
            rejected: self.count(Outcome::Rejected),
            timed_out,
            failed: self.count(Outcome::Failed) + timed_out,
            cancelled: self.count(Outcome::Cancelled),
            requests_per_s: per_s(completed),
            output_tokens_per_s: per_s(self.output_tokens),
            ttft_p50_s: quantile(&self.ttft, 0.5),
            ttft_p90_s: quantile(&self.ttft, 0.9),
            ttft_p99_s: quantile(&self.ttft, 0.99),
            tpot_p50_s: quantile(&self.tpot, 0.5),
            tpot_p99_s: quantile(&self.tpot, 0.99),
            e2e_p50_s: quantile(&self.e2e, 0.5),
            e2e_p99_s: quantile(&self.e2e, 0.99),
            itl_p99_s: quantile(&self.itl, 0.99),
            goodput_per_s: per_s(self.met_slo),
            goodput_share: share(self.met_slo, total),
            quality_served: (self.judged.0 > 0).then(|| share(self.judged.1, self.judged.0)),
            self_hosted_share: share(self.own_tokens, all_tokens),
            gpu_usd_per_month: kinds[0],
            api_usd_per_month: kinds[1],
            people_usd_per_month: kinds[2],
            total_usd_per_month: bill.total().as_f64(),
            usd_per_million_tokens: economics::usd_per_million(fixed, spend, all_tokens, window.in_haste)
                .map(Usd::as_f64),
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            cached_prompt_share: share(self.cached_tokens, self.prompt_tokens),
            preemptions: self.preemptions,
            replica_failures: stats.replica_failures,
            retries: stats.retries,
            hedges: stats.hedges,
            fallbacks: stats.fallbacks,
            escalations: stats.escalations,
            try_timeouts: stats.try_timeouts,
            shed: caused(&[OutcomeCause::Shed]),
            queue_timeouts: caused(&[OutcomeCause::QueueTimeout, OutcomeCause::GatewayQueueFull]),
            circuits_opened: stats.circuits_opened,
            drain_s: drain.as_secs_f64(),
            served_s,
            billed_s: window.billed().as_secs_f64(),
            burst: window.burst,
            overloaded: behind.is_some(),
            falls_behind: behind,
            pools: policy
                .pools
                .iter()
                .enumerate()
                .map(|(at, (pool, replicas))| PoolUse {
                    name: exp.pools[*pool].name.clone(),
                    replicas: *replicas,
                    blocks: exp.pools[*pool].replica.kv.num_blocks.into(),
                    max_model_len: exp.pools[*pool].replica.facts.max_context_tokens.into(),
                    busiest_share: self.busiest_share(PoolId(at as u32)),
                })
                .collect(),
            bill: bill
                .lines
                .iter()
                .map(|l| BillRow {
                    name: l.name.clone(),
                    kind: l.kind.name().into(),
                    usd_per_month: l.usd_per_month.as_f64(),
                })
                .collect(),
            e2e_quantiles: if self.e2e.is_empty() {
                Vec::new()
            } else {
                (0..=100).map(|p| self.e2e.value_at_quantile(f64::from(p) / 100.0) as f64 / 1e9).collect()
            },
            outcomes: self.causes.iter().map(|(cause, n)| ((*cause).to_string(), *n)).collect(),
            timeline: self.timeline.summary(),
            ..PolicySummary::default()
        };
        if let Some(oracle) = &self.oracle {
            (summary.oracle, summary.regret) =
                oracle.summaries(stats, window.billed(), (bill.total(), fixed), &summary);
        }
        Ok(summary)
    }

    /// Share of a pool's tries that its busiest replica took, where there were enough of them to say.
    fn busiest_share(&self, pool: PoolId) -> Option<f64> {
        let tries = || self.tries.iter().filter(|(of, _)| *of == pool).map(|(_, n)| *n);
        let (replicas, all, most) = (tries().count(), tries().sum::<u64>(), tries().max()?);
        (replicas > 1 && all >= ENOUGH_TRIES).then(|| most as f64 / all as f64)
    }

    /// Whether the policy's queue grows for as long as the arrivals go on.
    fn falls_behind(
        &self,
        exp: &Experiment,
        policy: &ResolvedPolicy,
        stats: &SimStats,
        window: &Window,
    ) -> Option<FallsBehind> {
        let boundless = policy.pools.iter().all(|(_, replicas)| *replicas == 0)
            && policy.endpoints.iter().all(|e| exp.endpoints[*e].spec.limits.is_unlimited());
        (window.shows_overload() && !boundless)
            .then(|| self.backlog.falls_behind(stats.first_arrival, stats.last_arrival))
            .flatten()
    }

    fn bill(&self, exp: &Experiment, policy: &ResolvedPolicy, window: SimTime) -> Result<Bill, Fault> {
        let mut lines = Vec::new();
        for (pool, replicas) in &policy.pools {
            let pool = &exp.pools[*pool];
            if *replicas > 0 {
                lines.push(economics::gpu_line(
                    format!("pool {}", pool.name),
                    *replicas,
                    pool.replica.gpus,
                    pool.rent(),
                ));
            }
        }
        for (name, hourly) in hourly_of(exp, policy) {
            let name = format!("provisioned {name}");
            lines.push(economics::provisioned_line(name, hourly.units, hourly.per_unit));
        }
        for (endpoint, spend) in policy.endpoints.iter().zip(self.spend.values()) {
            if *spend != Usd::ZERO {
                let name = format!("endpoint {}", exp.endpoints[*endpoint].name);
                lines.push(economics::api_line(name, *spend, window).map_err(|_| exp.no_time())?);
            }
        }
        if policy.pools.iter().any(|(_, replicas)| *replicas > 0) {
            lines.push(economics::people_line(exp.people_per_year, exp.people_fte_thousandths));
            lines.push(economics::on_call_line(exp.on_call_per_year));
        }
        Ok(Bill { lines })
    }
}

/// Endpoints of a policy that are paid by the hour.
fn hourly_of<'a>(exp: &'a Experiment, policy: &'a ResolvedPolicy) -> impl Iterator<Item = (&'a str, Hourly)> {
    policy.endpoints.iter().map(|e| &exp.endpoints[*e]).filter_map(|e| Some((e.name.as_str(), e.hourly?)))
}

/// What a policy's provisioned units cost a month: no way of routing saves it.
fn hourly(exp: &Experiment, policy: &ResolvedPolicy) -> Usd {
    hourly_of(exp, policy).map(|(name, h)| economics::provisioned_line(name, h.units, h.per_unit).usd_per_month).sum()
}

impl RecordSink for Collector {
    fn attempt(&mut self, record: &AttemptRecord) {
        #[cfg(feature = "frames")]
        if let Some(Err(e)) = self.writer.as_mut().map(|w| w.attempt(record)) {
            self.fault.get_or_insert(e);
        }
        if record.request < self.warmup.0 {
            return;
        }
        if let Place::Endpoint(e) = record.backend {
            self.spend[e] += record.cost;
            self.timeline.spent(record.ended, record.cost);
        }
        if let (Place::Pool(pool), Some(replica)) = (record.backend, record.replica) {
            let at = replica.0 as usize;
            if self.tries.len() <= at {
                self.tries.resize(at + 1, (pool, 0));
            }
            let tries = &mut self.tries[at];
            *tries = (pool, tries.1 + 1);
        }
    }
    fn request(&mut self, record: &RequestRecord) {
        #[cfg(feature = "frames")]
        if let Some(Err(e)) = self.writer.as_mut().map(|w| w.request(record)) {
            self.fault.get_or_insert(e);
        }
        if record.index < self.warmup.0 {
            self.warmup.1 += 1;
            return;
        }
        if self.warmup.0 > 0 {
            let in_haste = if self.tolerant[usize::from(record.class)] { SimTime::ZERO } else { record.ended };
            let [first, ended, haste] = self.after_warmup.unwrap_or([record.arrival, SimTime::ZERO, SimTime::ZERO]);
            self.after_warmup = Some([first.min(record.arrival), ended.max(record.ended), haste.max(in_haste)]);
        }
        self.counts[record.outcome as usize] += 1;
        self.met_slo += u64::from(record.met_slo);
        self.preemptions += u64::from(record.preemptions);
        self.timeline.request(record);
        if !self.tolerant[usize::from(record.class)] {
            self.backlog.request(record.arrival, record.ended);
        }
        if let Some(good) = record.above_bar {
            self.judged = (self.judged.0 + 1, self.judged.1 + u64::from(good));
        }
        self.last_index = self.last_index.max(record.index);
        if let Some(oracle) = &mut self.oracle {
            oracle.request(record);
        }
        if record.outcome == Outcome::Completed {
            let tokens = u64::from(record.prompt_tokens) + u64::from(record.output_tokens);
            self.prompt_tokens += u64::from(record.prompt_tokens);
            self.output_tokens += u64::from(record.output_tokens);
            self.cached_tokens += u64::from(record.cached_tokens);
            if matches!(record.backend, Some(Place::Pool(_))) {
                self.own_tokens += tokens;
            }
            let ttft = record.ttft.expect("nothing-lost: a completed request has a first token");
            self.ttft.saturating_record(ttft.0.max(1));
            self.e2e.saturating_record(record.e2e.0.max(1));
            if record.output_tokens >= 2 {
                self.tpot.saturating_record(((record.e2e - ttft).0 / u64::from(record.output_tokens - 1)).max(1));
            }
        } else {
            let cause = if record.cause.name().is_empty() { record.outcome.name() } else { record.cause.name() };
            *self.causes.entry(cause).or_default() += 1;
        }
    }
    fn gaps(&mut self, run: &GapRun) {
        let mut i = 0;
        while i < run.steps {
            let fs = run.first_fs + u128::from(i) * u128::from(run.more_fs);
            let longest = self.itl.highest_equivalent(Femtos(fs).to_time().0.clamp(1, LONGEST_NS));
            // Steps grow evenly, so those whose gap falls into the same bucket of the histogram follow each other.
            let room = (u128::from(longest) + 1) * Femtos::PER_NS - 1 - fs.min(u128::from(longest) * Femtos::PER_NS);
            let left = run.steps - i;
            // Mostly all that are left: then the division that counts them is not worth it.
            let steps = if room >= u128::from(left - 1) * u128::from(run.more_fs) {
                left
            } else {
                (room / u128::from(run.more_fs) + 1) as u32
            };
            self.itl.saturating_record_n(longest, u64::from(steps) * u64::from(run.tokens));
            i += steps;
        }
    }
    fn wants_series(&self) -> bool {
        #[cfg(feature = "frames")]
        return self.writer.is_some();
        #[cfg(not(feature = "frames"))]
        return false;
    }
    fn series(&mut self, row: &SeriesRow) {
        #[cfg(feature = "frames")]
        if let Some(writer) = self.writer.as_mut() {
            writer.series(row);
        }
        let _ = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_run_of_gaps_counts_as_its_steps_do(
            runs in proptest::collection::vec((0u128..40_000_000_000_000, 0u64..30_000_000_000, 1u32..300, 1u32..9), 1..20),
        ) {
            let (mut together, mut apart) = (Collector::new(0), Collector::new(0));
            for (first_fs, more_fs, steps, tokens) in runs {
                together.gaps(&GapRun { first_fs, more_fs, steps, tokens });
                for i in 0..steps {
                    let first_fs = first_fs + u128::from(i) * u128::from(more_fs);
                    apart.gaps(&GapRun { first_fs, more_fs: 0, steps: 1, tokens });
                }
            }
            proptest::prop_assert!(together.itl == apart.itl);
        }
    }
}
