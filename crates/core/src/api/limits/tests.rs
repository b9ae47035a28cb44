//! Limits against the vectors of spec/apis.md, and against oracles that keep every admission and look at every window.
use super::*;
use crate::api::CacheUse;
use crate::types::{AttemptId, Content, FailureCause, Job, SimTime, Usd};
use proptest::prelude::*;

const MINUTE: SimTime = SimTime::from_secs(60);

/// When, and what each limit counted: requests, input, output, both.
type Counted = (u64, [i128; 4]);

fn s(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}
fn job(prompt: u32, most: u32) -> Job {
    Job {
        attempt: AttemptId(0),
        request: 0,
        try_number: 0,
        prompt_tokens: prompt,
        output_tokens: most,
        max_output_tokens: most,
        priority: 0,
        content: Content::private(0, prompt),
    }
}
fn used(prompt: u32, cached: u32, output: u32) -> Used {
    Used { prompt, cached, output }
}
fn cached(read: u32) -> CacheUse {
    CacheUse { read, ..CacheUse::default() }
}
fn retry_after(refusal: Result<Reserved, FailureCause>) -> SimTime {
    refusal.expect_err("a refusal").retry_after().expect("a refusal for a limit")
}

#[test]
fn an_empty_bucket_of_30k_makes_5k_wait_ten_seconds() {
    let mut bucket = TokenBucket::new(30_000, MINUTE);
    bucket.charge(30_000, SimTime::ZERO);
    assert_eq!(bucket.wait(5_000, SimTime::ZERO), s(10));
    assert_eq!(bucket.wait(5_000, s(9)), s(1));
    assert_eq!(bucket.wait(5_000, s(10)), SimTime::ZERO);
}

#[test]
fn a_request_above_the_capacity_waits_for_a_full_bucket_and_leaves_a_debt() {
    let mut bucket = TokenBucket::new(60, MINUTE);
    assert_eq!(bucket.wait(1_000, SimTime::ZERO), SimTime::ZERO);
    bucket.charge(100, SimTime::ZERO);
    assert_eq!(bucket.look(SimTime::ZERO), (0, 40));
    assert_eq!(bucket.wait(1, SimTime::ZERO), s(41));
    assert_eq!(bucket.wait(1_000, SimTime::ZERO), s(100));
}

#[test]
fn sixty_a_minute_may_be_enforced_as_one_a_second() {
    let rules = Rules { requests_over: Some(s(1)), ..Rules::of_provider("anthropic") };
    let limits = Limits { requests_per_minute: Some(60), rules, ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    assert!(l.admit(&job(1, 1), s(100)).is_ok());
    assert_eq!(retry_after(l.admit(&job(1, 1), s(100))), s(1));
    assert!(l.admit(&job(1, 1), s(101)).is_ok());
}

#[test]
fn openai_counts_the_larger_of_prompt_and_max_tokens_and_never_corrects_it() {
    let limits = Limits { tokens_per_minute: Some(6_000), rules: Rules::of_provider("openai"), ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    let held = l.admit(&job(500, 4_000), SimTime::ZERO).unwrap();
    l.started(&job(500, 4_000), cached(0), SimTime::ZERO);
    l.settle(held, used(500, 0, 10), Usd::ZERO, SimTime::ZERO);
    assert_eq!(retry_after(l.admit(&job(2_500, 100), SimTime::ZERO)), s(5), "2,000 are left, 100 a second come");
    assert_eq!(retry_after(l.admit(&job(7_000, 1), s(600))), SimTime::ZERO, "too large: no time helps");
}

#[test]
fn refused_requests_count_where_the_provider_says_so_but_make_no_debt() {
    let of = |provider| {
        let rules = Rules::of_provider(provider);
        let limits = Limits { requests_per_minute: Some(60), input_tokens_per_minute: Some(60), rules, ..Limits::NONE };
        let mut l = Limiter::new(&limits, &[]);
        l.admit(&job(60, 1), SimTime::ZERO).unwrap();
        l.started(&job(60, 1), cached(0), SimTime::ZERO);
        (0..1_000).for_each(|_| assert!(l.admit(&job(60, 1), SimTime::ZERO).is_err()));
        // A token of input and a request cost a second each.
        retry_after(l.admit(&job(1, 1), SimTime::ZERO))
    };
    assert_eq!([of("openai"), of("anthropic")], [s(1), s(1)]);
    let limits = Limits { requests_per_minute: Some(60), rules: Rules::of_provider("openai"), ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    (0..60).for_each(|_| assert!(l.admit(&job(1, 1), SimTime::ZERO).is_ok()));
    let half = SimTime::from_millis(500);
    assert_eq!(retry_after(l.admit(&job(1, 1), half)), s(1), "it took the half request that was there");
    assert!(l.admit(&job(1, 1), half + s(1)).is_ok());
}

#[test]
fn anthropic_exempts_cache_reads_and_counts_output_in_either_way() {
    let rules = Rules::of_provider("anthropic");
    let limits = Limits { input_tokens_per_minute: Some(6_000), rules, ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    // 80 % cache reads: five times the limit.
    for _ in 0..5 {
        assert!(l.admit(&job(5_000, 1), SimTime::ZERO).is_ok());
        l.started(&job(5_000, 1), cached(4_800), SimTime::ZERO);
    }
    assert!(l.admit(&job(5_001, 1), SimTime::ZERO).is_err(), "five times 200 are gone");
    let by_max = Rules { output: OutputCounting::MaxTokens, ..rules };
    let mut l = Limiter::new(&Limits { output_tokens_per_minute: Some(6_000), rules: by_max, ..Limits::NONE }, &[]);
    let held = l.admit(&job(1, 4_000), SimTime::ZERO).unwrap();
    assert_eq!(retry_after(l.admit(&job(1, 4_000), SimTime::ZERO)), s(20));
    l.settle(held, used(1, 0, 100), Usd::ZERO, SimTime::ZERO);
    assert!(l.admit(&job(1, 4_000), SimTime::ZERO).is_ok(), "corrected to 100");
    let mut l = Limiter::new(&Limits { output_tokens_per_minute: Some(6_000), rules, ..Limits::NONE }, &[]);
    let held = [(); 3].map(|()| l.admit(&job(1, 4_000), SimTime::ZERO).unwrap());
    held.into_iter().for_each(|h| l.settle(h, used(1, 0, 4_000), Usd::ZERO, SimTime::ZERO));
    // 6,000 owed, and one token more.
    assert_eq!(retry_after(l.admit(&job(1, 4_000), SimTime::ZERO)), s(60) + SimTime(10_000_000));
}

#[test]
fn bedrock_reserves_what_may_come_and_settles_with_the_burn_down() {
    let limits = |tpm| Limits { tokens_per_minute: Some(tpm), rules: Rules::of_provider("bedrock"), ..Limits::NONE };
    let under_way = |most| {
        let mut l = Limiter::new(&limits(2_000_000), &[]);
        (0..).take_while(|_| l.admit(&job(500, most), SimTime::ZERO).is_ok()).count()
    };
    assert_eq!([under_way(1_000), under_way(64_000)], [1_333, 31], "spec/apis.md 4.4");
    let rules = Rules { both: Counting::BurnDown(5), ..Rules::of_provider("bedrock") };
    let mut l = Limiter::new(&Limits { rules, ..limits(6_000) }, &[]);
    let held = l.admit(&job(1_000, 5_000), SimTime::ZERO).unwrap();
    l.settle(held, used(1_000, 400, 200), Usd::ZERO, SimTime::ZERO);
    // 600 uncached and five times 200.
    assert_eq!(retry_after(l.admit(&job(1_000, 5_000), SimTime::ZERO)), s(16));
    let held = l.admit(&job(100, 100), SimTime::ZERO).unwrap();
    l.failed(held, SimTime::ZERO);
    assert_eq!(retry_after(l.admit(&job(1_000, 5_000), SimTime::ZERO)), s(16), "a failed call gives all back");
}

#[test]
fn a_hundred_ptu_of_gpt_5_serve_95_calls_a_minute() {
    let utilization = Some(Utilization { tokens_per_minute: 100 * 4_750, output_milli: 8_000 });
    let mut l = Limiter::new(&Limits { utilization, ..Limits::NONE }, &[]);
    let call = job(2_000, 500);
    let mut admitted = Vec::new();
    // A caller every 100 ms, for half an hour.
    for tenth in 0..18_000u64 {
        let now = SimTime::from_millis(tenth * 100);
        if let Ok(held) = l.admit(&call, now) {
            l.started(&call, cached(1_000), now);
            l.settle(held, used(2_000, 1_000, 500), Usd::ZERO, now);
            admitted.push(now);
        }
    }
    let within = |from: u64| admitted.iter().filter(|t| s(from * 60) <= **t && **t < s(from * 60 + 60)).count();
    assert!((5..30).all(|minute| (94..=96).contains(&within(minute))), "{:?}", (0..30).map(within).collect::<Vec<_>>());
    // Full: the next one waits until the surplus is gone.
    let mut l = Limiter::new(&Limits { utilization, ..Limits::NONE }, &[]);
    assert!((0..95).all(|_| l.admit(&job(1_000, 500), SimTime::ZERO).is_ok()));
    l.admit(&job(1_000, 500), SimTime::ZERO).expect("at 100 %, not above");
    let after = retry_after(l.admit(&job(1, 1), SimTime::ZERO));
    assert_eq!(after, SimTime(60_000_000_000u64.div_ceil(95)), "5,000 of 475,000 a minute");
}

#[test]
fn a_day_begins_at_midnight_for_gemini_and_never_for_others() {
    let limits = |day| Limits {
        requests_per_day: Some(2),
        rules: Rules { day, ..Rules::of_provider("gemini") },
        ..Limits::NONE
    };
    let mut l = Limiter::new(&limits(Day::Midnight(s(23 * 3_600))), &[]);
    assert!(l.admit(&job(1, 1), SimTime::ZERO).is_ok() && l.admit(&job(1, 1), s(600)).is_ok());
    assert_eq!(retry_after(l.admit(&job(1, 1), s(1_800))), s(1_800));
    assert!(l.admit(&job(1, 1), s(3_600)).is_ok());
    let mut l = Limiter::new(&limits(Day::Rolling), &[]);
    assert!(l.admit(&job(1, 1), SimTime::ZERO).is_ok() && l.admit(&job(1, 1), SimTime::ZERO).is_ok());
    assert_eq!(retry_after(l.admit(&job(1, 1), SimTime::ZERO)), s(43_200));
}

#[test]
fn sharp_ramps_are_refused_below_the_limit() {
    let acceleration = Some(Acceleration { times_ppm: 1_500_000, over_minutes: 15, above: 1_000 });
    let limits = Limits { rules: Rules { acceleration, ..Rules::PLAIN }, ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    let mut send = |prompt, at| {
        l.admit(&job(prompt, 1), s(at)).map(|_| ()).map_err(|cause| {
            assert!(matches!(cause, FailureCause::SlowDown { .. }), "{cause:?}");
            cause.retry_after().unwrap()
        })
    };
    assert_eq!(send(100_000, 60), Ok(()), "nobody knows what was before");
    assert_eq!(send(150_000, 15 * 60), Ok(()), "1.5 times");
    assert_eq!(send(1, 15 * 60 + 20), Err(s(40)), "no more in this minute");
    assert_eq!(send(225_001, 16 * 60), Err(s(60)));
    assert_eq!(send(225_000, 16 * 60), Ok(()));
    assert_eq!(send(1_000, 60 * 60), Ok(()), "below the floor, after a pause that forgets everything");
    assert_eq!(send(1, 60 * 60), Err(s(60)));
}

#[test]
fn a_spent_account_is_refused_for_good() {
    let limits = Limits { spend_cap: Some(Usd(100)), ..Limits::NONE };
    let mut l = Limiter::new(&limits, &[]);
    let held = l.admit(&job(1, 1), SimTime::ZERO).unwrap();
    l.settle(held, used(1, 0, 1), Usd(99), SimTime::ZERO);
    let held = l.admit(&job(1, 1), SimTime::ZERO).unwrap();
    l.settle(held, used(1, 0, 1), Usd(1), SimTime::ZERO);
    assert_eq!(l.admit(&job(1, 1), s(1_000_000)), Err(FailureCause::QuotaExhausted));
}

#[test]
fn a_squeeze_scales_limits_from_its_first_to_its_last_instant() {
    let limits = Limits { requests_per_minute: Some(60), rules: Rules::of_provider("anthropic"), ..Limits::NONE };
    let squeezes = [
        Squeeze { at: s(100), until: s(200), times_ppm: 500_000 },
        Squeeze { at: s(150), until: s(250), times_ppm: 500_000 },
    ];
    let mut l = Limiter::new(&limits, &squeezes);
    let mut burst = |at| (0..).take_while(|_| l.admit(&job(1, 1), s(at)).is_ok()).count();
    // Whatever was left is cut to what a squeezed bucket holds: 60, 30, 15, and up again.
    assert_eq!([burst(99), burst(129), burst(160), burst(190)], [60, 15, 13, 8]);
    assert_eq!([burst(210), burst(250), burst(310)], [7, 20, 60]);
}

/// What a bucket is, said once more: from its beginning, every event again.
fn slow_level(rate: i128, window: i128, events: &[(u64, i128)], now: u64) -> i128 {
    let (mut net, mut at) = (rate * window, 0);
    for (t, change) in events.iter().copied().chain([(now, 0)]) {
        net = (net + rate * i128::from(t - at)).min(rate * window);
        net = (net + change * window).min(rate * window);
        at = t;
    }
    net
}

proptest! {
    /// A bucket against its history: it is never negative, it says the right wait, and no window has more than capacity,
    /// refill, what came back and the debt at the window's end.
    #[test]
    fn a_bucket_is_never_negative_and_no_window_admits_more(
        rate in 1u64..500,
        steps in proptest::collection::vec((0u64..3_000_000_000, 0u8..4, 0u64..700), 1..60),
    ) {
        let window = 10_000_000_000u64;
        let mut bucket = TokenBucket::new(rate, SimTime(window));
        let (mut now, mut events, mut held): (u64, Vec<(u64, i128)>, u64) = (0, Vec::new(), 0);
        let mut after = Vec::new();
        for (gap, kind, tokens) in steps {
            now += gap;
            let at = SimTime(now);
            let net = slow_level(rate.into(), window.into(), &events, now);
            let wait = bucket.wait(tokens, at);
            let need = i128::from(tokens.min(rate)) * i128::from(window);
            prop_assert_eq!(wait == SimTime::ZERO, net >= need);
            let later = |t: u64| slow_level(rate.into(), window.into(), &events, now + t) >= need;
            prop_assert!(later(wait.0) && (wait.0 == 0 || !later(wait.0 - 1)), "the wait is the shortest");
            match kind {
                // Let in if there.
                0 | 1 if wait == SimTime::ZERO => {
                    bucket.charge(tokens, at);
                    events.push((now, -i128::from(tokens)));
                    held += tokens;
                }
                2 => {
                    let back = tokens.min(held);
                    bucket.give_back(back, at);
                    events.push((now, back.into()));
                    held -= back;
                }
                // After the fact.
                3 => {
                    bucket.charge(tokens / 4, at);
                    events.push((now, -i128::from(tokens / 4)));
                }
                _ => {}
            }
            let (level, debt) = bucket.look(at);
            prop_assert!(level >= 0 && debt >= 0 && (level == 0 || debt == 0));
            after.resize(events.len(), debt);
        }
        for i in 0..events.len() {
            let mut sum = 0;
            for j in i..events.len() {
                sum -= events[j].1;
                let span = i128::from(events[j].0 - events[i].0);
                let most = i128::from(rate) + (i128::from(rate) * span) / i128::from(window) + 1 + after[j];
                prop_assert!(sum <= most, "{sum} of {most} in events {i} to {j}");
            }
        }
    }

    /// Each provider's limiter: over no window does it admit more requests or tokens than limit + limit x window, as they
    /// are counted when a call is sent; and what it refuses, it would have been wrong to admit.
    #[test]
    fn no_window_admits_more_than_the_limit(
        preset in 0usize..Rules::PRESETS.len(),
        by_max in any::<bool>(),
        limits in (1u64..40, 50u64..2_000, 50u64..2_000, 50u64..2_000),
        calls in proptest::collection::vec((0u64..8_000, 1u32..300, 1u32..300, 0u32..100, 0u64..20_000), 1..80),
    ) {
        let mut rules = Rules::of_provider(Rules::PRESETS[preset]);
        if by_max {
            rules.output = OutputCounting::MaxTokens;
        }
        // Calls of more than the limit wait for a full bucket under plain rules; here none is that large.
        let (rpm, input, output, both) = limits;
        let (input, output, both) = (input.max(300), output.max(300), both.max(600));
        let limits = Limits {
            requests_per_minute: Some(rpm),
            input_tokens_per_minute: Some(input),
            output_tokens_per_minute: Some(output),
            tokens_per_minute: Some(both),
            rules,
            ..Limits::NONE
        };
        let mut l = Limiter::new(&limits, &[]);
        let mut now = 0;
        // Sent calls: when, and what each limit counts at once; what comes back or is owed later stands beside it.
        let (mut sent, mut corrections): (Vec<Counted>, Vec<Counted>) = (Vec::new(), Vec::new());
        let mut open: Vec<(u64, Reserved, Used)> = Vec::new();
        for (gap, prompt, most, used_percent, lasts) in calls {
            now += gap * 1_000_000;
            open.sort_by_key(|o| o.0);
            while open.first().is_some_and(|o| o.0 <= now) {
                let (at, held, used) = open.remove(0);
                l.settle(held, used, Usd::ZERO, SimTime(at));
                let reserved = if rules.output == OutputCounting::MaxTokens { held_output(&held) } else { 0 };
                let both = match rules.both {
                    Counting::Actual => i128::from(used.output),
                    Counting::BurnDown(n) => {
                        i128::from(used.prompt - used.cached) + i128::from(used.output) * i128::from(n) - held_both(&held)
                    }
                    _ => 0,
                };
                corrections.push((at, [0, 0, i128::from(used.output) - reserved, both]));
            }
            let call = job(prompt, most);
            let cached_tokens = prompt * used_percent / 100;
            if let Ok(held) = l.admit(&call, SimTime(now)) {
                l.started(&call, cached(cached_tokens), SimTime(now));
                let fresh = i128::from(if rules.cache_reads_count { prompt } else { prompt - cached_tokens });
                let out = if by_max { i128::from(most) } else { 0 };
                let whole = match rules.both {
                    Counting::Actual => fresh,
                    Counting::Larger => prompt.max(most).into(),
                    _ => i128::from(prompt) + i128::from(most),
                };
                sent.push((now, [1, fresh, out, whole]));
                let used = used(prompt, cached_tokens, (most * used_percent / 100).max(1));
                open.push((now + lasts * 1_000_000, held, used));
            }
        }
        for (dimension, limit) in [rpm, input, output, both].into_iter().enumerate() {
            for i in 0..sent.len() {
                for j in i..sent.len() {
                    let (from, to) = (sent[i].0, sent[j].0);
                    let counted: i128 = sent[i..=j].iter().map(|s| s.1[dimension]).sum();
                    let within = corrections.iter().filter(|c| from <= c.0 && c.0 <= to);
                    // What came back may be used again.
                    let back: i128 = within.map(|c| (-c.1[dimension]).max(0)).sum();
                    let most = i128::from(limit) + i128::from(limit) * i128::from(to - from) / 60_000_000_000 + 1 + back;
                    prop_assert!(counted <= most, "dimension {dimension}: {counted} of {most} from {from} to {to}");
                }
            }
        }
    }

    /// A refusal's Retry-After is the shortest wait after which the same call is let in, if nobody else comes.
    #[test]
    fn retry_after_is_the_shortest_wait_that_helps(
        preset in 0usize..Rules::PRESETS.len(),
        calls in proptest::collection::vec((0u64..2_000, 1u32..400, 1u32..300), 1..40),
    ) {
        let rules = Rules::of_provider(Rules::PRESETS[preset]);
        let limits = Limits {
            requests_per_minute: Some(7),
            input_tokens_per_minute: Some(900),
            tokens_per_minute: Some(1_200),
            requests_per_day: Some(30),
            rules,
            ..Limits::NONE
        };
        let mut now = 0;
        let mut history: Vec<(u64, Job)> = Vec::new();
        let replayed = |history: &[(u64, Job)]| {
            let mut l = Limiter::new(&limits, &[]);
            let mut last = None;
            for (at, call) in history {
                let at = SimTime(*at);
                let answer = l.admit(call, at);
                if answer.is_ok() {
                    l.started(call, cached(0), at);
                }
                last = Some(answer);
            }
            last.expect("a call")
        };
        for (gap, prompt, most) in calls {
            now += gap * 1_000_000;
            let call = job(prompt, most);
            history.push((now, call.clone()));
            let Err(FailureCause::RateLimited { retry_after }) = replayed(&history) else { continue };
            if retry_after == SimTime::ZERO {
                history.push((now + 86_400_000_000_000, call));
                prop_assert!(replayed(&history).is_err(), "no time helps");
            } else {
                history.push((now + retry_after.0, call.clone()));
                prop_assert!(replayed(&history).is_ok(), "it helps");
                history.pop();
                history.push((now + retry_after.0 - 1, call));
                prop_assert!(replayed(&history).is_err(), "nothing shorter does");
            }
            history.pop();
        }
    }
}

fn held_output(held: &Reserved) -> i128 {
    held.output().into()
}
fn held_both(held: &Reserved) -> i128 {
    held.both().into()
}
