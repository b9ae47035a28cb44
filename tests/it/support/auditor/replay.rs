//! The gateway's and the endpoints' part of a run, replayed: who was a candidate, who must have been picked, what an
//! endpoint answered and when, how long a retry waited, when a replica was down. What engines do is taken from the
//! records and held against what must be true of it.
//!
//! Order at one instant: losses and comebacks, answers, timers in the order they were set, arrivals by index.
use super::Complaints;
use super::facts::{Cache, Endpoint, Facts, Policy, Pool, Routing};
use super::requests::Life;
use super::rows::{AttemptRow, PolicyEvidence};
use super::trace::{Ask, Run};
use baseload::random::{dist, stream};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A replica's death: when, when the gateway notices, when it serves again.
pub struct Down {
    pub fail: u64,
    pub detect: u64,
    pub back: u64,
}

/// A replica that the policy keeps, in the order in which replicas are numbered.
pub struct Replica {
    pub pool: usize,
    pub downs: Vec<Down>,
    outstanding: u64,
}

impl Replica {
    pub fn up(&self, t: u64) -> bool {
        !self.downs.iter().any(|d| d.fail <= t && t < d.back)
    }
    fn known_down(&self, t: u64) -> Option<&Down> {
        self.downs.iter().find(|d| d.detect <= t && t < d.back)
    }
    /// Whether it lived from `a` to `b`, both included.
    pub fn lived(&self, a: u64, b: u64) -> bool {
        !self.downs.iter().any(|d| d.fail <= b && d.back > a)
    }
}

/// The replicas of a policy and all their deaths up to `horizon`.
pub fn fleet(facts: &Facts, policy: &Policy, horizon: u64) -> Vec<Replica> {
    let pools = policy.replicas.iter().enumerate();
    let pools: Vec<usize> = pools.flat_map(|(pool, n)| std::iter::repeat_n(pool, *n as usize)).collect();
    let downs = |index: usize, pool: usize| {
        let mut downs: Vec<Down> = Vec::new();
        let Some(f) = &facts.failures else { return downs };
        let per_s = f.per_gpu_hour * f64::from(facts.pools[pool].gpus) / 3600.0;
        while per_s > 0.0 && downs.last().is_none_or(|d| d.back <= horizon) {
            let mut luck = stream(facts.seed, 0, "replica-failure", index as u64, downs.len() as u32);
            let up_for = (dist::exponential(&mut luck, 1.0 / per_s) * 1e9).round() as u64;
            let fail = downs.last().map_or(0, |d| d.back) + up_for.max(1);
            downs.push(Down { fail, detect: fail + f.detection, back: fail + f.recovery.max(f.detection) + 1 });
        }
        downs
    };
    pools.into_iter().enumerate().map(|(i, pool)| Replica { pool, downs: downs(i, pool), outstanding: 0 }).collect()
}

/// A continuously refilled bucket, in tokens x nanoseconds of a minute (spec/apis.md 4.1).
struct Bucket {
    a_minute: i128,
    level: i128,
    at: u64,
}

const MINUTE: i128 = 60_000_000_000;

impl Bucket {
    fn fill(&mut self, now: u64) {
        let gained = i128::from(now.saturating_sub(self.at)) * self.a_minute;
        self.level = (self.level + gained).min(self.a_minute * MINUTE);
        self.at = self.at.max(now);
    }
    /// Nanoseconds until `tokens` are there; more than a full bucket is asked of nobody.
    fn wait(&mut self, tokens: u64, now: u64) -> u64 {
        self.fill(now);
        let short = (i128::from(tokens).min(self.a_minute) * MINUTE - self.level).max(0);
        short.unsigned_abs().div_ceil(self.a_minute.unsigned_abs()) as u64
    }
    fn take(&mut self, tokens: u64, now: u64) {
        self.fill(now);
        self.level -= i128::from(tokens) * MINUTE;
    }
}

/// An endpoint's limits and prompt cache as they stand.
struct Shop<'a> {
    spec: &'a Endpoint,
    /// Requests, input, output.
    buckets: [Option<Bucket>; 3],
    /// Prefixes of whole steps, and when they were last used.
    cache: BTreeMap<Vec<Run>, u64>,
}

/// What an endpoint must do with an attempt.
struct Answer {
    outcome: &'static str,
    cause: &'static str,
    first_token: Option<u64>,
    ended: u64,
    cached: u32,
    output: u32,
    retry_after: u64,
    /// Served, so that its tokens count.
    served: bool,
}

/// The first `tokens` tokens, runs that continue each other joined.
fn prefix(runs: &[Run], tokens: u32) -> Option<Vec<Run>> {
    let (mut out, mut left): (Vec<Run>, u32) = (Vec::new(), tokens);
    for run in runs {
        let len = run.len.min(left);
        left -= len;
        match out.last_mut() {
            Some(last) if (last.kind, last.id) == (run.kind, run.id) && last.start + last.len == run.start => {
                last.len += len;
            }
            _ if len > 0 => out.push(Run { len, ..*run }),
            _ => {}
        }
    }
    (left == 0).then_some(out)
}

impl Shop<'_> {
    fn cached(&mut self, ask: &Ask, now: u64) -> u32 {
        let Some(Cache { from, step, alive }) = &self.spec.cache else { return 0 };
        let (mut tokens, mut hit) = (0, 0);
        let mut hitting = true;
        while let Some(key) = prefix(&ask.content, tokens + step) {
            tokens += step;
            let used = self.cache.insert(key, now);
            hitting &= used.is_some_and(|used| now.saturating_sub(used) <= *alive);
            if hitting {
                hit = tokens;
            }
        }
        if hit < *from { 0 } else { from + (hit - from) / step * step }
    }

    /// Takes an attempt at `now`.
    fn wait(&mut self, wants: [u64; 3], now: u64) -> u64 {
        let waits = self.buckets.iter_mut().zip(wants).map(|(b, n)| b.as_mut().map_or(0, |b| b.wait(n, now)));
        waits.max().unwrap_or(0)
    }

    fn answer(&mut self, facts: &Facts, ask: &Ask, request: u64, try_number: u32, now: u64) -> Answer {
        let e = self.spec;
        let (prompt, output) = (u64::from(ask.prompt), u64::from(ask.output));
        let deadline = facts.deadline(ask);
        let refused = |cause, retry_after| Answer {
            outcome: "failed",
            cause,
            first_token: None,
            ended: now,
            cached: 0,
            output: 0,
            retry_after,
            served: false,
        };
        if prompt + output > e.context {
            return refused("too_long", 0);
        }
        let wants = [1, prompt, 1];
        if self.wait(wants, now) > 0 {
            // A refused call takes of the limit what is there.
            if let Some(requests) = &mut self.buckets[0] {
                requests.level -= MINUTE.min(requests.level);
            }
            return refused("rate_limited", self.wait(wants, now));
        }
        if let Some(requests) = &mut self.buckets[0] {
            requests.take(1, now);
        }
        let luck = |what: &str| stream(facts.seed, 0, &format!("endpoint/{}/{what}", e.name), request, try_number);
        // p95 of a standard normal.
        let sigma = libm::log(e.p95_over_p50) / 1.644_853_626_951_472_2;
        let ns = |seconds: f64| (seconds * 1e9).round() as u64;
        let first = now + ns(dist::log_normal(&mut luck("ttft"), e.ttft_p50_s, sigma)).max(1);
        let in_time = first <= deadline;
        if dist::uniform01(&mut luck("error")) < e.error_rate {
            let (outcome, cause) = if in_time { ("failed", "server_error") } else { ("timed_out", "timeout") };
            return Answer { outcome, cause, ended: first.min(deadline), ..refused("", 0) };
        }
        let cached = self.cached(ask, now);
        if let Some(input) = &mut self.buckets[1] {
            input.take(prompt - u64::from(cached), now);
        }
        let gap = ns(1.0 / dist::log_normal(&mut luck("speed"), e.tokens_per_s, sigma));
        let done = first + gap * (output - 1);
        let (outcome, cause, tokens) = if done <= deadline {
            ("completed", "", ask.output)
        } else if in_time {
            // Tokens stream evenly between the first and the last.
            let passed = u128::from(deadline - first) * u128::from(output - 1) / u128::from(done - first);
            ("timed_out", "timeout", 1 + passed as u32)
        } else {
            ("timed_out", "timeout", 0)
        };
        let first_token = in_time.then_some(first);
        let ended = done.min(deadline);
        Answer { outcome, cause, first_token, ended, cached, output: tokens, retry_after: 0, served: true }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Send(usize, usize),
    End(usize, usize),
}

struct Replay<'a> {
    c: &'a mut Complaints,
    facts: &'a Facts,
    policy: &'a Policy,
    asks: &'a [Ask],
    lives: &'a [Life<'a>],
    events: BinaryHeap<Reverse<(u64, u8, u64, Event)>>,
    set: u64,
    replicas: Vec<Replica>,
    shops: Vec<Shop<'a>>,
    turn: usize,
    /// Completed so far, and their output tokens.
    outputs: (u64, u64),
    /// Attempts that were accounted for, by request.
    met: Vec<usize>,
    served: BTreeMap<(usize, usize), bool>,
}

/// Replays one policy.
pub fn replay(c: &mut Complaints, facts: &Facts, policy: &Policy, asks: &[Ask], lives: &[Life], seen: &PolicyEvidence) {
    let horizon = lives.iter().map(|l| l.request.ended).max().unwrap_or(0);
    let shop = |e: &usize| {
        let spec = &facts.endpoints[*e];
        let full = |n: u64| Bucket { a_minute: n.into(), level: i128::from(n) * MINUTE, at: 0 };
        Shop { spec, buckets: spec.limits.map(|l| l.map(full)), cache: BTreeMap::new() }
    };
    let mut r = Replay {
        facts,
        policy,
        asks,
        lives,
        events: BinaryHeap::new(),
        set: 0,
        replicas: fleet(facts, policy, horizon),
        shops: policy.endpoints.iter().map(shop).collect(),
        turn: 0,
        outputs: (0, 0),
        met: vec![0; asks.len()],
        served: BTreeMap::new(),
        c,
    };
    for (i, ask) in asks.iter().enumerate() {
        r.events.push(Reverse((ask.arrival, 4, i as u64, Event::Send(i, 0))));
    }
    while let Some(Reverse((now, _, _, event))) = r.events.pop() {
        match event {
            Event::Send(i, k) => r.send(i, k, now),
            Event::End(i, k) => r.end(i, k, now),
        }
    }
    for (i, life) in lives.iter().enumerate() {
        r.c.same(format!("request {i}: attempts that can have been"), life.attempts.len(), r.met[i]);
    }
    let deaths = r.replicas.iter().flat_map(|x| &x.downs).filter(|d| d.fail <= horizon).count();
    r.c.same("replica_failures", seen.summary["replica_failures"].as_u64(), Some(deaths as u64));
}

impl Replay<'_> {
    fn push(&mut self, at: u64, class: u8, event: Event) {
        self.set += 1;
        self.events.push(Reverse((at, class, self.set, event)));
    }

    fn may(&self, ask: &Ask, internal: bool, capability: u8, context: u64) -> bool {
        let class = &self.facts.classes[ask.class];
        (internal || !class.private) && capability >= class.needs && u64::from(ask.prompt) < context
    }

    /// Try `k` of request `i` is due at `now`.
    fn send(&mut self, i: usize, k: usize, now: u64) {
        let (facts, ask, life) = (self.facts, &self.asks[i], &self.lives[i]);
        let deadline = facts.deadline(ask);
        let mut own = Vec::new();
        let mut back: Option<u64> = None;
        for (r, replica) in self.replicas.iter().enumerate() {
            let pool = &facts.pools[replica.pool];
            if self.may(ask, true, pool.capability, pool.context()) {
                match replica.known_down(now) {
                    Some(down) => back = Some(back.map_or(down.back, |b| b.min(down.back))),
                    None => own.push(r),
                }
            }
        }
        let buys = |s: &usize| {
            let e = self.shops[*s].spec;
            self.may(ask, false, e.capability, e.context)
        };
        let shops: Vec<usize> = (0..self.shops.len()).filter(buys).collect();
        if own.is_empty() && shops.is_empty() {
            match back {
                Some(back) if back <= deadline => self.push(back, 1, Event::Send(i, k)),
                Some(_) => self.no_more(i, k, "timed_out"),
                None => self.no_more(i, k, "rejected"),
            }
            return;
        }
        let Some(a) = life.attempts.get(k).copied() else {
            let outcome = &life.request.outcome;
            return self.c.say(format!("request {i}: {outcome}, although try {k} was due at {now} ns"));
        };
        self.met[i] = k + 1;
        self.c.same(format!("request {i} try {k}: sent, ns"), a.sent, now);
        let replica = a.replica.map(|r| r as usize);
        let shop = self.policy.endpoints.iter().position(|e| facts.endpoints[*e].name == a.backend);
        self.choice(i, k, a, &own, &shops);
        self.set += 1;
        let timer = self.set;
        match (replica, shop) {
            (Some(r), None) if own.contains(&r) => self.at_replica(i, k, r, timer),
            (None, Some(s)) if shops.contains(&s) => self.at_shop(i, k, s, timer),
            _ => {
                let class = &facts.classes[ask.class].name;
                let prompt = ask.prompt;
                self.c.say(format!(
                    "request {i} try {k}: barrier: class `{class}` with {prompt} prompt tokens went to `{}` {replica:?}, \
                     which is no candidate of this policy at {now} ns",
                    a.backend
                ));
            }
        }
    }

    /// Whom the policy must have picked.
    fn choice(&mut self, i: usize, k: usize, a: &AttemptRow, own: &[usize], shops: &[usize]) {
        let ask = &self.asks[i];
        let name = |s: usize| self.shops[s].spec.name.clone();
        let picked = match a.replica {
            Some(r) => format!("replica {r}"),
            None => a.backend.clone(),
        };
        let least = own.iter().min_by_key(|r| (self.replicas[**r].outstanding, **r)).map(|r| format!("replica {r}"));
        let must = match (self.policy.routing, least) {
            (Routing::Other, _) => None,
            (_, None) => {
                let expected = self.outputs.1.checked_div(self.outputs.0).unwrap_or(256).min(ask.max_output.into());
                let cost = |s: &&usize| (self.shops[**s].spec.expected(ask.prompt.into(), expected), **s);
                shops.iter().min_by_key(cost).map(|s| name(*s))
            }
            (Routing::RoundRobin, Some(_)) => {
                self.turn += 1;
                Some(format!("replica {}", own[(self.turn - 1) % own.len()]))
            }
            (Routing::LeastOutstanding, least) => least,
            (Routing::Overflow(to), _) if shops.contains(&to) && picked == name(to) => None,
            (Routing::Overflow(_), least) => least,
            (Routing::CostAware, _) => None,
        };
        if let Some(must) = must {
            self.c.same(format!("request {i} try {k}: picked by {}", self.policy.name), picked, must);
        }
    }

    fn at_replica(&mut self, i: usize, k: usize, r: usize, timer: u64) {
        let (facts, ask, a) = (self.facts, &self.asks[i], self.lives[i].attempts[k]);
        let pool = &facts.pools[self.replicas[r].pool];
        let deadline = facts.deadline(ask);
        let at = format!("request {i} try {k} at replica {r}");
        self.c.same(format!("{at}: backend"), a.backend.as_str(), pool.name.as_str());
        self.c.same(format!("{at}: cost on own GPUs"), a.cost, 0);
        let others = self.replicas[r].outstanding;
        let down = self.replicas[r].downs.iter().find(|d| d.back > a.sent);
        let dead = down.is_some_and(|d| d.fail <= a.sent);
        let too_long = !dead && u64::from(ask.prompt) + u64::from(ask.output) > pool.context();
        let (lost_at, fail) = down.map_or((u64::MAX, u64::MAX), |d| (d.detect, d.fail));
        let what = (a.outcome.as_str(), a.cause.as_str());
        match what {
            ("failed", "too_long") if too_long => self.c.same(format!("{at}: refused, ns"), a.ended, a.sent),
            _ if too_long => {
                let (tokens, room) = (ask.prompt + ask.output, pool.context());
                self.c.say(format!("{at}: {what:?}, although {tokens} tokens never fit into {room}"));
            }
            ("failed", "queue_full") if !dead => {
                self.c.same(format!("{at}: refused, ns"), a.ended, a.sent);
                if pool.max_queued.is_none_or(|most| others < most as u64) {
                    self.c.say(format!("{at}: queue_full behind {others}, limit {:?}", pool.max_queued));
                }
            }
            ("failed", "replica_lost") => {
                self.c.same(format!("{at}: its loss, ns"), a.ended, lost_at);
                if lost_at > deadline {
                    self.c.say(format!("{at}: lost at {lost_at} ns, after its timeout at {deadline}"));
                }
            }
            ("timed_out", _) => {
                self.c.same(format!("{at}: timeout, ns"), a.ended, deadline);
                if lost_at <= deadline {
                    self.c.say(format!("{at}: timed out at {deadline} ns, after its replica was lost at {lost_at}"));
                }
            }
            ("completed", _) if !dead && a.ended < fail && a.ended <= deadline => {}
            _ => {
                let (sent, ended) = (a.sent, a.ended);
                self.c.say(format!(
                    "{at}: {what:?} from {sent} to {ended} ns cannot be: failure at {fail}, noticed at {lost_at}, \
                     timeout at {deadline}"
                ));
            }
        }
        self.tokens(&at, pool, a);
        if (a.outcome.as_str(), a.ended) == ("failed", a.sent) && a.cause != "replica_lost" {
            return self.failed(i, k, a.ended, 0);
        }
        self.replicas[r].outstanding += 1;
        self.later(i, k, timer);
    }

    /// What an engine may have computed.
    fn tokens(&mut self, at: &str, pool: &Pool, a: &AttemptRow) {
        if !pool.vllm {
            self.c.same(format!("{at}: cached, preempted in a static batch"), (a.cached_tokens, a.preemptions), (0, 0));
            if a.outcome == "completed" {
                self.c.same(format!("{at}: first token of a static batch, ns"), a.first_token, Some(a.ended));
            }
        }
        if a.outcome != "completed" {
            let seen = (a.first_token.is_some(), a.output_tokens > 0);
            self.c.same(format!("{at}: tokens left, as the first token says"), seen.1, seen.0);
        }
    }

    fn at_shop(&mut self, i: usize, k: usize, s: usize, timer: u64) {
        let (facts, ask, a) = (self.facts, &self.asks[i], self.lives[i].attempts[k]);
        let want = self.shops[s].answer(facts, ask, i as u64, k as u32, a.sent);
        let spec = self.shops[s].spec;
        let at = format!("request {i} try {k} at {}", spec.name);
        self.c.same(
            format!("{at}: outcome, cause, first token, end, cached, output"),
            (a.outcome.as_str(), a.cause.as_str(), a.first_token, a.ended, a.cached_tokens, a.output_tokens),
            (want.outcome, want.cause, want.first_token, want.ended, want.cached, want.output),
        );
        let bill = if want.served { spec.bill(ask.prompt.into(), want.cached.into(), want.output.into()) } else { 0 };
        self.c.same(format!("{at}: bill-exact: cost, pico-dollars"), a.cost, bill);
        self.c.same(format!("{at}: preemptions"), a.preemptions, 0);
        self.served.insert((i, k), want.served);
        if a.outcome == "failed" && a.ended == a.sent {
            return self.failed(i, k, a.ended, want.retry_after);
        }
        self.later(i, k, timer);
    }

    /// Its end comes later, in the class of what ends it.
    fn later(&mut self, i: usize, k: usize, timer: u64) {
        let a = self.lives[i].attempts[k];
        let (class, order) = match (a.outcome.as_str(), a.cause.as_str()) {
            ("failed", "replica_lost") => (1, timer),
            ("timed_out", _) => (3, timer),
            _ => (2, timer),
        };
        self.events.push(Reverse((a.ended.max(a.sent), class, order, Event::End(i, k))));
    }

    fn end(&mut self, i: usize, k: usize, now: u64) {
        let a = self.lives[i].attempts[k];
        match a.replica {
            Some(r) => self.replicas[r as usize].outstanding -= 1,
            None => {
                let shop = self.policy.endpoints.iter().position(|e| self.facts.endpoints[*e].name == a.backend);
                if let (Some(shop), Some(true)) = (shop, self.served.get(&(i, k)))
                    && let Some(output) = &mut self.shops[shop].buckets[2]
                {
                    output.take(a.output_tokens.into(), now);
                }
            }
        }
        match a.outcome.as_str() {
            "completed" => self.outputs = (self.outputs.0 + 1, self.outputs.1 + u64::from(a.output_tokens)),
            "failed" => self.failed(i, k, now, 0),
            _ => {}
        }
    }

    /// Try `k` failed at `now`: there is a next one after the right wait, or the request ends.
    fn failed(&mut self, i: usize, k: usize, now: u64, retry_after: u64) {
        let (facts, a) = (self.facts, self.lives[i].attempts[k]);
        let deadline = facts.deadline(&self.asks[i]);
        let next = k as u64 + 1;
        let wait = match a.cause.as_str() {
            _ if next > facts.retries => None,
            "too_long" => None,
            "rate_limited" => (retry_after <= 120_000_000_000).then_some(retry_after),
            _ => {
                // 0.5 s doubled to 8 s, less up to a quarter (spec/routers.md 3.10).
                let ms = (500u64 << k.min(10)).min(8_000);
                let jitter = dist::uniform01(&mut stream(facts.seed, 0, "backoff", i as u64, next as u32));
                Some((ms as f64 * 1e6 * (1.0 - 0.25 * jitter)) as u64)
            }
        };
        match wait {
            Some(wait) if now + wait < deadline => self.push(now + wait, 3, Event::Send(i, k + 1)),
            Some(_) => self.no_more(i, k + 1, "timed_out"),
            None => self.no_more(i, k + 1, "failed"),
        }
    }

    /// The request ends without try `k`.
    fn no_more(&mut self, i: usize, k: usize, outcome: &str) {
        let life = &self.lives[i];
        self.met[i] = k;
        self.c.same(format!("request {i}: outcome after {k} tries"), life.request.outcome.as_str(), outcome);
        if let Some(extra) = life.attempts.get(k) {
            self.c.say(format!("request {i} try {k}: sent at {} ns, although there is none", extra.sent));
        }
    }
}
