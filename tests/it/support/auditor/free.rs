//! Policies whose gateway has rules of its own (hedges, fallbacks, breakers, queues, cascades): when an attempt is made is not
//! replayed, but what must be true of every attempt and of every request is.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::requests::Life;
use super::trace::Ask;

/// Every attempt by itself: numbered, possible, at a backend that may serve it, billed by that backend's rule.
pub fn attempts(c: &mut Complaints, facts: &Facts, policy: &Policy, ask: &Ask, life: &Life) {
    let i = life.request.index;
    let class = &facts.classes[ask.class];
    c.same(format!("request {i}: attempts"), life.request.attempts as usize, life.attempts.len());
    for (k, a) in life.attempts.iter().enumerate() {
        let at = format!("request {i} try {k}");
        c.same(format!("{at}: try number"), a.try_number as usize, k);
        if a.sent < ask.arrival || a.ended < a.sent || a.first_token.is_some_and(|t| t <= a.sent || t > a.ended) {
            c.say(format!("{at}: clock-forward: {} {:?} {}", a.sent, a.first_token, a.ended));
        }
        let known: &[&str] = match a.outcome.as_str() {
            "completed" => &["", "not_accepted"],
            "timed_out" => &["timeout", "try_timeout"],
            "cancelled" => &["hedged", "client_gone"],
            "failed" => &["rate_limited", "server_error", "queue_full", "replica_lost", "too_long"],
            _ => &[],
        };
        if !known.contains(&a.cause.as_str()) {
            c.say(format!("{at}: {} for `{}`", a.outcome, a.cause));
        }
        if a.output_tokens > ask.output || (a.outcome == "completed" && a.output_tokens != ask.output) {
            c.say(format!("{at}: {} with {} tokens of {}", a.outcome, a.output_tokens, ask.output));
        }
        let beside =
            life.attempts.iter().filter(|b| b.sent < a.ended && a.sent < b.ended && b.try_number != a.try_number);
        if beside.clone().any(|b| b.backend == a.backend && b.replica == a.replica) {
            c.say(format!("{at}: two copies at one backend"));
        }
        let (capability, context, private) = match a.replica {
            Some(_) => {
                let pool = facts.pools.iter().zip(&policy.replicas).find(|(p, n)| p.name == a.backend && **n > 0);
                let Some((pool, _)) = pool else {
                    c.say(format!("{at}: pool `{}` is none of this policy", a.backend));
                    continue;
                };
                c.same(format!("{at}: cost on own GPUs"), a.cost, 0);
                (pool.capability, pool.context(), true)
            }
            None => {
                let shop = policy.endpoints.iter().map(|e| &facts.endpoints[*e]).find(|e| e.name == a.backend);
                let Some(shop) = shop else {
                    c.say(format!("{at}: endpoint `{}` is none of this policy", a.backend));
                    continue;
                };
                let whole = shop.bill(ask.prompt.into(), a.cached_tokens.into(), a.output_tokens.into());
                // Who hangs up on an answer that would have been an error pays nothing.
                let hung_up = matches!(a.outcome.as_str(), "timed_out" | "cancelled") && a.first_token.is_none();
                match a.outcome.as_str() {
                    "failed" => c.same(format!("{at}: cost of a failed try"), a.cost, 0),
                    _ if hung_up && a.cost == 0 => {}
                    _ => c.same(format!("{at}: bill-exact"), a.cost, whole),
                }
                (shop.capability, shop.context, false)
            }
        };
        if (class.private && !private) || capability < class.needs || u64::from(ask.prompt) >= context {
            c.say(format!("{at}: barrier: class `{}`, {} tokens went to `{}`", class.name, ask.prompt, a.backend));
        }
    }
}

/// The request was answered at most once, and its outcome follows from its attempts.
pub fn ended(c: &mut Complaints, facts: &Facts, ask: &Ask, life: &Life) {
    let (r, i) = (life.request, life.request.index);
    let name = |what: &str| format!("request {i}: {what}");
    let deadline = facts.deadline(ask);
    let answers: Vec<_> = life.attempts.iter().filter(|a| a.outcome == "completed" && a.cause.is_empty()).collect();
    c.same(name("answers"), answers.len(), usize::from(r.outcome == "completed"));
    if r.ended > deadline || r.ended < ask.arrival {
        c.say(name(&format!("ended at {}, deadline {deadline}", r.ended)));
    }
    if let Some(a) = life.attempts.iter().find(|a| a.ended > r.ended) {
        c.say(name(&format!("nothing-lost: try {} outlives it", a.try_number)));
    }
    let cause = [r.cause.as_str()];
    let causes: &[&str] = match r.outcome.as_str() {
        "completed" => {
            if let [a] = answers[..] {
                c.same(name("end, ns"), r.ended, a.ended);
                c.same(name("TTFT, ns"), r.ttft, a.first_token.map(|t| t.saturating_sub(ask.arrival)));
                c.same(name("cached tokens"), r.cached_tokens, a.cached_tokens);
                c.same(name("backend"), &r.backend, &a.backend);
            }
            &[""]
        }
        "failed" => {
            let escalated = life.attempts.iter().any(|a| a.cause == "not_accepted");
            let refused = ["no_backend", "shed", "queue_timeout", "gateway_queue_full"].contains(&r.cause.as_str());
            // Refused after an answer that was not accepted; else for what an attempt of it failed for.
            let stated = life.attempts.iter().any(|a| a.cause == r.cause);
            if !(stated || escalated && refused) {
                c.say(name(&format!("failed for `{}`, which none of its attempts did", r.cause)));
            }
            if refused {
                &cause
            } else {
                &["rate_limited", "server_error", "queue_full", "replica_lost", "too_long", "try_timeout"]
            }
        }
        "timed_out" => {
            c.same(name("timeout, ns"), r.ended, deadline);
            &["timeout"]
        }
        "rejected" => {
            c.same(name("attempts of a rejected one"), life.attempts.len(), 0);
            &["constraint", "too_long", "shed", "gateway_queue_full", "queue_timeout", "no_backend"]
        }
        "cancelled" => &["client_gone"],
        _ => &[],
    };
    if !causes.contains(&r.cause.as_str()) {
        c.say(name(&format!("{} for `{}`", r.outcome, r.cause)));
    }
    c.same(name("cost, pico-dollars"), r.cost, life.attempts.iter().map(|a| a.cost).sum());
    c.same(name("preemptions"), r.preemptions, life.attempts.iter().map(|a| a.preemptions).sum());
}
