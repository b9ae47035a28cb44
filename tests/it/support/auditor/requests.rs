//! One request at a time: it ended exactly once, and its record follows from what was asked and from its attempts.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::free;
use super::rows::{AttemptRow, PolicyEvidence, RequestRow};
use super::trace::Ask;

/// A request's record with its attempts in order.
pub struct Life<'a> {
    pub request: &'a RequestRow,
    pub attempts: Vec<&'a AttemptRow>,
}

/// Records by index; `None` (and complaints) where rows are missing, twice there, or of nobody.
pub fn lives<'a>(c: &mut Complaints, seen: &'a PolicyEvidence) -> Option<Vec<Life<'a>>> {
    let mut lives: Vec<Option<Life>> = (0..seen.requests.len()).map(|_| None).collect();
    let mut whole = true;
    for request in &seen.requests {
        match lives.get_mut(request.index as usize) {
            Some(slot @ None) => *slot = Some(Life { request, attempts: Vec::new() }),
            Some(Some(_)) => {
                c.say(format!("request {}: nothing-lost: it ended twice", request.index));
                whole = false;
            }
            None => {
                let rows = seen.requests.len();
                c.say(format!(
                    "request {}: nothing-lost: there are {rows} rows, so some index is missing",
                    request.index
                ));
                whole = false;
            }
        }
    }
    for attempt in &seen.attempts {
        match lives.get_mut(attempt.request as usize) {
            Some(Some(life)) => life.attempts.push(attempt),
            _ => c.say(format!("request {}: an attempt of a request that has no row", attempt.request)),
        }
    }
    let mut lives: Vec<Life> = lives.into_iter().flatten().collect();
    for life in &mut lives {
        life.attempts.sort_by_key(|a| a.try_number);
    }
    let requests: Vec<u64> = seen.requests.iter().map(|r| r.ended).collect();
    let attempts: Vec<u64> = seen.attempts.iter().map(|a| a.ended).collect();
    for (kind, ends) in [("requests", requests), ("attempts", attempts)] {
        if let Some(at) = ends.windows(2).position(|w| w[0] > w[1]) {
            c.say(format!("rows {at} and {} of {kind} are not in order of completion", at + 1));
        }
    }
    whole.then_some(lives)
}

/// Checks every request by itself.
pub fn each(c: &mut Complaints, facts: &Facts, policy: &Policy, asks: &[Ask], lives: &[Life]) {
    for (ask, life) in asks.iter().zip(lives) {
        asked(c, facts, ask, life.request);
        if policy.free {
            free::attempts(c, facts, policy, ask, life);
            free::ended(c, facts, ask, life);
        } else {
            attempts(c, ask, life);
            ended(c, facts, policy, ask, life);
        }
        if life.request.outcome != "completed" {
            c.same(format!("request {}: TTFT of what did not complete", life.request.index), life.request.ttft, None);
            c.same(format!("request {}: cached tokens", life.request.index), life.request.cached_tokens, 0);
        }
        measured(c, facts, ask, life.request);
    }
}

/// Why a request goes nowhere: its length, if some place that the policy keeps would take a shorter one.
fn why_rejected(facts: &Facts, policy: &Policy, ask: &Ask) -> &'static str {
    let class = &facts.classes[ask.class];
    let own =
        facts.pools.iter().zip(&policy.replicas).filter(|(_, n)| **n > 0).any(|(p, _)| p.capability >= class.needs);
    let bought = policy.endpoints.iter().any(|e| !class.private && facts.endpoints[*e].capability >= class.needs);
    if own || bought { "too_long" } else { "constraint" }
}

/// What the trace says is in the record.
fn asked(c: &mut Complaints, facts: &Facts, ask: &Ask, r: &RequestRow) {
    let i = r.index;
    c.same(format!("request {i}: arrival, ns"), r.arrival, ask.arrival);
    c.same(format!("request {i}: class"), r.class.as_str(), facts.classes[ask.class].name.as_str());
    c.same(format!("request {i}: tenant"), r.tenant, ask.tenant);
    c.same(format!("request {i}: session"), r.session, ask.session);
    c.same(format!("request {i}: prompt tokens"), r.prompt_tokens, ask.prompt);
    if r.outcome == "completed" {
        c.same(format!("request {i}: output tokens"), r.output_tokens, ask.output);
    } else if r.output_tokens > ask.output {
        c.say(format!("request {i}: {} output tokens delivered of {}", r.output_tokens, ask.output));
    }
}

/// Attempts are numbered, follow each other, and are possible in themselves.
fn attempts(c: &mut Complaints, ask: &Ask, life: &Life) {
    let i = life.request.index;
    c.same(format!("request {i}: attempts"), life.request.attempts as usize, life.attempts.len());
    let mut free = ask.arrival;
    for (k, a) in life.attempts.iter().enumerate() {
        c.same(format!("request {i}: try number"), a.try_number as usize, k);
        if a.sent < free {
            c.say(format!("request {i} try {k}: sent at {} ns, before {free} ns, when the former one ended", a.sent));
        }
        if a.ended < a.sent || a.first_token.is_some_and(|t| t <= a.sent || t > a.ended) {
            c.say(format!("request {i} try {k}: clock-forward: {} {:?} {}", a.sent, a.first_token, a.ended));
        }
        free = a.ended;
        let last = k + 1 == life.attempts.len();
        match a.outcome.as_str() {
            "completed" => {
                c.same(format!("request {i} try {k}: cause"), a.cause.as_str(), "");
                c.same(format!("request {i} try {k}: output tokens"), a.output_tokens, ask.output);
                if a.first_token.is_none() || (ask.output == 1 && a.first_token != Some(a.ended)) {
                    let (first, end) = (a.first_token, a.ended);
                    c.say(format!("request {i} try {k}: {} tokens, the first at {first:?}, end {end}", ask.output));
                }
            }
            "timed_out" => c.same(format!("request {i} try {k}: cause"), a.cause.as_str(), "timeout"),
            "failed" => {
                let known = ["rate_limited", "server_error", "queue_full", "replica_lost", "too_long"];
                if !known.contains(&a.cause.as_str()) {
                    c.say(format!("request {i} try {k}: failed for `{}`", a.cause));
                }
            }
            other => c.say(format!("request {i} try {k}: outcome `{other}` is not one of an attempt")),
        }
        if a.outcome != "failed" && !last {
            c.say(format!("request {i} try {k}: {}, and yet it was tried again", a.outcome));
        }
        if a.outcome != "completed" {
            c.same(format!("request {i} try {k}: preemptions of what did not complete"), a.preemptions, 0);
            if a.output_tokens > ask.output {
                c.say(format!("request {i} try {k}: {} tokens left of {}", a.output_tokens, ask.output));
            }
        }
        if a.outcome == "failed" {
            c.same(format!("request {i} try {k}: cost of a failed try"), a.cost, 0);
            c.same(format!("request {i} try {k}: cached tokens of a failed try"), a.cached_tokens, 0);
        }
    }
}

/// The outcome follows from the attempts.
fn ended(c: &mut Complaints, facts: &Facts, policy: &Policy, ask: &Ask, life: &Life) {
    let (r, i) = (life.request, life.request.index);
    let deadline = facts.deadline(ask);
    let last = life.attempts.last();
    let name = |what: &str| format!("request {i}: {what}");
    match r.outcome.as_str() {
        "completed" => {
            let Some(a) = last.filter(|a| a.outcome == "completed") else {
                return c.say(name("completed without a completed attempt"));
            };
            c.same(name("end, ns"), r.ended, a.ended);
            c.same(name("TTFT, ns"), r.ttft, a.first_token.map(|t| t.saturating_sub(ask.arrival)));
            c.same(name("cached tokens"), r.cached_tokens, a.cached_tokens);
            c.same(name("cause"), r.cause.as_str(), "");
            if r.ended > deadline {
                c.say(name("completed after the gateway's timeout"));
            }
        }
        "failed" => {
            let Some(a) = last.filter(|a| a.outcome == "failed") else {
                return c.say(name("failed without a failed attempt"));
            };
            c.same(name("end, ns"), r.ended, a.ended);
            c.same(name("cause"), r.cause.as_str(), a.cause.as_str());
            c.same(name("output tokens"), r.output_tokens, a.output_tokens);
        }
        "timed_out" => {
            c.same(name("timeout, ns"), r.ended, deadline);
            c.same(name("cause"), r.cause.as_str(), "timeout");
            let under_way = last.filter(|a| a.outcome == "timed_out");
            if let Some(a) = under_way {
                c.same(name("timeout of its attempt, ns"), a.ended, deadline);
            }
            c.same(name("output tokens"), r.output_tokens, under_way.map_or(0, |a| a.output_tokens));
        }
        "rejected" => {
            c.same(name("attempts of a rejected one"), life.attempts.len(), 0);
            c.same(name("cause"), r.cause.as_str(), why_rejected(facts, policy, ask));
            c.same(name("end, ns"), r.ended, ask.arrival);
            c.same(name("output tokens"), r.output_tokens, 0);
        }
        other => c.say(name(&format!("outcome `{other}`"))),
    }
    if r.outcome != "completed" && last.is_some_and(|a| a.outcome == "completed") {
        c.say(name(&format!("{}, but its last attempt completed", r.outcome)));
    }
    c.same(name("backend"), r.backend.as_str(), last.map_or("", |a| a.backend.as_str()));
    c.same(name("cost, pico-dollars"), r.cost, life.attempts.iter().map(|a| a.cost).sum());
    c.same(name("preemptions"), r.preemptions, life.attempts.iter().map(|a| a.preemptions).sum());
}

/// Latencies and the SLO follow from instants.
fn measured(c: &mut Complaints, facts: &Facts, ask: &Ask, r: &RequestRow) {
    let i = r.index;
    c.same(format!("request {i}: E2E, ns"), r.e2e, r.ended.saturating_sub(r.arrival));
    let gaps = u64::from(r.output_tokens.saturating_sub(1));
    let decode = r.ttft.filter(|_| gaps > 0).map(|t| r.e2e.saturating_sub(t));
    c.same(format!("request {i}: TPOT, s"), r.tpot_s, decode.map(|d| d as f64 / 1e9 / gaps as f64));
    let [ttft, tpot, e2e] = facts.objectives(ask);
    let within = |limit: Option<u64>, value: u64| limit.is_none_or(|l| value <= l);
    let met = r.outcome == "completed"
        && within(ttft, r.ttft.unwrap_or(u64::MAX))
        && within(tpot, decode.map_or(0, |d| d / gaps))
        && within(e2e, r.e2e);
    c.same(format!("request {i}: SLO met"), r.met_slo, met);
}
