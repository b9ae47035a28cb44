//! No policy beats a bound on random small worlds; and bounds that are known by hand.
use super::super::Collector;
use super::*;
use baseload_core::api::{CacheKind, CacheRule, Latency, Limits, LogNormal, Price, Reasoning, Service, Turnaround};
use baseload_core::engine::{EngineLimits, EngineMode, Scheduler, StaticConfig, StaticScheduler, VllmConfig};
use baseload_core::fleet::ReplicaType;
use baseload_core::gateway::{Destination, Picker, Pipeline, Resilience, Routing, Rule, Scorer, Scoring};
use baseload_core::latency::Constant;
use baseload_core::sim::{PoolSpec, simulate};
use baseload_core::types::TraceFault;
use baseload_core::types::{
    AttemptRecord, Capability, ContentId, EndpointId, GapRun, NO_SESSION, Place, PlaceMap, PoolId, Privacy, RecordSink,
    Request, Run, SeriesRow, Source, TokenPrice,
};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Requests from a list.
struct Listed(std::vec::IntoIter<Request>);

impl Source for Listed {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok(self.0.as_slice().first().map(|r| r.arrival))
    }
    fn next(&mut self) -> Request {
        self.0.next().expect("peek said that there is one")
    }
    fn finished(&mut self, _: u64, _: SimTime, _: Outcome) {}
    fn total(&self) -> Option<u64> {
        None
    }
}

/// The oracle, and what the policy spent and took.
struct Watched {
    oracle: Oracle,
    spend: Usd,
    records: Vec<RequestRecord>,
    collector: Collector,
}

impl RecordSink for Watched {
    fn attempt(&mut self, record: &AttemptRecord) {
        if matches!(record.backend, Place::Endpoint(_)) {
            self.spend += record.cost;
        }
    }
    fn request(&mut self, record: &RequestRecord) {
        self.oracle.request(record);
        self.collector.request(record);
        self.records.push(*record);
    }
    fn gaps(&mut self, _: &GapRun) {}
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _: &SeriesRow) {}
}

/// A pool for tests.
#[derive(Debug, Clone)]
struct Own {
    replicas: u32,
    capability: Capability,
    step: Constant,
    rows: u32,
    tokens: u32,
    blocks: u32,
    caching: bool,
    fixed: bool,
    async_scheduling: bool,
}

#[derive(Debug, Clone)]
struct Setup {
    pools: Vec<Own>,
    endpoints: Vec<EndpointSpec>,
    requests: Vec<Request>,
    place: usize,
    slo: [Option<SimTime>; 3],
    timeout: SimTime,
}

const BLOCK: u32 = 4;
const LONGEST: u32 = 400;

impl Setup {
    fn spec(&self) -> WorldSpec {
        let class =
            |name: &str, privacy, needs| ClassSpec { name: name.into(), privacy, needs, priority: 0, tolerates: None };
        let hard = class("hard", Privacy::Any, Capability::Mid);
        let classes = vec![
            (class("private", Privacy::InternalOnly, Capability::Small), 200_000),
            (ClassSpec { tolerates: Some(SimTime::from_secs(5)), ..hard }, 300_000),
            (class("default", Privacy::Any, Capability::Small), 500_000),
        ];
        let places = [
            Destination::Any,
            Destination::Own,
            Destination::Bought,
            Destination::Cheapest(SimTime::NEVER),
            Destination::Fastest,
            Destination::Pool(PoolId(0)),
            Destination::Endpoint(EndpointId(0)),
        ];
        let to = places[self.place % places.len()];
        let to =
            if matches!(to, Destination::Endpoint(_)) && self.endpoints.is_empty() { Destination::Own } else { to };
        let picker = if self.place.is_multiple_of(2) { Picker::RoundRobin } else { Picker::default() };
        let scoring = Scoring { scorers: vec![(Scorer::Outstanding, 1.0)], picker };
        let rules = vec![Rule { when: vec![], to, scoring: Some(scoring), within_limits: false }];
        let vllm = |o: &Own| VllmConfig {
            block_size: BLOCK,
            num_blocks: o.blocks,
            max_num_seqs: o.rows,
            max_num_batched_tokens: o.tokens,
            max_model_len: LONGEST.min((o.blocks - 1) * BLOCK),
            prefix_caching: o.caching,
            async_scheduling: o.async_scheduling,
            reserve_full_isl: false,
            ..VllmConfig::default()
        };
        let fixed = |o: &Own| StaticConfig {
            max_batch: o.rows,
            timeout: SimTime::from_millis(20),
            max_model_len: LONGEST.min((o.blocks - 1) * BLOCK),
            block_size: BLOCK,
            num_blocks: o.blocks,
        };
        let pools = self.pools.iter().map(|o| {
            let (fixed, of_vllm, of_static) = (o.fixed, vllm(o), fixed(o));
            let limits = EngineLimits {
                max_rows: o.rows,
                most_rows: o.rows.min(o.blocks),
                most_tokens: if fixed { u64::from(o.rows) * u64::from(LONGEST) } else { o.tokens.into() },
                cached_block: (o.caching && !fixed).then_some(BLOCK),
                by_priority: false,
            };
            let facts = BackendFacts {
                internal: true,
                capability: o.capability,
                max_context_tokens: of_vllm.max_model_len,
                deferred: false,
            };
            let engine = move |mode| -> Box<dyn Scheduler> {
                match fixed {
                    true => Box::new(StaticScheduler::new(of_static.clone())),
                    false => of_vllm.clone().scheduler(mode),
                }
            };
            PoolSpec {
                name: "own".into(),
                replicas: o.replicas,
                replica: Arc::new(ReplicaType::made_by(engine, limits, facts, Arc::new(o.step))),
                mode: EngineMode::default(),
                assumed_prefill_tokens_per_s: 1_000,
            }
        });
        WorldSpec {
            seed: 7,
            replicate: 0,
            pools: pools.collect(),
            endpoints: self.endpoints.clone(),
            routing: Routing::Pipeline(Pipeline { rules, ..Pipeline::best(Scorer::Outstanding) }),
            resilience: Resilience { timeout: self.timeout, ..Resilience::none() },
            scrape: (SimTime::from_secs(1), SimTime::ZERO),
            kv_event_delay: SimTime::ZERO,
            classes,
            failures: None,
            slo: self.slo,
            sample_every: SimTime::from_secs(1),
            answers: PlaceMap::default(),
        }
    }

    /// Simulates; the oracle, what was spent, and all records.
    fn run(&self) -> (Watched, SimStats) {
        let spec = self.spec();
        let mut sink = Watched {
            oracle: Oracle::new(&spec),
            spend: Usd::ZERO,
            records: Vec::new(),
            collector: Collector::of(&spec),
        };
        let mut source = Listed(self.requests.clone().into_iter());
        let stats = simulate(&spec, &mut source, &mut sink, &AtomicU64::new(0), &AtomicBool::new(false)).unwrap();
        (sink, stats)
    }
}

fn endpoint(i: usize, input: i128, output: i128, cached: Option<i128>, capability: Capability) -> EndpointSpec {
    EndpointSpec {
        name: format!("buy{i}"),
        latency: Latency::LogNormal(LogNormal { ttft_p50_s: 0.05, output_tokens_per_s: 300.0, p95_over_p50: 2.0 }),
        error_rate: 0.1,
        overload_rate: 0.0,
        outages: None,
        price: Price {
            input: TokenPrice(input),
            output: TokenPrice(output),
            cached_input: cached.map(TokenPrice),
            ..Price::default()
        },
        account: format!("buy{i}"),
        limits: Limits::default(),
        squeezes: Vec::new(),
        cache: cached.map(|_| CacheRule {
            min_tokens: 8,
            kind: CacheKind::Steps(4),
            ttl: SimTime::from_secs(60),
            priced_writes: false,
        }),
        service: Service::default(),
        capability,
        max_input_tokens: 1_000,
    }
}

fn request(index: u64, arrival: SimTime, shared: u32, private: u32, output_tokens: u32) -> Request {
    let run = |id, len| Run { id, start: 0, len };
    let content = if shared == 0 {
        Content::private(index, private)
    } else {
        Content::from(vec![run(ContentId::Named(1), shared), run(ContentId::Private(index), private)])
    };
    Request {
        index,
        arrival,
        tenant: 0,
        session: NO_SESSION,
        class: u16::MAX,
        prompt_tokens: shared + private,
        output_tokens,
        max_output_tokens: output_tokens + 50,
        priority: 0,
        content,
    }
}

fn capability() -> impl Strategy<Value = Capability> {
    prop_oneof![Just(Capability::Small), Just(Capability::Mid)]
}

fn pool() -> impl Strategy<Value = Own> {
    let step = (0u64..20_000, 0u64..2_000, 0u64..20, 0u64..500).prop_map(|(base, row, ctx, prefill)| Constant {
        base_fs: base * 1_000_000_000,
        per_row_fs: row * 1_000_000_000,
        per_ctx_fs: ctx * 1_000_000_000,
        per_prefill_token_fs: prefill * 1_000_000_000,
    });
    let engine = (1u32..9, 0u32..64, 12u32..120);
    let flags = (any::<bool>(), prop::bool::weighted(0.15), any::<bool>());
    (0u32..4, capability(), step, engine, flags).prop_map(
        |(replicas, capability, step, (rows, spare, blocks), (caching, fixed, async_scheduling))| Own {
            replicas,
            capability,
            step,
            rows,
            tokens: rows + spare,
            blocks,
            caching,
            fixed,
            async_scheduling,
        },
    )
}

/// What a bought endpoint has beside a plain price.
#[derive(Debug, Clone)]
struct Served {
    service: Service,
    breakpoints: bool,
    write: Option<i128>,
    reasoning: Option<i128>,
}

impl Served {
    fn of(self, mut e: EndpointSpec) -> EndpointSpec {
        e.service = self.service;
        e.price.cache_write = self.write.map(TokenPrice);
        e.price.reasoning = self.reasoning.map(TokenPrice);
        if let Some(rule) = &mut e.cache {
            rule.priced_writes = self.write.is_some();
            rule.kind = if self.breakpoints { CacheKind::Breakpoints } else { rule.kind };
        }
        e
    }
}

fn served() -> impl Strategy<Value = Served> {
    let turnaround = (1u64..4_000, 1u64..6_000).prop_map(|(p50, window)| Turnaround {
        p50_s: p50 as f64 / 1e3,
        p95_over_p50: 3.0,
        window: SimTime::from_millis(window),
    });
    let reasoning = (0u32..60, 0.0..1.5f64).prop_map(|(median_tokens, sigma)| Reasoning { median_tokens, sigma });
    let chance = prop_oneof![3 => Just(0.0), 1 => 0.0..1.0f64];
    let service = (chance, prop::option::weighted(0.25, turnaround), prop::option::weighted(0.4, reasoning)).prop_map(
        |(unavailable_share, turnaround, reasoning)| Service {
            unavailable_share,
            turnaround,
            reasoning,
            ..Service::default()
        },
    );
    (
        service,
        any::<bool>(),
        prop::option::weighted(0.5, 0i128..4_000_000),
        prop::option::weighted(0.3, 0i128..9_000_000),
    )
        .prop_map(|(service, breakpoints, write, reasoning)| Served { service, breakpoints, write, reasoning })
}

fn setup() -> impl Strategy<Value = Setup> {
    let price = (0i128..3_000_000, 0i128..9_000_000, prop::option::of(0i128..900_000), capability(), served());
    let requests = prop::collection::vec(
        (0u64..400, prop_oneof![Just(0u32), 1u32..60], 1u32..60, prop_oneof![Just(1u32), 1u32..60]),
        1..60,
    );
    let millis =
        |range: std::ops::Range<u64>| prop::option::of(range).prop_map(|m: Option<u64>| m.map(SimTime::from_millis));
    let slo = (millis(1..2_000), millis(1..100), millis(1..5_000));
    (
        prop::collection::vec(pool(), 0..3),
        prop::collection::vec(price, 0..3),
        requests,
        0usize..7,
        slo,
        (500u64..60_000).prop_map(SimTime::from_millis),
    )
        .prop_map(|(pools, prices, requests, place, slo, timeout)| {
            let mut at = 0;
            let listed = requests.into_iter().enumerate().map(|(i, (wait, shared, private, output))| {
                at += if wait < 100 { 0 } else { wait };
                request(i as u64, SimTime::from_millis(at), shared, private, output)
            });
            let bought = prices.into_iter().enumerate().map(|(i, (a, b, c, d, s))| s.of(endpoint(i, a, b, c, d)));
            let place = if pools.is_empty() && place == 5 { 0 } else { place };
            Setup { requests: listed.collect(), endpoints: bought.collect(), pools, place, slo: slo.into(), timeout }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 512 } else { 4_096 }, ..ProptestConfig::default() })]
    /// `never-beaten`: whatever the world and the policy, what it spent is no less than the bound, nor is any latency.
    #[test]
    fn no_policy_beats_either_oracle(setup in setup()) {
        let (sink, stats) = setup.run();
        let least = sink.oracle.least_spend(&stats);
        prop_assert!(sink.spend >= least, "never-beaten: {:?} spent, the bound is {:?}", sink.spend, least);
        let mut alone = Oracle::new(&setup.spec());
        for r in sink.records.iter().filter(|r| r.outcome == Outcome::Completed) {
            let before = (alone.ttft.least_ns, alone.e2e.least_ns);
            alone.request(r);
            let (ttft, e2e) = (alone.ttft.least_ns - before.0, alone.e2e.least_ns - before.1);
            prop_assert!(ttft <= u128::from(r.ttft.unwrap().0), "never-beaten: TTFT {} ns, {:?}", ttft, r);
            prop_assert!(e2e <= u128::from(r.e2e.0), "never-beaten: E2E {} ns, {:?}", e2e, r);
        }
    }
}

fn own(replicas: u32) -> Own {
    // 10 ms a step, shared by at most 2 rows.
    let step = Constant { base_fs: 10_000_000_000_000, ..Constant::default() };
    Own {
        replicas,
        capability: Capability::Mid,
        step,
        rows: 2,
        tokens: 64,
        blocks: 500,
        caching: true,
        fixed: false,
        async_scheduling: false,
    }
}

fn quiet(pools: Vec<Own>, endpoints: Vec<EndpointSpec>, place: usize) -> Setup {
    let class = |mut r: Request| {
        r.class = 2;
        r
    };
    let requests = (0..50).map(|i| class(request(i, SimTime::from_millis(i * 1_000), 0, 10, 21)));
    let mut endpoints = endpoints;
    endpoints.iter_mut().for_each(|e| e.error_rate = 0.0);
    let timeout = SimTime::from_secs(60);
    Setup { pools, endpoints, requests: requests.collect(), place, slo: [None; 3], timeout }
}

#[test]
fn with_ample_capacity_the_bound_is_reached() {
    // All on own GPUs: nothing is bought, and nothing had to be.
    let (sink, stats) = quiet(vec![own(1)], vec![endpoint(0, 5, 7, None, Capability::Mid)], 1).run();
    assert_eq!((sink.spend, sink.oracle.least_spend(&stats)), (Usd::ZERO, Usd::ZERO));
    let (sink, _) = quiet(vec![own(1)], vec![], 1).run();
    // Each alone on its replica: 21 steps of 10 ms, and no policy is faster by more than the safety for tables.
    let e2e = sink.oracle.e2e.mean_s(sink.oracle.e2e.least_ns).unwrap();
    assert!((e2e - 0.21).abs() < 0.000_03, "{e2e}");
    assert_eq!(sink.oracle.e2e.mean_s(sink.oracle.e2e.measured_ns), Some(0.21));
    // Bought only, no cache: the cheapest is what was paid, to the pico-dollar.
    let prices = vec![endpoint(0, 5, 7, None, Capability::Mid), endpoint(1, 5, 8, None, Capability::Mid)];
    let (sink, stats) = quiet(vec![], prices, 3).run();
    let paid = Usd(50 * (5 * 10 + 7 * 21));
    assert_eq!((sink.spend, sink.oracle.least_spend(&stats)), (paid, paid));
    // And each was as fast as the faster of both, unless its luck was better at the dearer one.
    assert!(sink.oracle.ttft.least_ns <= sink.oracle.ttft.measured_ns);
}

#[test]
fn a_small_fleet_saves_what_its_time_is_worth() {
    // An SLO of 1 s: own work ends within 50 s of the first arrival. A request needs 20 rows at half of 10 ms.
    let slo = [None, None, Some(SimTime::from_secs(1))];
    let mut setup = Setup { slo, ..quiet(vec![own(1)], vec![endpoint(0, 0, 1_000_000, None, Capability::Mid)], 2) };
    let every_10_ms = |(i, r): (usize, &mut Request)| r.arrival = SimTime::from_millis(i as u64 * 10);
    setup.requests.iter_mut().enumerate().for_each(every_10_ms);
    let (sink, stats) = setup.run();
    assert_eq!(sink.spend, Usd(50 * 21_000_000));
    // 490 ms and 1 s more, 100 ms each: 14.9 of 50 requests fit, the others are bought.
    let least = sink.oracle.least_spend(&stats).0 as f64 / 21e6;
    assert!((least - (50.0 - 14.9)).abs() < 0.5, "{least}");
    // Twice the replicas, twice the time.
    setup.pools[0].replicas = 2;
    let (sink, stats) = setup.run();
    let least = sink.oracle.least_spend(&stats).0 as f64 / 21e6;
    assert!((least - (50.0 - 29.8)).abs() < 1.0, "{least}");
}

#[test]
fn a_millionth_is_left_for_tables_that_are_not_quite_monotone() {
    assert_eq!((safely(0), safely(999_999), safely(12_000_000_000)), (0, 999_999, 11_999_988_000));
}
