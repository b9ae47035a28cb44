//! Hybrids and conditions, by hand.
use super::testing::{Bench, ask, endpoint, prompt, qualities, to_endpoint, to_replica};
use super::*;
use crate::types::{AttemptId, EndpointId, Faults, Place, ReplicaId, SimTime};

fn known() -> PolicyScope {
    PolicyScope {
        pools: vec!["chat".into(), "big".into()],
        replicas: vec![1, 1],
        endpoints: vec!["cheap".into(), "frontier".into()],
        classes: vec!["default".into()],
        slo_ttft: None,
        quality: qualities(&[("chat", 0.6), ("frontier", 0.9)]),
    }
}
fn policy(parts: &Parts) -> Policy {
    Policy::new(parts.assemble(&known()).unwrap_or_else(|e| panic!("{e}")).pipeline)
}
fn of(text: &str) -> Result<Assembled, Faults> {
    let parts: Parts = toml::from_str(text).unwrap_or_else(|e| panic!("{e}"));
    parts.assemble(&known())
}
fn fleet() -> Bench {
    let mut bench = Bench::of(2);
    bench.pools = [0, 1].into_iter().collect();
    bench
}
const CHEAP: Decision = to_endpoint(0);
const FRONTIER: Decision = to_endpoint(1);

#[test]
fn a_baseload_split_sends_a_steady_rate_to_own_replicas() {
    let split = BaseloadSplitSection { requests_per_s: 2.0, burst: 3, to: "cheapest".into() };
    let mut p = policy(&split.parts());
    let bought = [endpoint(0, 1, 5), endpoint(1, 1, 9)];
    let mut at = |ms: u64| {
        let mut bench = fleet();
        bench.now = SimTime::from_millis(ms);
        ask(&mut p, &bench, &bought, ms, &prompt(&[(1, 9)]))
    };
    let burst: Vec<Decision> = (0..4).map(|_| at(1)).collect();
    assert_eq!(burst, [to_replica(0), to_replica(0), to_replica(0), CHEAP]);
    assert_eq!([at(500), at(501), at(502)], [CHEAP, to_replica(0), CHEAP], "half a second fills one");
    let own = (0..1_000).filter(|i| matches!(at(10_000 + i * 10), Decision::Send(Place::Replica(_)))).count();
    assert_eq!(own, 3 + 19, "ten seconds at two a second, and the burst that was full");
}

#[test]
fn time_of_day_goes_through_midnight() {
    let parts = |from: &str, until: &str, offset: &str| {
        let (from, until, offset) = (from.into(), until.into(), offset.into());
        TimeOfDaySection { from, until, offset, to: "frontier".into() }.parts()
    };
    let at = |parts: &Parts, hours: u64| {
        let mut bench = fleet();
        bench.now = SimTime::from_secs(hours * 3_600);
        ask(&mut policy(parts), &bench, &[endpoint(0, 1, 1), endpoint(1, 1, 1)], 0, &prompt(&[(1, 9)]))
    };
    let day = parts("8h", "18h", "0s");
    assert_eq!([7, 8, 17, 18, 32].map(|h| at(&day, h) == FRONTIER), [false, true, true, false, true]);
    let night = parts("22h", "6h", "0s");
    assert_eq!([21, 22, 24, 29, 30].map(|h| at(&night, h) == FRONTIER), [false, true, true, true, false]);
    assert_eq!([0, 4].map(|h| at(&parts("8h", "12h", "8h"), h) == FRONTIER), [true, false]);
}

#[test]
fn a_budget_is_spent_at_the_pace_of_the_day_and_what_is_under_way_counts() {
    const USD: i128 = 1_000_000_000_000;
    let budget = BudgetSection { usd_per_day: 24.0, day: "24h".into() };
    let rules = vec![RuleSection { budget: Some(budget), to: "cheapest".into(), ..RuleSection::default() }];
    let mut p = policy(&Parts { rules, ..Parts::default() });
    let bought = [endpoint(0, 1, USD)];
    let buys = |p: &mut Policy, hours_tenth: u64| {
        let mut bench = fleet();
        bench.now = SimTime::from_secs(hours_tenth * 360);
        ask(p, &bench, &bought, 0, &prompt(&[(1, 9)])) == CHEAP
    };
    let sent = |p: &mut Policy, id: u64, hours_tenth: u64| {
        let (at, to) = (SimTime::from_secs(hours_tenth * 360), Place::Endpoint(EndpointId(0)));
        let attempt = AttemptId(id);
        p.learn(&Feedback::Sent { attempt, at, to, prompt_tokens: 9, expected_cost_pico: USD });
    };
    assert!(!buys(&mut p, 9) && buys(&mut p, 10), "a dollar an hour");
    sent(&mut p, 1, 10);
    assert!(!buys(&mut p, 19) && buys(&mut p, 20), "one is under way");
    let (at, to) = (SimTime::from_secs(2), Place::Endpoint(EndpointId(0)));
    p.learn(&Feedback::Ended {
        attempt: AttemptId(1),
        at,
        to,
        prompt_tokens: 9,
        output_tokens: 3,
        completed: true,
        timed_out: false,
        cost_pico: USD / 2,
    });
    assert!(!buys(&mut p, 14) && buys(&mut p, 15), "it cost half");
    (2..40).for_each(|id| sent(&mut p, id, 20));
    assert!(!buys(&mut p, 239) && !buys(&mut p, 241) && buys(&mut p, 250), "a new day begins with nothing spent");
}

#[test]
fn the_strong_model_gets_its_share_and_the_same_requests_under_every_policy() {
    let section = |share| RouteLlmThresholdSection {
        to: "frontier".into(),
        threshold: None,
        strong_share: Some(share),
        win_rates: vec![0.1, 0.2, 0.3, 0.4, 0.5],
        classes: Default::default(),
        predictor: None,
    };
    let strong = |share: f64| {
        let mut p = policy(&section(share).parts());
        let bought = [endpoint(0, 1, 1), endpoint(1, 1, 1)];
        let asked = (0..10_000).map(|i| ask(&mut p, &fleet(), &bought, i, &prompt(&[(1, 9)])) == FRONTIER);
        asked.collect::<Vec<bool>>()
    };
    let (few, many) = (strong(0.2), strong(0.4));
    let share = |s: &[bool]| s.iter().filter(|x| **x).count() as f64 / s.len() as f64;
    assert!((share(&few) - 0.2).abs() < 0.02 && (share(&many) - 0.4).abs() < 0.02);
    assert!(few.iter().zip(&many).all(|(a, b)| !a || *b), "who needs it at 0.2 needs it at 0.4");
}

#[test]
fn rules_are_asked_in_order_and_skip_places_without_a_candidate() {
    let made = of(
        "rules = [{ when = \"request.prompt_tokens > 100\", to = \"frontier\" }, { when = \"request.tenant == 0\", \
                   to = \"big\" }, { to = \"reject\" }]",
    );
    let mut p = Policy::new(made.unwrap().pipeline);
    let both = [endpoint(0, 1, 1), endpoint(1, 1, 9)];
    assert_eq!(ask(&mut p, &fleet(), &both, 0, &prompt(&[(1, 101)])), FRONTIER);
    assert_eq!(ask(&mut p, &fleet(), &both[..1], 0, &prompt(&[(1, 101)])), to_replica(1), "not allowed there");
    assert_eq!(ask(&mut p, &fleet(), &both, 0, &prompt(&[(1, 100)])), to_replica(1));
    let mut without = fleet();
    without.own = vec![ReplicaId(0)];
    assert_eq!(ask(&mut p, &without, &both, 0, &prompt(&[(1, 100)])), Decision::Reject);
}

#[test]
fn a_deferral_names_one_instant_and_then_is_over() {
    let at = |text: &str, arrival_s: u64, now_s: u64| {
        let mut bench = fleet();
        (bench.arrival, bench.now) = (SimTime::from_secs(arrival_s), SimTime::from_secs(now_s));
        ask(&mut Policy::new(of(text).unwrap().pipeline), &bench, &[], 0, &prompt(&[(1, 9)]))
    };
    let night = "rules = [{ to = \"defer\", until = \"22h\" }]";
    let at_22 = Decision::Defer(SimTime::from_secs(22 * 3_600));
    assert_eq!([at(night, 10, 10), at(night, 10, 3_600)], [at_22, at_22]);
    assert_eq!(at(night, 10, 22 * 3_600), to_replica(0), "it was asked again");
    assert_eq!(at(night, 22 * 3_600, 22 * 3_600), Decision::Defer(SimTime::from_secs(46 * 3_600)));
    let wait = "rules = [{ to = \"defer\", wait = \"5s\" }]";
    assert_eq!([at(wait, 7, 7), at(wait, 7, 12)], [Decision::Defer(SimTime::from_secs(12)), to_replica(0)]);
}

#[test]
fn litellm_leaves_out_endpoints_at_their_limits_and_takes_the_least_used() {
    let mut p = policy(&Presets::embedded().get("litellm_usage_v2").unwrap().parts().unwrap());
    let limited = [EndpointView { requests_per_minute: Some(3), ..endpoint(0, 1, 1) }, endpoint(1, 1, 1)];
    let mut none = fleet();
    none.own.clear();
    let mut picks = Vec::new();
    for i in 0..4 {
        let decision = ask(&mut p, &none, &limited, i, &prompt(&[(1, 9)]));
        let Decision::Send(to @ Place::Endpoint(EndpointId(e))) = decision else { panic!("{decision:?}") };
        let (attempt, at) = (AttemptId(i), none.now);
        p.learn(&Feedback::Sent { attempt, at, to, prompt_tokens: 9, expected_cost_pico: 0 });
        // The second endpoint used more tokens so far.
        let output_tokens = 10 + 1_000 * e;
        let (completed, timed_out, cost_pico, prompt_tokens) = (true, false, 0, 9);
        p.learn(&Feedback::Ended { attempt, at, to, prompt_tokens, output_tokens, completed, timed_out, cost_pico });
        picks.push(e);
    }
    assert_eq!(picks.iter().filter(|e| **e == 0).count(), 2, "rpm + 1 >= 3 leaves it out: {picks:?}");
}

#[test]
fn what_cannot_be_is_refused_by_key() {
    for (text, fault) in [
        ("scorers = { queue = 0, kv_use = 0.0 }", "scorers: the weights add up to 0; at least one must be above 0"),
        ("scorers = { queu = 1 }", "scorers.queu: unknown scorer `queu`; did you mean `queue`?"),
        ("scorers = { queue = -1 }", "scorers.queue: it is -1; it must be a number from 0"),
        ("picker = \"power_of_two\"", "picker: this picker takes scored candidates; give scorers"),
        (
            "scorers = { queue = 1 }\npicker = \"random\"",
            "scorers: the picker looks at no scores; leave them out, or use max",
        ),
        (
            "scorers = { prefix = 1 }\npicker = { min_cost = {} }",
            "scorers.prefix: `prefix` is a score, and the picker min_cost takes costs; use max, or another scorer",
        ),
        (
            "rules = [{ to = \"frontie\" }]",
            "rules[0].to: unknown place of this policy `frontie`; did you mean `frontier`?",
        ),
        (
            "rules = [{ when = \"true\" }]",
            "rules[0].to: it is missing; give own, any, bought, cheapest, fastest, reject, defer, or the name of a pool or an endpoint",
        ),
        (
            "rules = [{ when = \"request.promt_tokens > 1\", to = \"own\" }]",
            "rules[0].when: unknown field of request `promt_tokens`; did you mean `prompt_tokens`?",
        ),
        (
            "scorers = { queue = 1 }\nrules = [{ to = \"any\" }]",
            "scorers: `queue` is observed of own replicas only, and the rule also chooses among endpoints",
        ),
        ("rules = [{ to = \"defer\" }]", "rules[0].to: it is \"defer\"; give either until or wait"),
        (
            "rules = [{ to = \"own\", within = \"2s\" }]",
            "rules[0].within: it goes with to = \"cheapest\", not with \"own\"",
        ),
        (
            "rules = [{ overflow = {}, to = \"cheapest\" }]",
            "rules[0].overflow: it has no threshold; give waiting_per_replica, kv_use or predicted_ttft",
        ),
        (
            "rules = [{ need = { threshold = 0.5, strong_share = 0.5 }, to = \"frontier\" }]",
            "rules[0].need: both threshold and strong_share are given; give one",
        ),
        (
            "rules = [{ to = \"cheapest\", scorers = { price = 1 } }]",
            "rules[0].scorers: to = \"cheapest\" leaves nothing to score; leave them out",
        ),
        (
            "weights = { chta = 1 }",
            "weights.chta: unknown pool or endpoint of this policy `chta`; did you mean `chat`?",
        ),
    ] {
        assert_eq!(of(text).expect_err(text).to_string(), fault, "{text}");
    }
    let none = PolicyScope { replicas: vec![0, 0], ..known() };
    let refused = |text: &str| toml::from_str::<Parts>(text).unwrap().assemble(&none).unwrap_err().to_string();
    assert_eq!(
        refused("scorers = { kv_use = 1 }"),
        "scorers: `kv_use` is observed of own replicas only, and this policy keeps none"
    );
    assert_eq!(
        refused("rules = [{ to = \"big\" }]"),
        "rules[0].to: this policy keeps no replica of pool `big`; keep one, or send nothing there"
    );
    let warned = |text| of(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        warned("rules = [{ when = \"1 > 2\", to = \"own\" }]"),
        ["rules[0].when: it is never true; the rule never holds and changes no figure"]
    );
    assert_eq!(
        warned("rules = [{ to = \"reject\" }, { to = \"own\" }]"),
        ["rules[1]: rules[0] always holds before it; it is never asked and changes no figure"]
    );
}

#[test]
fn the_oracle_buys_what_only_the_strong_model_can_and_a_predictor_comes_near_it() {
    let quality = known().quality;
    let pair = Pair { weak: quality[0].1.clone(), strong: quality[1].1.clone() };
    let bought = [endpoint(0, 1, 1), endpoint(1, 1, 1)];
    let run = |text: &str| {
        let mut p = Policy::new(of(text).unwrap_or_else(|e| panic!("{e}")).pipeline);
        let strong = (0..10_000).map(|i| ask(&mut p, &fleet(), &bought, i, &prompt(&[(1, 9)])) == FRONTIER);
        strong.collect::<Vec<bool>>()
    };
    let truth: Vec<bool> = (0..10_000).map(|i| pair.needs_strong(i, SimTime::ZERO)).collect();
    let oracle = run("rules = [{ need = { oracle = { weak = \"chat\" } }, to = \"frontier\" }]");
    assert_eq!(oracle, truth);
    let right = |auc: f64| {
        let need = format!("{{ strong_share = 0.36, predictor = {{ auc = {auc}, weak = \"chat\" }} }}");
        let strong = run(&format!("rules = [{{ need = {need}, to = \"frontier\" }}]"));
        let share = strong.iter().filter(|s| **s).count() as f64 / 1e4;
        assert!((share - 0.36).abs() < 0.015, "{auc}: {share}");
        strong.iter().zip(&truth).filter(|(s, t)| **s && **t).count() as f64 / 3_600.0
    };
    assert!((right(0.5) - 0.36).abs() < 0.03, "chance");
    assert!(right(0.7) > 0.5 && right(0.9) > 0.7 && right(0.999) > 0.95);
}

#[test]
fn what_is_wrong_in_one_part_hides_nothing_in_another() {
    let text = "scorers = { queu = 1, kv_use = -1 }\nprefix = { blocks = 0 }\n\
        rules = [{ prefix_hit = 2, saturation = { waiting = 0, kv_use = 0 }, to = \"chta\" }]";
    let keys: Vec<String> = of(text).unwrap_err().iter().map(|fault| fault.key.to_string()).collect();
    let rule = ["to", "prefix_hit", "saturation.waiting", "saturation.kv_use"].map(|k| format!("rules[0].{k}"));
    let [to, hit, waiting, kv_use] = &rule;
    assert_eq!(keys, ["scorers.queu", "scorers.kv_use", to, hit, waiting, kv_use, "prefix.blocks"]);
}

#[test]
fn wrong_predictors_are_refused() {
    for (need, to, says) in [
        ("{ predictor = { auc = 0.7, weak = \"chat\" } }", "frontier", "rules[0].need.strong_share: it is missing"),
        (
            "{ strong_share = 0.5, predictor = { auc = 0.4, weak = \"chat\" } }",
            "frontier",
            "rules[0].need.predictor.auc: it is 0.4",
        ),
        ("{ strong_share = 0.5, predictor = { auc = 1.0, weak = \"chat\" } }", "frontier", "oracle_quality is that"),
        ("{ strong_share = 1.5, predictor = { auc = 0.7, weak = \"chat\" } }", "frontier", "strong_share: it is 1.5"),
        (
            "{ threshold = 0.5, predictor = { auc = 0.7, weak = \"chat\" } }",
            "frontier",
            "need.threshold: predictor is given",
        ),
        (
            "{ strong_share = 0.5, win_rates = [0.5], predictor = { auc = 0.7 } }",
            "frontier",
            "need.win_rates: predictor",
        ),
        (
            "{ strong_share = 0.5, predictor = { auc = 0.7 } }",
            "frontier",
            "predictor.weak: it is missing, and this policy has 3",
        ),
        ("{ strong_share = 0.5, predictor = { auc = 0.7, weak = \"chad\" } }", "frontier", "did you mean `chat`"),
        (
            "{ strong_share = 0.5, predictor = { auc = 0.7, weak = \"big\" } }",
            "frontier",
            "weak: it is not known how good",
        ),
        ("{ oracle = { weak = \"chat\" } }", "cheap", "rules[0].to: it is not known how good answers of `cheap`"),
        (
            "{ oracle = { weak = \"chat\" } }",
            "cheapest",
            "rules[0].to: it is \"cheapest\"; it must be the pool or endpoint",
        ),
        ("{ oracle = { weak = \"chat\" }, strong_share = 0.5 }", "frontier", "strong_share: oracle is given too"),
    ] {
        let error = of(&format!("rules = [{{ need = {need}, to = \"{to}\" }}]")).unwrap_err().to_string();
        assert!(error.contains(says), "{need}: {error}");
    }
}
