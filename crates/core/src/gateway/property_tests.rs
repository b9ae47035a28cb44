//! What holds for every preset, and for parts put together at random.
use super::testing::{Bench, ask, endpoint, prompt, qualities, to_replica};
use super::*;
use crate::types::{AttemptId, Load, Place, PlaceId, ReplicaId, SimTime};
use proptest::prelude::*;

const WHEN: [&str; 6] = [
    "request.prompt_tokens > 100",
    "pool.waiting_mean > 2.0",
    "request.session % 3 == 0 || request.private",
    "endpoint.expected_cost_usd < 1.0",
    "pools.big.ready > 0 && time.s > 1.0",
    "request.try > 0",
];
const TO: [&str; 10] = ["own", "any", "bought", "cheapest", "fastest", "reject", "chat", "big", "cheap", "frontier"];

fn known() -> PolicyScope {
    PolicyScope {
        pools: vec!["chat".into(), "big".into()],
        replicas: vec![3, 3],
        endpoints: vec!["cheap".into(), "frontier".into()],
        classes: vec!["default".into()],
        slo_ttft: Some(SimTime::from_secs(1)),
        quality: qualities(&[("chat", 0.6), ("frontier", 0.9)]),
    }
}

/// Parts of a preset or drawn ones: weights of all scorers, a picker, rules.
fn parts() -> impl Strategy<Value = Parts> {
    let drawn = (
        proptest::collection::vec(0.0f64..3.0, SCORERS.len()),
        0..7usize,
        proptest::collection::vec((0..WHEN.len(), 0..TO.len(), any::<bool>()), 0..4),
        any::<bool>(),
    );
    let drawn = drawn.prop_map(|(weights, picker, rules, tree)| {
        let picker = [
            PickerSection::Max,
            PickerSection::MaxRandom,
            PickerSection::WeightedRandom,
            PickerSection::PowerOfTwo,
            PickerSection::RoundRobin,
            PickerSection::Random,
            PickerSection::MinCost(MinCostSection { temperature: 0.3, ties: TiesSection::Random }),
        ][picker];
        let scored = !matches!(picker, PickerSection::RoundRobin | PickerSection::Random);
        let by_cost = matches!(picker, PickerSection::MinCost(_));
        let choosing = rules.iter().any(|(_, to, _)| ["any", "bought"].contains(&TO[*to]));
        let scorers =
            SCORERS.iter().zip(weights).filter(|((_, s), _)| (s.is_cost() || !by_cost) && !(choosing && s.own_only()));
        let scorers = scorers.map(|((name, _), w)| (name.to_string(), w + 0.01)).collect();
        let rules = rules.into_iter().map(|(when, to, budget)| RuleSection {
            when: Some(WHEN[when].into()),
            budget: budget.then(|| BudgetSection { usd_per_day: 1.0, day: "1h".into() }),
            to: TO[to].into(),
            ..RuleSection::default()
        });
        Parts {
            rules: rules.collect(),
            scorers: scored.then_some(scorers),
            picker: Some(picker),
            prefix: Some(PrefixSection { tree, blocks: 40, block_tokens: 32, max_tokens: 400 }),
            ..Parts::default()
        }
    });
    let presets: Vec<Parts> = Presets::embedded().iter().map(|p| p.parts().expect(p.name)).collect();
    prop_oneof![drawn, proptest::sample::select(presets)]
}

/// One look at the fleet: who is ready, who may be bought from, loads, the prompt.
type Look = (Vec<bool>, Vec<bool>, Vec<(u32, u32, u32)>, u64, u32, u64);

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let loads = proptest::collection::vec((0u32..9, 0u32..1_000, 0u32..80), 6);
    let ready = proptest::collection::vec(any::<bool>(), 6);
    let allowed = proptest::collection::vec(any::<bool>(), 2);
    proptest::collection::vec((ready, allowed, loads, 0u64..5, 1u32..400, 0u64..4_000_000_000), 1..60)
}

/// Plays the looks; the decisions, with a check that each names a candidate.
fn play(parts: &Parts, looks: &[Look]) -> Vec<Decision> {
    let made = parts.assemble(&known()).unwrap_or_else(|e| panic!("{e}: {parts:?}")).pipeline;
    let needs = made.needs();
    let mut p = Policy::new(made);
    let mut out = Vec::new();
    let mut bench = Bench::of(6);
    bench.pools = [0, 0, 0, 1, 1, 1].into_iter().collect();
    for (i, (ready, allowed, loads, session, tokens, gap)) in looks.iter().enumerate() {
        bench.own = (0..6).map(ReplicaId).filter(|r| ready[r.index()]).collect();
        bench.own_later = bench.own.len() < 6;
        bench.session = *session;
        bench.now += SimTime(*gap);
        bench.arrival = bench.now;
        if gap % 2 == 0 {
            bench.sampled_at = bench.now;
        }
        bench.loads = loads
            .iter()
            .map(|&(waiting, kv, running)| Load { waiting, running, kv_used_blocks: kv, kv_total_blocks: 1_000 })
            .collect();
        bench.predicted = loads.iter().map(|l| SimTime::from_millis(u64::from(l.2) * 40)).collect();
        bench.outstanding = loads.iter().map(|l| l.2).collect();
        bench.unanswered = loads.iter().map(|l| u64::from(l.1) * 3).collect();
        let mut bought: Vec<EndpointView> = (0..2).map(|e| endpoint(e, 1, 1_000_000_000 * i128::from(e + 1))).collect();
        bought.retain(|e| allowed[e.endpoint.index()]);
        if !needs.endpoints && !bench.own.is_empty() {
            bought.clear();
        }
        let content = prompt(&[(*session, *tokens), (i as u64 + 10, 50)]);
        let decision = ask(&mut p, &bench, &bought, i as u64, &content);
        let to = match decision {
            Decision::Send(to) => {
                let own = bench.own.iter().any(|r| to == Place::Replica(*r));
                let endpoint = bought.iter().any(|b| to == Place::Endpoint(b.endpoint));
                assert!(own || endpoint, "constraints: {decision:?} is no candidate of {parts:?}");
                Some(to)
            }
            Decision::Wait => {
                assert!(bench.own.is_empty() && bench.own_later, "{parts:?}");
                None
            }
            Decision::Defer(at) => {
                assert!(at > bench.now);
                None
            }
            Decision::Reject => None,
        };
        if let Some(to) = to.filter(|_| needs.feedback) {
            let (attempt, at, prompt_tokens) = (AttemptId(i as u64), bench.now, *tokens + 50);
            let expected_cost_pico = if matches!(to, Place::Endpoint(_)) { 1_000_000_000 } else { 0 };
            p.learn(&Feedback::Sent { attempt, at, to, prompt_tokens, expected_cost_pico });
            p.learn(&Feedback::FirstToken { to, at, took: SimTime::from_millis(u64::from(*tokens)) });
            if i % 3 != 0 {
                let (output_tokens, completed, timed_out) = (7, i % 3 == 1, i % 3 == 2);
                let cost_pico = expected_cost_pico;
                p.learn(&Feedback::Ended {
                    attempt,
                    at,
                    to,
                    prompt_tokens,
                    output_tokens,
                    completed,
                    timed_out,
                    cost_pico,
                });
            }
        }
        out.push(decision);
    }
    out
}

proptest! {
    #[test]
    fn a_policy_names_only_candidates_and_equal_inputs_give_equal_decisions(parts in parts(), looks in looks()) {
        prop_assert_eq!(play(&parts, &looks), play(&parts, &looks));
    }

    #[test]
    fn with_one_backend_every_composition_without_rules_decides_alike(mut parts in parts(), looks in looks()) {
        parts.rules.clear();
        let alone: Vec<Look> = looks
            .into_iter()
            .map(|(_, _, loads, session, tokens, gap)| {
                (vec![false, false, true, false, false, false], vec![false, false], loads, session, tokens, gap)
            })
            .collect();
        let only = vec![to_replica(2); alone.len()];
        prop_assert_eq!(play(&parts, &alone), only);
    }
}
