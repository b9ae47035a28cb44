//! Conditions by hand: values, faults with their places, texts that are no CEL.
use super::*;
use crate::types::Fault;

fn names(n: &[&str]) -> Vec<String> {
    n.iter().map(|s| s.to_string()).collect()
}

fn made(text: &str) -> Result<Lowered, Fault> {
    let (pools, endpoints, classes) = (names(&["chat", "big-pool"]), names(&["frontier"]), names(&["hard", "default"]));
    compile(text, &Scope { pools: &pools, endpoints: &endpoints, classes: &classes })
}

/// The value of an expression whose fields have these values, in the order of their first mention.
fn value(text: &str, fields: &[f64]) -> bool {
    made(text).unwrap_or_else(|e| panic!("{text}: {}", e.what)).program.run(fields) != 0.0
}

#[test]
fn expressions_have_the_values_that_cel_gives_them() {
    for (text, fields, expected) in [
        ("request.prompt_tokens > 8000", &[8001.0][..], true),
        ("request.prompt_tokens > 8000", &[8000.0], false),
        ("request.prompt_tokens > 100 && !(pool.waiting_mean < 2.5)", &[101.0, 2.5], true),
        ("request.class == 'hard' || request.class in ['default']", &[0.0], true),
        ("request.class in ['default']", &[0.0], false),
        ("request.needs >= 'mid'", &[1.0], true),
        ("'frontier' == request.needs", &[1.0], false),
        ("request.private", &[1.0], true),
        ("request.prompt_tokens / 3 == 3", &[11.0], true),
        ("request.prompt_tokens / 4.0 == 2.75", &[11.0], true),
        ("-7 / 2 == -3 && request.tenant % 3 == 2", &[5.0], true),
        ("(request.private ? pools.chat.ready : pools[\"big-pool\"].ready) > 1", &[0.0, 1.0, 2.0], true),
        ("endpoints.frontier.expected_cost_usd * 2 < max(0.01, time.hour_of_day)", &[0.004, 0.0], true),
        ("int(pool.kv_use_mean * 10.0) == 9", &[0.95], true),
        ("time.day >= 1 && time.s - 5 < 0", &[1.0, 4.0], true),
    ] {
        assert_eq!(value(text, fields), expected, "{text}");
    }
}

#[test]
fn what_cannot_change_is_known() {
    let constant = |text| made(text).unwrap().constant;
    assert_eq!(constant("1 > 2"), Some(false));
    assert_eq!(constant("request.private && false"), Some(false));
    assert_eq!(constant("true || request.private"), Some(true));
    assert_eq!(constant("request.prompt_tokens > 0"), None);
    assert!(value("true || request.private", &[0.0]), "a folded value is the program's");
}

#[test]
fn faults_name_the_place_and_the_nearest_name() {
    for (text, place, what) in [
        (
            "request.promt_tokens > 1",
            "request.promt_tokens",
            "unknown field of request `promt_tokens`; did you mean `prompt_tokens`?",
        ),
        ("time.s > 1 && reqest.tenant == 1", "reqest.tenant", "unknown name `reqest`; did you mean `request`?"),
        ("pools.chta.ready > 0", "pools.chta.ready", "unknown pool of this policy `chta`; did you mean `chat`?"),
        (
            "endpoint.ttft_p90 > 1.0",
            "endpoint.ttft_p90",
            "unknown field of an endpoint `ttft_p90`; did you mean `ttft_p90_s`?",
        ),
        ("request.class == 'hrad'", "'hrad'", "unknown class `hrad`; did you mean `hard`?"),
        ("request.prompt_tokens", "request.prompt_tokens", "it is of type int; a condition is a bool"),
        ("request.prompt_tokens && true", "request.prompt_tokens", "it is of type int; here stands a bool"),
        ("true + 1 > 2", "true", "it is of type bool; here stands a number"),
        ("request.prompt_tokens == 'a'", "'a'", "a text is compared with a value of type int"),
        ("request.private > false", "request.private > false", "values of type bool have no order; use == or !="),
        (
            "request.class.startsWith('h')",
            "request.class.startsWith('h'",
            "`startsWith` is not supported; use fields, numbers, comparisons, && || ! ?: in min() max()",
        ),
        ("request.tenant > 1.5 % 2.0", "1.5 % 2.0", "% is of whole numbers"),
        ("request > 1", "request", "`request` is not a value by itself; `baseload policies fields` lists the fields"),
    ] {
        let fault = made(text).expect_err(text);
        let within = fault.within.clone().expect(text);
        assert_eq!((&text[within], fault.to_string().as_str()), (place, what), "{text}");
    }
    let fault = made("request.tenant >").expect_err("no end");
    assert!(fault.what.starts_with("no CEL: ") && fault.within.clone().unwrap().start >= 15, "{fault:?}");
    assert!(
        made("").is_err()
            && made(&"(".repeat(5_000)).is_err()
            && made(&format!("{}1{}", "(".repeat(400), ")".repeat(400))).is_err()
    );
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "((",
        "a ? b",
        "[1,2",
        "'",
        "\"\\",
        "request.",
        "1..2",
        "é > 1",
        "has(request.tenant)",
        "[1].all(x, x > 0)",
        "{}",
        "b'a'",
        "null",
        "request[1]",
        "9999999999999999999999",
    ] {
        assert!(made(text).is_err(), "{text}");
    }
}
