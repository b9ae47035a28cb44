//! Endpoints of other tiers and of models that think: when they answer, and what is billed.
use super::*;
use crate::api::{CacheRule, Endpoint, EndpointSpec, Latency, Limiter, Limits, LogNormal, Price};
use crate::types::{AttemptId, Capability, Content, Effect, FailureCause, Job, TokenPrice, Usd};

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
        external_kv: None,
        hold_kv_until: None,
    }
}

fn limiter() -> Limiter {
    Limiter::new(&Limits::default(), &[])
}

fn ends(endpoint: &mut Endpoint, until: SimTime) -> Vec<(Effect, Usd)> {
    let mut out = Vec::new();
    endpoint.advance(until, &mut limiter(), &mut out);
    out
}

#[test]
fn hidden_tokens_pass_first_are_billed_and_stay_within_the_clients_limit() {
    let mut e =
        endpoint(Service { reasoning: Some(Reasoning { median_tokens: 1_000_000, sigma: 0.0 }), ..Service::default() });
    // 25 allowed, 5 shown: 20 hidden.
    e.submit(&job(1, 25), SimTime::ZERO, &mut limiter(), &mut Vec::new());
    let (first, done) = (SimTime::from_millis(300), SimTime::from_millis(340));
    let attempt = AttemptId(1);
    let cost = Usd(1_000 + 20 * 2 + 5 * 10);
    assert_eq!(
        ends(&mut e, HOUR),
        [
            (Effect::FirstToken { attempt, at: first }, Usd::ZERO),
            (Effect::Done { attempt, at: done, cached_tokens: 0, preemptions: 0 }, cost)
        ]
    );
    // Hung up on while it thinks: what was thought is billed, and nothing was shown; later some was.
    for (attempt, at_ms, shown, cost) in
        [(2, 50, 0, 1_000), (3, 200, 0, 1_000 + 11 * 2), (4, 300, 1, 1_000 + 20 * 2 + 10), (5, 325, 3, 1_000 + 40 + 30)]
    {
        e.submit(&job(attempt, 25), SimTime::ZERO, &mut limiter(), &mut Vec::new());
        let left = e.cancel(AttemptId(attempt), SimTime::from_millis(at_ms), &mut limiter());
        assert_eq!(left, (shown, 0, Usd(cost)), "{at_ms} ms");
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
    plain.submit(&whole, SimTime::ZERO, &mut limiter(), &mut Vec::new());
    thinking.submit(&job(1, 1_000), SimTime::ZERO, &mut limiter(), &mut Vec::new());
    let (of_plain, of_thinking) = (ends(&mut plain, HOUR), ends(&mut thinking, HOUR));
    assert_eq!(of_plain[1].0, of_thinking[1].0, "1,000 tokens are generated in either case");
    assert!(of_plain[0].0 != of_thinking[0].0, "but the first 995 are not shown");
}

#[test]
fn a_batch_answers_all_at_once_costs_nothing_until_then_and_expires() {
    let turnaround = |p50_s| Some(Turnaround { p50_s, p95_over_p50: 1.0, window: Turnaround::DAY });
    let mut e = endpoint(Service { turnaround: turnaround(3_600.0), ..Service::default() });
    e.submit(&job(1, 5), SimTime::ZERO, &mut limiter(), &mut Vec::new());
    e.submit(&job(2, 5), SimTime::ZERO, &mut limiter(), &mut Vec::new());
    assert_eq!(e.next_event(), HOUR);
    assert_eq!(e.cancel(AttemptId(2), SimTime(HOUR.0 - 1), &mut limiter()), (0, 0, Usd::ZERO));
    let all = ends(&mut e, HOUR);
    assert_eq!(all[0].0, Effect::FirstToken { attempt: AttemptId(1), at: HOUR });
    assert_eq!((all[1].1, all.len()), (Usd(1_000 + 50), 2));
    assert!(e.spec().deferred() && e.spec().ttft_p90() == HOUR);

    let mut late = endpoint(Service { turnaround: turnaround(90_000.0), ..Service::default() });
    late.submit(&job(1, 5), SimTime::ZERO, &mut limiter(), &mut Vec::new());
    let at = Turnaround::DAY;
    let expired = Effect::Failed { attempt: AttemptId(1), at, cause: FailureCause::Expired, emitted: 0 };
    assert_eq!(ends(&mut late, SimTime::from_secs(100_000)), [(expired, Usd::ZERO)]);
    assert_eq!((late.spend(), late.in_flight()), (Usd::ZERO, 0));
}

#[test]
fn a_tier_without_room_refuses_at_once_and_bills_nothing() {
    let mut e = endpoint(Service { unavailable_share: 1.0, ..Service::default() });
    let mut out = Vec::new();
    e.submit(&job(1, 5), HOUR, &mut limiter(), &mut out);
    let cause = FailureCause::RateLimited { retry_after: SimTime::ZERO };
    assert_eq!(out, [Effect::Failed { attempt: AttemptId(1), at: HOUR, cause, emitted: 0 }]);
    assert_eq!((e.next_event(), e.in_flight(), e.spend()), (SimTime::NEVER, 0, Usd::ZERO));
}
