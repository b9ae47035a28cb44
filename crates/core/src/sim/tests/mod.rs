//! What the gateway does around attempts, in worlds small enough to say what must come out.
use super::*;
use crate::api::{EndpointSpec, Incident, Latency, Limits, LogNormal, Outages, Price, Rules, Service, Squeeze};
use crate::engine::{EngineLimits, EngineMode, VllmConfig};
use crate::fleet::FailureModel;
use crate::fleet::ReplicaType;
use crate::gateway::*;
use crate::types::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

mod drawn;
mod stepped;

/// A step of one millisecond, and a microsecond a prefill token.
struct Even;
impl StepTime for Even {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill: u128 = shape.prefill.iter().map(|c| u128::from(c.tokens)).sum();
        Femtos(1_000_000_000_000 + prefill * 1_000_000_000)
    }
    fn decode(&self, _rows: u32, _ctx_sum: u64) -> DecodeLaw {
        DecodeLaw { base_fs: 1_000_000_000_000, per_ctx_fs: 0, until_ctx_sum: u64::MAX }
    }
}

struct List(std::collections::VecDeque<Request>);
impl Source for List {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok(self.0.front().map(|r| r.arrival))
    }
    fn next(&mut self) -> Request {
        self.0.pop_front().expect("peeked")
    }
    fn finished(&mut self, _session: u64, _at: SimTime, _outcome: Outcome) {}
    fn total(&self) -> Option<u64> {
        None
    }
}

#[derive(Default)]
struct Kept {
    attempts: Vec<AttemptRecord>,
    requests: Vec<RequestRecord>,
    series: Vec<SeriesRow>,
    left: Vec<Place>,
}
impl Kept {
    /// Takes what a world says has happened.
    fn take(&mut self, world: &mut World<'_>) {
        let mut effects = Effects::default();
        world.effects(&mut effects);
        for effect in effects.list {
            match effect {
                WorldEffect::Attempt(record) => self.attempts.push(record),
                WorldEffect::Request(record) => self.requests.push(record),
                WorldEffect::Series(row) => self.series.push(row),
                WorldEffect::Left { place } => self.left.push(place),
                WorldEffect::FirstToken { .. } => {}
            }
        }
    }
}
impl RecordSink for Kept {
    fn attempt(&mut self, record: &AttemptRecord) {
        self.attempts.push(*record);
    }
    fn request(&mut self, record: &RequestRecord) {
        self.requests.push(*record);
    }
    fn gaps(&mut self, _run: &GapRun) {}
    fn series(&mut self, row: &SeriesRow) {
        self.series.push(*row);
    }
}

fn place(endpoint: u32) -> Place {
    EndpointId(endpoint).into()
}
fn ms(n: u64) -> SimTime {
    SimTime::from_millis(n)
}
fn request(index: u64, at: SimTime, prompt: u32, output: u32) -> Request {
    let content = Content::private(index, prompt);
    let (prompt_tokens, output_tokens, max_output_tokens) = (prompt, output, output);
    let (tenant, session, class, priority) = (0, NO_SESSION, 0, 0);
    Request {
        index,
        arrival: at,
        tenant,
        session,
        class,
        prompt_tokens,
        output_tokens,
        max_output_tokens,
        priority,
        content,
    }
}

fn pool(name: &str, replicas: u32, seqs: u32, mode: EngineMode) -> PoolSpec {
    let config = VllmConfig {
        num_blocks: 65,
        max_num_seqs: seqs,
        max_num_batched_tokens: 256,
        max_model_len: 1_000,
        ..VllmConfig::default()
    };
    let limits = EngineLimits {
        max_rows: seqs,
        most_rows: seqs,
        most_tokens: 256,
        cached_block: Some(config.block_size),
        by_priority: false,
    };
    let facts =
        BackendFacts { internal: true, capability: Capability::Mid, max_context_tokens: 1_000, deferred: false };
    let replica = ReplicaType::made_by(move |mode| config.clone().scheduler(mode), limits, facts, Arc::new(Even));
    PoolSpec {
        name: name.into(),
        replicas,
        replica: Arc::new(replica),
        mode,
        assumed_prefill_tokens_per_s: ASSUMED_PREFILL_TOKENS_PER_S,
    }
}

/// US$ 1 a token, in and out, with hardly any luck in it.
fn endpoint(name: &str, ttft_ms: u64, error_rate: f64) -> EndpointSpec {
    let usd = |usd: f64| TokenPrice::per_million(usd).expect("a price");
    EndpointSpec {
        name: name.into(),
        latency: Latency::LogNormal(LogNormal {
            ttft_p50_s: ttft_ms as f64 / 1e3,
            output_tokens_per_s: 1_000.0,
            p95_over_p50: 1.0,
        }),
        error_rate,
        overload_rate: 0.0,
        outages: None,
        price: Price { input: usd(1.0), output: usd(1.0), ..Price::default() },
        account: name.into(),
        limits: Limits::default(),
        squeezes: Vec::new(),
        cache: None,
        service: Service::default(),
        capability: Capability::Frontier,
        max_input_tokens: 100_000,
    }
}

fn world(pools: Vec<PoolSpec>, endpoints: Vec<EndpointSpec>, resilience: Resilience) -> WorldSpec {
    WorldSpec {
        seed: 7,
        replicate: 0,
        pools,
        endpoints,
        routing: Routing::least_outstanding(),
        resilience,
        scrape: (ms(50), SimTime::ZERO),
        kv_event_delay: SimTime::ZERO,
        classes: vec![(ClassSpec::default(), 1_000_000)],
        failures: None,
        slo: [None; 3],
        sample_every: SimTime::from_secs(1),
        answers: PlaceMap::default(),
    }
}

fn run(spec: &WorldSpec, requests: Vec<Request>) -> (Kept, SimStats) {
    let mut kept = Kept::default();
    let stats = simulate(spec, &mut List(requests.into()), &mut kept, &AtomicU64::new(0), &AtomicBool::new(false));
    (kept, stats.expect("a small world ends"))
}

fn outcomes(kept: &Kept) -> Vec<(&'static str, &'static str)> {
    kept.requests.iter().map(|r| (r.outcome.name(), r.cause.name())).collect()
}

#[test]
fn an_outage_fails_what_is_sent_in_it_and_a_squeeze_refuses_what_is_too_much() {
    let none = Resilience { timeout: ms(60_000), ..Resilience::none() };
    let mut sick = endpoint("sick", 10, 0.0);
    let written = vec![
        Incident { at: ms(100), until: ms(200), fails: 1.0, slower: 1.0 },
        Incident { at: ms(300), until: ms(400), fails: 0.0, slower: 3.0 },
    ];
    sick.outages = Some(Arc::new(Outages { provider: "p".into(), written, drawn: None }));
    let at = [99, 100, 199, 200, 300].map(ms);
    let asked: Vec<Request> = (0..).zip(at).map(|(i, at)| request(i, at, 10, 6)).collect();
    let (kept, _) = run(&world(vec![], vec![sick.clone()], none.clone()), asked.clone());
    let mut ended: Vec<_> = kept.requests.iter().map(|r| (r.arrival, r.cause.name(), r.e2e)).collect();
    ended.sort_unstable();
    let (bad, good) = (("server_error", ms(10)), ("", ms(15)));
    let want = [(ms(99), good), (ms(100), bad), (ms(199), bad), (ms(200), good), (ms(300), ("", ms(45)))];
    let want: Vec<_> = want.into_iter().map(|(at, (cause, took))| (at, cause, took)).collect();
    assert_eq!(ended, want);
    // The fallback chain leads out of it, and an overload is no reason to stay.
    let to_the_other = Resilience {
        fallbacks: Fallbacks { chains: vec![(place(0), vec![place(1)])], ..Fallbacks::default() },
        ..none.clone()
    };
    let (kept, stats) = run(&world(vec![], vec![sick, endpoint("well", 20, 0.0)], to_the_other), asked);
    assert!(kept.requests.iter().all(|r| r.outcome == Outcome::Completed), "{:?}", outcomes(&kept));
    assert_eq!(stats.fallbacks, 2);
    // Two a second, one of them while it is squeezed; a call that is refused does not count here.
    let mut tight = endpoint("tight", 1, 0.0);
    tight.limits = Limits { requests_per_minute: Some(2), rules: Rules::of_provider("anthropic"), ..Limits::NONE };
    tight.squeezes = vec![Squeeze { at: ms(0), until: ms(1_000), times_ppm: 500_000 }];
    let asked: Vec<Request> = (0..4).map(|i| request(i, ms(i * 10), 10, 1)).collect();
    let (kept, _) = run(&world(vec![], vec![tight], none), asked);
    assert_eq!(outcomes(&kept).iter().filter(|o| **o == ("failed", "rate_limited")).count(), 3);
}

#[test]
fn a_try_that_takes_too_long_is_billed_and_tried_again() {
    let retry = Retry { retries: 1, ..Retry::default() };
    let r = Resilience { first_token_timeout: Some(ms(100)), retry, ..Resilience::default() };
    let (kept, stats) = run(&world(vec![], vec![endpoint("slow", 300, 0.0)], r), vec![request(0, ms(0), 10, 5)]);
    assert_eq!(outcomes(&kept), [("failed", "try_timeout")]);
    assert_eq!((kept.attempts.len(), stats.try_timeouts, stats.retries), (2, 2, 1));
    assert!(kept.attempts.iter().all(|a| (a.outcome, a.ended - a.sent) == (Outcome::TimedOut, ms(100))));
    // Ten tokens of prompt each, at a dollar a million.
    assert_eq!(kept.requests[0].cost, Usd(20 * 1_000_000));
    let r = Resilience { try_timeout: Some(ms(302)), retry: Retry { retries: 0, ..retry }, ..Resilience::default() };
    let (kept, _) = run(&world(vec![], vec![endpoint("slow", 300, 0.0)], r), vec![request(0, ms(0), 10, 50)]);
    assert_eq!((kept.attempts[0].output_tokens, kept.requests[0].cost), (3, Usd(13 * 1_000_000)), "300, 301, 302 ms");
}

#[test]
fn fallbacks_go_along_the_chain_after_the_tries_and_at_once_for_what_is_too_long() {
    let chains = vec![(place(0), vec![place(1), place(2)])];
    let fallbacks = Fallbacks { chains, too_long: vec![(place(0), vec![place(2)])], ..Fallbacks::default() };
    let r = Resilience { fallbacks, ..Resilience::default() };
    let endpoints = || {
        let cheap = Price { input: TokenPrice::per_million(0.1).unwrap(), ..endpoint("a", 1, 1.0).price };
        let first = EndpointSpec { price: cheap, max_input_tokens: 500, ..endpoint("a", 1, 1.0) };
        vec![first, endpoint("b", 1, 1.0), endpoint("c", 1, 0.0)]
    };
    let (kept, stats) = run(&world(vec![], endpoints(), r.clone()), vec![request(0, ms(0), 10, 5)]);
    assert_eq!(outcomes(&kept), [("completed", "")]);
    let to: Vec<Place> = kept.attempts.iter().map(|a| a.backend).collect();
    let e = |number| Place::Endpoint(EndpointId(number));
    assert_eq!(to, [e(0), e(0), e(0), e(1), e(1), e(1), e(2)], "three tries at each place");
    assert_eq!((stats.fallbacks, stats.retries), (2, 4));
    let (kept, stats) = run(&world(vec![], endpoints(), r), vec![request(0, ms(0), 490, 20)]);
    let to: Vec<(Place, SimTime)> = kept.attempts.iter().map(|a| (a.backend, a.sent)).collect();
    assert_eq!((to, stats.fallbacks), (vec![(e(0), ms(0)), (e(2), ms(0))], 1));
}

#[test]
fn a_hedge_wins_the_loser_is_cancelled_and_both_are_billed() {
    let r = Resilience { hedge: Some(Hedge { after: Some(ms(50)), quantile_ppm: None }), ..Resilience::default() };
    let cheap = Price { input: TokenPrice::per_million(0.1).unwrap(), ..endpoint("a", 1, 0.0).price };
    let slow = EndpointSpec { price: cheap, ..endpoint("slow", 300, 0.0) };
    let (kept, stats) = run(&world(vec![], vec![slow, endpoint("fast", 20, 0.0)], r), vec![request(0, ms(0), 10, 5)]);
    let r = &kept.requests[0];
    assert_eq!((outcomes(&kept), stats.hedges, r.attempts), (vec![("completed", "")], 1, 2));
    assert_eq!((r.ttft, r.ended), (Some(ms(70)), ms(74)));
    let loser = &kept.attempts[0];
    assert_eq!((loser.outcome, loser.cause, loser.ended), (Outcome::Cancelled, OutcomeCause::Hedged, ms(70)));
    assert_eq!(r.cost, Usd(1_000_000 + 15_000_000), "the loser's prompt, the winner's prompt and output");
}

#[test]
fn of_two_that_answer_at_one_instant_one_counts_and_both_are_billed() {
    let r = Resilience { hedge: Some(Hedge { after: Some(ms(50)), quantile_ppm: None }), ..Resilience::default() };
    let spec = world(vec![], vec![endpoint("a", 70, 0.0), endpoint("b", 20, 0.0)], r);
    let (kept, _) = run(&spec, vec![request(0, ms(0), 10, 1)]);
    assert_eq!((kept.requests.len(), kept.attempts.len()), (1, 2));
    assert!(kept.attempts.iter().all(|a| (a.output_tokens, a.ended) == (1, ms(70))));
    assert_eq!(kept.requests[0].cost, Usd(22 * 1_000_000));
    assert_eq!(kept.requests[0].ended, ms(70));
}

#[test]
fn an_open_circuit_is_no_candidate_and_all_open_is_what_the_rule_says() {
    let breaker = Breaker { failures: 2, open: SimTime::from_secs(10), ..Breaker::default() };
    let retry = Retry { retries: 0, ..Retry::default() };
    let r = Resilience { breaker: Some(breaker), retry, ..Resilience::default() };
    let cheap = Price { input: TokenPrice::per_million(0.1).unwrap(), ..endpoint("a", 1, 0.0).price };
    let bad = || EndpointSpec { price: cheap, ..endpoint("bad", 1, 1.0) };
    let requests = || (0..6).map(|i| request(i, ms(100 * i), 10, 5)).collect::<Vec<_>>();
    let (kept, stats) = run(&world(vec![], vec![bad(), endpoint("good", 1, 0.0)], r.clone()), requests());
    let failed = kept.requests.iter().filter(|r| r.outcome == Outcome::Failed).count();
    assert_eq!((failed, stats.circuits_opened), (2, 1));
    let (kept, _) = run(&world(vec![], vec![bad()], r.clone()), requests());
    assert!(outcomes(&kept).iter().all(|o| *o == ("failed", "server_error")), "as if none were open");
    let refuse = Resilience { breaker: Some(Breaker { refuse_if_all_open: true, ..breaker }), ..r };
    let (kept, _) = run(&world(vec![], vec![bad()], refuse), requests());
    assert_eq!(outcomes(&kept)[1..3], [("failed", "server_error"), ("rejected", "no_backend")]);
}

#[test]
fn admission_sheds_queues_by_priority_and_lets_nobody_wait_for_ever() {
    let queue = Some(Queue { capacity: 3, ttl: ms(100) });
    let admission = Admission { detector: Some(Detector::InFlight(1)), shed_above: Some(0), queue };
    let r = Resilience { admission: Some(admission), ..Resilience::default() };
    let spec = world(vec![pool("own", 1, 8, EngineMode::default())], vec![], r);
    let mut requests: Vec<Request> = (0..6).map(|i| request(i, ms(0), 10, 40)).collect();
    requests[1].priority = 1; // shed
    requests[4].priority = -5; // goes before the others
    let (kept, _) = run(&spec, requests);
    let by = |i: u64| kept.requests.iter().find(|r| r.index == i).unwrap();
    assert_eq!((by(1).outcome, by(1).cause), (Outcome::Rejected, OutcomeCause::Shed));
    assert_eq!(by(5).cause, OutcomeCause::GatewayQueueFull);
    assert!(by(0).ended < by(4).ended && by(4).ended < by(2).ended, "first the urgent one, then in order of arrival");
    assert_eq!((by(3).cause, by(3).ended), (OutcomeCause::QueueTimeout, ms(100)));
}

#[test]
fn a_place_has_no_more_requests_under_way_than_it_may() {
    let concurrency = vec![(PoolId(0).into(), 2)];
    let queue = Some(Queue { capacity: 100, ttl: SimTime::from_secs(60) });
    let admission = Some(Admission { detector: None, shed_above: None, queue });
    let requests = || (0..9).map(|i| request(i, ms(i), 10, 40)).collect::<Vec<_>>();
    let most = |kept: &Kept| {
        let under_way = |t: SimTime| kept.attempts.iter().filter(|a| a.sent <= t && t < a.ended).count();
        kept.attempts.iter().map(|a| under_way(a.sent)).max()
    };
    for (admission, completed) in [(None, 2), (admission, 9)] {
        let r = Resilience { admission, concurrency: concurrency.clone(), ..Resilience::default() };
        let (kept, _) = run(&world(vec![pool("own", 2, 8, EngineMode::default())], vec![], r), requests());
        assert_eq!(most(&kept), Some(2));
        assert_eq!(kept.requests.iter().filter(|r| r.outcome == Outcome::Completed).count(), completed);
    }
}

#[test]
fn an_impatient_client_frees_its_place_and_pays_for_what_was_done() {
    let impatience = Some(Impatience { share: 1.0, median: ms(100), sigma: 0.0 });
    let r = Resilience { impatience, ..Resilience::default() };
    let spec = world(vec![], vec![endpoint("slow", 300, 0.0)], r);
    let (kept, _) = run(&spec, vec![request(0, ms(0), 10, 5)]);
    assert_eq!(outcomes(&kept), [("cancelled", "client_gone")]);
    assert_eq!((kept.requests[0].ended, kept.requests[0].cost), (ms(100), Usd(10_000_000)));
}

#[test]
fn a_cascade_adds_costs_and_latencies_and_keeps_the_last_answer() {
    for (tau, attempts) in [(0.0, 2), (1.0, 1)] {
        let cascade = Some(Cascade { stages: vec![place(0), place(1)], accept: vec![tau] });
        let r = Resilience { cascade, ..Resilience::default() };
        let endpoints = vec![endpoint("small", 10, 0.0), endpoint("large", 20, 0.0)];
        let spec = world(vec![pool("own", 1, 8, EngineMode::default())], endpoints, r);
        let (kept, stats) = run(&spec, vec![request(0, ms(0), 10, 5)]);
        let r = &kept.requests[0];
        assert_eq!((r.outcome, r.attempts, stats.escalations), (Outcome::Completed, attempts, u64::from(attempts - 1)));
        assert_eq!(r.cost, Usd(i128::from(attempts) * 15_000_000));
        // 10 + 4 ms of the small one, then 20 + 4 ms.
        assert_eq!((r.ttft, r.ended), if attempts == 2 { (Some(ms(34)), ms(38)) } else { (Some(ms(10)), ms(14)) });
    }
}

#[test]
fn a_class_that_tolerates_a_wait_has_its_own_timeout_and_objectives() {
    let r = Resilience { timeout: ms(100), ..Resilience::default() };
    let mut spec = world(vec![], vec![endpoint("slow", 300, 0.0)], r);
    spec.slo = [Some(ms(50)), None, Some(ms(50))];
    let (kept, _) = run(&spec, vec![request(0, ms(0), 10, 5)]);
    assert_eq!(outcomes(&kept), [("timed_out", "timeout")]);
    spec.classes[0].0.tolerates = Some(ms(400));
    let (kept, _) = run(&spec, vec![request(0, ms(0), 10, 5)]);
    assert!(kept.requests[0].met_slo);
}

#[test]
fn five_thousand_may_time_out_at_one_instant() {
    let r = Resilience { timeout: ms(100), ..Resilience::default() };
    let spec = world(vec![], vec![endpoint("slow", 300, 0.0)], r);
    let (kept, _) = run(&spec, (0..6_000).map(|i| request(i, ms(0), 10, 5)).collect());
    assert_eq!(kept.requests.len(), 6_000);
}
