//! A policy from outside, in a small simulation: each tenant keeps to its own replica while that one is not much busier than
//! the least busy one, so that its prompts find their prefixes cached; nobody else's do.
//!
//!     cargo run --no-default-features --example custom_policy
use baseload::catalog::Catalog;
use baseload::engine::{EngineMode, Engines};
use baseload::fleet::{LongestSequence, MemoryOptions, ReplicaSpec};
use baseload::gateway::{
    ASSUMED_PREFILL_TOKENS_PER_S, Decide, Decision, Draws, Feedback, GatewayView, Needs, Resilience, Routing,
};
use baseload::sim::{PoolSpec, WorldSpec, simulate};
use baseload::types::{
    AttemptRecord, BatchShape, ClassSpec, Content, ContentId, DecodeLaw, Femtos, GapRun, NO_SESSION, Outcome, Place,
    PlaceMap, ReplicaId, Request, RequestRecord, Run, SeriesRow, SimTime, Source, StepTime, TraceFault,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The policy. Its state is keyed by ids, and what it sees is a `GatewayView`: no output length, no backend.
#[derive(Default)]
struct TenantHome {
    home: BTreeMap<u32, ReplicaId>,
    answers: u64,
}

impl Decide for TenantHome {
    fn needs(&self) -> Needs {
        // Its own counts are always there; it asks only to be told of answers.
        Needs { feedback: true, ..Needs::default() }
    }

    fn decide(&mut self, view: &GatewayView<'_>, draws: &mut Draws) -> Decision {
        // Constraints have already dropped what may not serve the request.
        if view.own.is_empty() {
            return view.without_own();
        }
        let outstanding = view.signals.outstanding();
        let least = view.own.iter().map(|&r| outstanding[r]).min().unwrap_or(0);
        if let Some(&home) = self.home.get(&view.request.tenant)
            && view.own.contains(&home)
            && outstanding[home] <= least + 4
        {
            return Decision::Send(home.into());
        }
        // A new home by chance among the least busy: a draw keyed by the request, never a generator of its own.
        let idle: Vec<ReplicaId> = view.own.iter().copied().filter(|&r| outstanding[r] == least).collect();
        let home = idle[draws.below(idle.len())];
        self.home.insert(view.request.tenant, home);
        Decision::Send(home.into())
    }

    fn learn(&mut self, feedback: &Feedback) {
        if let Feedback::Ended { to: Place::Replica(_), completed: true, .. } = feedback {
            self.answers += 1;
        }
    }
}

/// A step of 8 ms, 20 microseconds more for each prompt token and row.
struct Steps;

impl StepTime for Steps {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        Femtos(u128::from(8_000 + 20 * (prefill + u64::from(shape.decode_rows))) * 1_000_000_000)
    }
    fn decode(&self, rows: u32, _: u64) -> DecodeLaw {
        DecodeLaw { base_fs: (8_000 + 20 * u64::from(rows)) * 1_000_000_000, per_ctx_fs: 0, until_ctx_sum: u64::MAX }
    }
}

/// 400 requests of eight tenants, ten a second; each tenant's prompts begin with its own 3,000 tokens.
struct Traffic(u64);

const REQUESTS: u64 = 400;

impl Source for Traffic {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok((self.0 < REQUESTS).then(|| SimTime::from_millis(self.0 * 100)))
    }
    fn next(&mut self) -> Request {
        let index = self.0;
        self.0 += 1;
        let tenant = index * 7 % 8;
        let own = Run { id: ContentId::Named(tenant), start: 0, len: 3_000 };
        let rest = Run { id: ContentId::Private(index), start: 0, len: 200 };
        Request {
            index,
            arrival: SimTime::from_millis(index * 100),
            tenant: tenant as u32,
            session: NO_SESSION,
            class: 0,
            prompt_tokens: 3_200,
            output_tokens: 50,
            max_output_tokens: 100,
            priority: 0,
            content: Content::from([own, rest]),
        }
    }
    fn finished(&mut self, _: u64, _: SimTime, _: Outcome) {}
    fn total(&self) -> Option<u64> {
        Some(REQUESTS)
    }
}

/// What came out.
#[derive(Default)]
struct Results {
    completed: u64,
    cached_tokens: u64,
    ttft_ms: Vec<u64>,
}

impl baseload::types::RecordSink for Results {
    fn attempt(&mut self, _: &AttemptRecord) {}
    fn request(&mut self, r: &RequestRecord) {
        self.completed += u64::from(r.outcome == Outcome::Completed);
        self.cached_tokens += u64::from(r.cached_tokens);
        self.ttft_ms.extend(r.ttft.map(|t| t.0 / 1_000_000));
    }
    fn gaps(&mut self, _: &GapRun) {}
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _: &SeriesRow) {}
}

fn run(routing: Routing) -> Results {
    let engine = Engines::embedded().chosen(&toml::Table::new()).expect("the usual engine takes its defaults");
    let memory = MemoryOptions {
        num_blocks: Some(2_000),
        max_model_len: LongestSequence::Tokens(8_192),
        ..MemoryOptions::default()
    };
    let words = ReplicaSpec { memory, ..ReplicaSpec::new("llama-3.1-8b", "h100-sxm", engine) };
    let replica = words.resolve(Catalog::embedded()).expect("it fits").with_step_time(Arc::new(Steps));
    let spec = WorldSpec {
        seed: 1,
        replicate: 0,
        pools: vec![PoolSpec {
            name: "chat".into(),
            replicas: 4,
            replica: Arc::new(replica),
            mode: EngineMode::default(),
            assumed_prefill_tokens_per_s: ASSUMED_PREFILL_TOKENS_PER_S,
        }],
        endpoints: Vec::new(),
        routing,
        resilience: Resilience { timeout: SimTime::from_secs(600), ..Resilience::none() },
        scrape: (SimTime::from_secs(1), SimTime::ZERO),
        kv_event_delay: SimTime::ZERO,
        classes: vec![(ClassSpec::default(), 1_000_000)],
        failures: None,
        slo: [None; 3],
        sample_every: SimTime::from_secs(1),
        answers: PlaceMap::default(),
    };
    let mut results = Results::default();
    let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    simulate(&spec, &mut Traffic(0), &mut results, &progress, &stop).expect("the traffic has no faults");
    results.ttft_ms.sort_unstable();
    results
}

fn main() {
    let custom = Routing::Custom(Arc::new(|| Box::new(TenantHome::default())));
    for (name, routing) in [("least outstanding", Routing::least_outstanding()), ("tenant home", custom)] {
        let r = run(routing);
        let (p50, p99) = (r.ttft_ms[r.ttft_ms.len() / 2], r.ttft_ms[r.ttft_ms.len() * 99 / 100]);
        println!(
            "{name}: {} answered, {} prompt tokens cached, TTFT {p50} ms, p99 {p99} ms",
            r.completed, r.cached_tokens
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_finds_its_prefix_and_every_run_is_the_same() {
        let custom = || Routing::Custom(Arc::new(|| Box::new(TenantHome::default())));
        let (home, again, least) = (run(custom()), run(custom()), run(Routing::least_outstanding()));
        assert_eq!((home.completed, least.completed), (REQUESTS, REQUESTS));
        assert_eq!((home.cached_tokens, &home.ttft_ms), (again.cached_tokens, &again.ttft_ms));
        assert!(home.cached_tokens > least.cached_tokens, "{} {}", home.cached_tokens, least.cached_tokens);
    }
}
