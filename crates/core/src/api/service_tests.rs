//! Endpoints of other tiers and of models that think: when they answer, and what is billed.
use super::*;
use crate::api::{CacheRule, Endpoint, EndpointSpec, Latency, Limiter, Limits, LogNormal, Metered, Price};
use crate::types::{
    AttemptId, Backend, Cancelled, Capability, Content, Effect, FailureCause, Job, Outbox, Stop, TokenPrice, Usd,
};

const HOUR: SimTime = SimTime::from_secs(3_600);

/// 100 ms to the first token, 10 ms a token, without luck; 1 pico-dollar in, 10 out, 2 hidden.
fn endpoint(service: Service) -> Endpoint {
    let latency = LogNormal { ttft_p50_s: 0.1, output_tokens_per_s: 100.0, p95_over_p50: 1.0 };
    with_latency(Latency::LogNormal(latency), service)
}

fn with_latency(latency: Latency, service: Service) -> Endpoint {
    let price =
        Price { input: TokenPrice(1), output: TokenPrice(10), reasoning: Some(TokenPrice(2)), ..Price::default() };
    let spec = EndpointSpec {
        name: "a".into(),
        latency,
        error_rate: 0.0,
        overload_rate: 0.0,
        outages: None,
        squeezes: Vec::new(),
        price,
        account: "a".into(),
        limits: Limits::default(),
        cache: Some(CacheRule::OPENAI),
        service,
        capability: Capability::Small,
        max_input_tokens: 100_000,
    };
    Endpoint::new(spec, 7, 0)
}

fn job(attempt: u64, max_output_tokens: u32) -> Job {
    Job {
        attempt: AttemptId(attempt),
        request: attempt,
        try_number: 0,
        prompt_tokens: 1_000,
        output_tokens: 5,
        max_output_tokens,
        priority: 0,
        content: Content::private(attempt, 1_000),
    }
}

fn limiter() -> Limiter {
    Limiter::new(&Limits::default(), &[])
}

/// Hands a job in, to an account of its own; what is said at once.
fn submit(endpoint: &mut Endpoint, job: Job, now: SimTime) -> Vec<Effect> {
    let mut out = Outbox::default();
    Metered { endpoint, account: &mut limiter() }.submit(job, now, &mut out);
    out.effects
}

fn cancel(endpoint: &mut Endpoint, attempt: u64, now: SimTime) -> Option<Cancelled> {
    Metered { endpoint, account: &mut limiter() }.cancel(AttemptId(attempt), now, &mut Outbox::default())
}

fn ends(endpoint: &mut Endpoint, until: SimTime) -> Vec<Effect> {
    let mut out = Outbox::default();
    Metered { endpoint, account: &mut limiter() }.advance(until, &mut out);
    out.effects
}

#[test]
fn hidden_tokens_pass_first_are_billed_and_stay_within_the_clients_limit() {
    let mut e =
        endpoint(Service { reasoning: Some(Reasoning { median_tokens: 1_000_000, sigma: 0.0 }), ..Service::default() });
    // 25 allowed, 5 shown: 20 hidden.
    submit(&mut e, job(1, 25), SimTime::ZERO);
    let (first, done) = (SimTime::from_millis(300), SimTime::from_millis(340));
    let attempt = AttemptId(1);
    let cost = Usd(1_000 + 20 * 2 + 5 * 10);
    assert_eq!(
        ends(&mut e, HOUR),
        [
            Effect::FirstToken { attempt, at: first },
            Effect::Done { attempt, at: done, cached_tokens: 0, preemptions: 0, cost }
        ]
    );
    // Hung up on while it thinks: what was thought is billed, and nothing was shown; later some was.
    for (attempt, at_ms, shown, cost) in
        [(2, 50, 0, 1_000), (3, 200, 0, 1_000 + 11 * 2), (4, 300, 1, 1_000 + 20 * 2 + 10), (5, 325, 3, 1_000 + 40 + 30)]
    {
        submit(&mut e, job(attempt, 25), SimTime::ZERO);
        let left = cancel(&mut e, attempt, SimTime::from_millis(at_ms));
        assert_eq!(left, Some(Cancelled { output_tokens: shown, cached_tokens: 0, cost: Usd(cost) }), "{at_ms} ms");
    }
    assert_eq!(e.spec().expected_output(5, 25), 25);
}

/// The whole of a measured call has all of its output, hidden or shown, so thinking takes its share of that time.
#[test]
fn hidden_tokens_take_their_time_by_a_measured_law_too() {
    let profile = &crate::catalog::ApiProfile::embedded()[0];
    let law = Latency::Profile(std::sync::Arc::new(crate::api::ProfileLaw::new(profile, SimTime::ZERO)));
    let thinks = Service { reasoning: Some(Reasoning { median_tokens: 995, sigma: 0.0 }), ..Service::default() };
    let mut plain = with_latency(law.clone(), Service::default());
    let mut thinking = with_latency(law, thinks);
    let whole = Job { output_tokens: 1_000, ..job(1, 1_000) };
    submit(&mut plain, whole, SimTime::ZERO);
    submit(&mut thinking, job(1, 1_000), SimTime::ZERO);
    let (of_plain, of_thinking) = (ends(&mut plain, HOUR), ends(&mut thinking, HOUR));
    let done_at = |effects: &[Effect]| match effects[1] {
        Effect::Done { at, .. } => at,
        _ => panic!("{effects:?}"),
    };
    assert_eq!(done_at(&of_plain), done_at(&of_thinking), "1,000 tokens are generated in either case");
    assert!(of_plain[0] != of_thinking[0], "but the first 995 are not shown");
}

#[test]
fn a_batch_answers_all_at_once_costs_nothing_until_then_and_expires() {
    let turnaround = |p50_s| Some(Turnaround { p50_s, p95_over_p50: 1.0, window: Turnaround::DAY });
    let mut e = endpoint(Service { turnaround: turnaround(3_600.0), ..Service::default() });
    submit(&mut e, job(1, 5), SimTime::ZERO);
    submit(&mut e, job(2, 5), SimTime::ZERO);
    assert_eq!(e.next_event(), HOUR);
    assert_eq!(cancel(&mut e, 2, SimTime(HOUR.0 - 1)), Some(Cancelled::default()));
    assert_eq!(cancel(&mut e, 2, HOUR), None);
    let all = ends(&mut e, HOUR);
    let attempt = AttemptId(1);
    assert_eq!(all[0], Effect::FirstToken { attempt, at: HOUR });
    let cost = Usd(1_000 + 50);
    assert_eq!(all[1..], [Effect::Done { attempt, at: HOUR, cached_tokens: 0, preemptions: 0, cost }]);
    assert!(e.spec().deferred() && e.spec().ttft_p90() == HOUR);

    let mut late = endpoint(Service { turnaround: turnaround(90_000.0), ..Service::default() });
    submit(&mut late, job(1, 5), SimTime::ZERO);
    let at = Turnaround::DAY;
    let expired = Effect::Failed { attempt: AttemptId(1), at, cause: FailureCause::Expired, emitted: 0 };
    assert_eq!(ends(&mut late, SimTime::from_secs(100_000)), [expired]);
    assert_eq!((late.spend(), late.in_flight()), (Usd::ZERO, 0));
}

#[test]
fn a_tier_without_room_refuses_at_once_and_bills_nothing() {
    let mut e = endpoint(Service { unavailable_share: 1.0, ..Service::default() });
    let out = submit(&mut e, job(1, 5), HOUR);
    let cause = FailureCause::RateLimited { retry_after: SimTime::ZERO };
    assert_eq!(out, [Effect::Failed { attempt: AttemptId(1), at: HOUR, cause, emitted: 0 }]);
    assert_eq!((e.next_event(), e.in_flight(), e.spend()), (SimTime::NEVER, 0, Usd::ZERO));
}

#[test]
fn an_endpoint_that_is_killed_fails_its_calls_in_order_and_bills_nothing() {
    let mut e = endpoint(Service::default());
    // Attempts may be any numbers.
    for attempt in [u64::MAX, 7, 1 << 40] {
        assert_eq!(submit(&mut e, job(attempt, 5), SimTime::ZERO), []);
    }
    let (now, mut out) = (SimTime::from_millis(125), Outbox::default());
    Metered { endpoint: &mut e, account: &mut limiter() }.stop(now, Stop::Kill, &mut out);
    let failed = |attempt| {
        let (attempt, cause) = (AttemptId(attempt), FailureCause::ServerError);
        Effect::Failed { attempt, at: now, cause, emitted: 3 }
    };
    assert_eq!(out.effects, [7, 1 << 40, u64::MAX].map(failed));
    assert_eq!((e.next_event(), e.in_flight(), e.spend()), (SimTime::NEVER, 0, Usd::ZERO));
}
