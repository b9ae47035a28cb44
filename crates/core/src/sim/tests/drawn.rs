//! Every rule of the gateway at once, drawn, over a small world; what must hold whatever they are.
use super::*;
use proptest::prelude::*;

/// The pools a and b, the endpoints x and y.
pub const PLACES: [Place; 4] =
    [Place::Pool(PoolId(0)), Place::Pool(PoolId(1)), Place::Endpoint(EndpointId(0)), Place::Endpoint(EndpointId(1))];

fn maybe<T: std::fmt::Debug + Clone + 'static>(s: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    proptest::option::weighted(0.4, s).boxed()
}
fn time(most: u64) -> BoxedStrategy<SimTime> {
    // Multiples of a millisecond, so that timers meet steps and each other at the very instant.
    (1..most).prop_map(ms).boxed()
}

prop_compose! {
    pub fn rules()(
        timeout in time(3_000), try_timeout in maybe(time(300)), first_token_timeout in maybe(time(100)),
        preset in 0..6usize, retries in 0..4u32, budget in maybe((0..900_000u64, 1..4u64)),
        fallback in any::<bool>(), hedge in maybe((maybe(time(60)), maybe(1..1_000_000u32))),
        breaker in maybe((1..4u32, time(500), any::<bool>())), cooldown in maybe(time(300)),
        detector in maybe(prop_oneof![
            (1..9u32).prop_map(Detector::InFlight),
            (1..4u32, 1..1_000_000u32, time(300)).prop_map(|(waiting, kv_use_ppm, stale_after)| {
                Detector::Utilization { waiting, kv_use_ppm, stale_after }
            }),
        ]),
        shed_above in maybe(-1..2i32), queue in maybe((1..9u32, time(400))), limit in maybe((0..4usize, 1..6u32)),
        impatience in maybe((0.0..1.0f64, time(200))), cascade in maybe(proptest::collection::vec(0.0..1.0f64, 1..3)),
    ) -> Resilience {
        let retry = Retry::preset(Retry::PRESETS[preset]).unwrap();
        let budget = budget.map(|(share_ppm, burst)| Budget { share_ppm, burst });
        let chains = vec![(PLACES[0], vec![PLACES[1], PLACES[2]]), (PLACES[2], vec![PLACES[3]])];
        let too_long = vec![(PLACES[0], vec![PLACES[3]]), (PLACES[1], vec![PLACES[3], PLACES[2]])];
        Resilience {
            timeout, try_timeout, first_token_timeout,
            retry: Retry { retries, budget, ..retry },
            fallbacks: if fallback { Fallbacks { chains, too_long, ..Fallbacks::default() } } else { Fallbacks::default() },
            hedge: hedge.map(|(after, quantile_ppm)| Hedge { after, quantile_ppm }),
            breaker: breaker.map(|(failures, open, refuse_if_all_open)| {
                Breaker { failures, open, refuse_if_all_open, ..Breaker::default() }
            }),
            cooldown: cooldown.map(|time| Cooldown { time, ..Cooldown::default() }),
            admission: (detector.is_some() || limit.is_some()).then(|| Admission {
                detector, shed_above, queue: queue.map(|(capacity, ttl)| Queue { capacity, ttl }),
            }),
            concurrency: limit.into_iter().map(|(place, most)| (PLACES[place], most)).collect(),
            impatience: impatience.map(|(share, median)| Impatience { share, median, sigma: 0.5 }),
            cascade: cascade.map(|accept| {
                Cascade { stages: [PLACES[0], PLACES[3], PLACES[1]][..=accept.len()].to_vec(), accept }
            }),
        }
    }
}

pub fn drawn_world(rules: &Resilience, deaths: bool, errors: f64, mode: EngineMode) -> WorldSpec {
    let pools = vec![pool("a", 2, 2, mode), pool("b", 1, 4, mode)];
    let endpoints = vec![endpoint("x", 30, errors), endpoint("y", 20, errors / 2.0)];
    let mut spec = world(pools, endpoints, rules.clone());
    spec.endpoints[0].limits.requests_per_minute = Some(300);
    // The other one is overloaded at times, and for a while a part of an account is gone.
    let written = vec![Incident { at: ms(150), until: ms(400), fails: errors, slower: 3.0 }];
    spec.endpoints[1].outages = Some(Arc::new(Outages { provider: "y".into(), written, drawn: None }));
    spec.endpoints[1].limits.tokens_per_minute = Some(9_000);
    spec.endpoints[1].squeezes = vec![Squeeze { at: ms(50), until: ms(300), times_ppm: 250_000 }];
    spec.classes = vec![
        (ClassSpec { privacy: Privacy::InternalOnly, ..ClassSpec::default() }, 300_000),
        (ClassSpec { priority: 1, tolerates: Some(ms(5_000)), ..ClassSpec::default() }, 200_000),
        (ClassSpec::default(), 500_000),
    ];
    let model = FailureModel { per_gpu_hour: 9_000.0, detection: ms(20), recovery: ms(70) };
    spec.failures = deaths.then_some(model);
    spec
}

proptest! {
    #[test]
    fn each_request_ends_once_each_attempt_is_billed_once_and_strides_change_nothing(
        rules in rules(), deaths in any::<bool>(), errors in 0.0..0.9f64,
        asked in proptest::collection::vec((0..40u64, 1..700u32, 1..60u32), 1..60),
    ) {
        let mut at = SimTime::ZERO;
        let requests: Vec<Request> = asked.iter().enumerate().map(|(i, (gap, prompt, output))| {
            at += ms(gap / 3);
            Request { class: u16::MAX, ..request(i as u64, at, *prompt, *output) }
        }).collect();
        let fast = EngineMode::default();
        let slow = EngineMode { strides: false, reference_pool: true };
        let spec = drawn_world(&rules, deaths, errors, fast);
        let (kept, stats) = run(&spec, requests.clone());
        let (again, _) = run(&drawn_world(&rules, deaths, errors, slow), requests.clone());
        prop_assert_eq!(format!("{:?}", kept.attempts), format!("{:?}", again.attempts));
        prop_assert_eq!(format!("{:?}", kept.requests), format!("{:?}", again.requests));
        prop_assert_eq!(format!("{:?}", kept.series), format!("{:?}", again.series));
        let mut ended: Vec<u64> = kept.requests.iter().map(|r| r.index).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..requests.len() as u64).collect::<Vec<_>>());
        let extra: u64 = kept.requests.iter().map(|r| u64::from(r.attempts.saturating_sub(1))).sum();
        prop_assert_eq!(extra, stats.retries + stats.hedges + stats.fallbacks + stats.escalations);
        let mut billed = Usd::ZERO;
        for r in &kept.requests {
            let mut mine: Vec<&AttemptRecord> = kept.attempts.iter().filter(|a| a.request == r.index).collect();
            mine.sort_by_key(|a| a.try_number);
            prop_assert_eq!(mine.len() as u32, r.attempts);
            prop_assert!(mine.iter().enumerate().all(|(k, a)| a.try_number == k as u32));
            prop_assert_eq!(mine.iter().map(|a| a.cost).sum::<Usd>(), r.cost);
            // Every 429 is tried again, or the request says what became of it; an answer comes after it or beside it.
            for a in mine.iter().filter(|a| a.cause == OutcomeCause::RateLimited) {
                let later = mine.iter().any(|b| b.try_number > a.try_number);
                let beside = mine.iter().any(|b| b.try_number != a.try_number && b.sent <= a.ended && a.sent <= b.ended);
                let reported = r.outcome != Outcome::Completed && r.cause != OutcomeCause::None;
                prop_assert!(later || beside || reported, "a 429 got lost: {a:?} of {r:?}");
            }
            let answers = mine.iter().filter(|a| (a.outcome, a.cause) == (Outcome::Completed, OutcomeCause::None));
            prop_assert_eq!(answers.count(), usize::from(r.outcome == Outcome::Completed));
            let class = &spec.classes[r.class as usize].0;
            for a in &mine {
                let bought = matches!(a.backend, Place::Endpoint(_));
                prop_assert!(!bought || class.privacy == Privacy::Any, "a private request left");
                prop_assert!(a.sent <= a.ended && a.ended <= r.ended);
                billed += a.cost;
                // Two at a time at most, and never two at one backend.
                let beside: Vec<_> = mine.iter().filter(|b| b.sent < a.ended && a.sent < b.ended).collect();
                prop_assert!(beside.len() <= 3);
                prop_assert!(beside.iter().all(|b| b.try_number == a.try_number || (b.backend, b.replica) != (a.backend, a.replica)));
            }
            let limit = class.tolerates.unwrap_or(rules.timeout);
            prop_assert!(r.ended <= r.arrival + limit);
        }
        let spend = kept.series.last().map_or(Usd::ZERO, |row| row.api_spend);
        prop_assert!(spend <= billed);
        for (place, most) in &rules.concurrency {
            let there = |a: &&AttemptRecord| a.backend == *place;
            for a in kept.attempts.iter().filter(there) {
                let under_way = kept.attempts.iter().filter(there).filter(|b| b.sent <= a.sent && a.sent < b.ended);
                prop_assert!(under_way.count() as u32 <= *most);
            }
        }
    }
}
