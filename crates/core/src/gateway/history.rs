//! What the gateway remembers for its policy between decisions: prefixes sent, the last scrape, and what it counted of what
//! it sent and saw end. Only what the policy's parts need is kept.
use super::index::{Blocks, PrefixRule, Tree};
use super::ring::Ring;
use super::view::{EndpointView, Feedback, GatewayView, Signals};
use crate::types::{AttemptId, IdMap, Load, Place, PlaceMap, ReplicaId, SimTime};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Last latencies of a backend (LiteLLM keeps ten, for an hour since the last).
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    last: VecDeque<u64>,
    at: SimTime,
}

impl Latencies {
    const KEPT: usize = 10;
    const FOR: SimTime = SimTime::from_secs(3_600);
    /// What a timeout counts.
    const TIMED_OUT: SimTime = SimTime::from_secs(1_000);

    fn learn(&mut self, at: SimTime, took: SimTime) {
        if self.last.len() == Self::KEPT {
            self.last.pop_front();
        }
        self.last.push_back(took.0);
        self.at = at;
    }
    /// Mean of the latencies in seconds; 0 for a backend that was not used, so that it is tried first.
    pub fn mean_s(&self, now: SimTime) -> f64 {
        if self.last.is_empty() || now.0 - self.at.0 > Self::FOR.0 {
            return 0.0;
        }
        self.last.iter().sum::<u64>() as f64 / self.last.len() as f64 / 1e9
    }
}

/// Tokens and requests of a backend in the running minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct Minute {
    minute: u64,
    tokens: u64,
    requests: u64,
}

impl Minute {
    fn at(&mut self, now: SimTime) -> &mut Minute {
        let minute = now.0 / 60_000_000_000;
        if self.minute != minute {
            *self = Minute { minute, ..Minute::default() };
        }
        self
    }
    /// (tokens, requests) at `now`.
    pub fn seen(&self, now: SimTime) -> (u64, u64) {
        if self.minute == now.0 / 60_000_000_000 { (self.tokens, self.requests) } else { (0, 0) }
    }
}

/// Money of the running day: what ended, and what is expected of what is under way. An attempt counts on the day that it
/// was sent.
#[derive(Debug, Clone, Default)]
pub struct Spend {
    day: SimTime,
    number: u64,
    pico: i128,
    under_way: FxHashMap<AttemptId, (u64, i128)>,
}

impl Spend {
    /// A day of this length; zero: nothing is kept.
    pub fn new(day: SimTime) -> Spend {
        Spend { day, ..Spend::default() }
    }
    /// Pico-dollars of the day at `now`.
    pub fn today(&self, now: SimTime, day: SimTime) -> i128 {
        if now.0 / day.0 == self.number { self.pico } else { 0 }
    }
    fn sent(&mut self, attempt: AttemptId, at: SimTime, expected: i128) {
        if self.day == SimTime::ZERO || expected == 0 {
            return;
        }
        let number = at.0 / self.day.0;
        if number != self.number {
            (self.number, self.pico) = (number, 0);
        }
        self.pico += expected;
        self.under_way.insert(attempt, (number, expected));
    }
    fn ended(&mut self, attempt: AttemptId, cost: i128) {
        if let Some((number, expected)) = self.under_way.remove(&attempt)
            && number == self.number
        {
            self.pico += cost - expected;
        }
    }
}

/// See the module head.
#[derive(Debug, Clone, Default)]
pub struct History {
    tree: Option<Tree>,
    blocks: Option<Blocks>,
    /// Whether the index was asked about the request at hand.
    looked: bool,
    /// Loads, each with the instant of its sample; what is seen of it.
    loads: IdMap<ReplicaId, Option<(SimTime, Load)>>,
    sampled_at: SimTime,
    /// Requests sent to each replica since the sample that is seen was taken, and that sample's instant.
    since_sample: (SimTime, IdMap<ReplicaId, u32>),
    counts_since_sample: bool,
    /// Session ring.
    pub ring: Ring,
    /// Prompt tokens under way.
    pub tokens: PlaceMap<u64>,
    /// Requests under way at endpoints.
    pub under_way: PlaceMap<u32>,
    /// Times to first token.
    pub latencies: PlaceMap<Latencies>,
    /// Usage of the minute.
    pub minutes: PlaceMap<Minute>,
    /// Requests sent in the last 60 seconds.
    sent: VecDeque<(SimTime, Place)>,
    rate: PlaceMap<u32>,
    /// Money.
    pub spend: Spend,
}

impl History {
    /// Nothing yet; `prefixes` if a part reads an index, `day` if one reads the spend, and whether one reads what was sent
    /// since the last sample.
    pub fn new(prefixes: Option<PrefixRule>, day: Option<SimTime>, counts_since_sample: bool) -> History {
        let spend = Spend::new(day.unwrap_or(SimTime::ZERO));
        let mut history = History { spend, counts_since_sample, ..History::default() };
        match prefixes {
            Some(PrefixRule::Tree) => history.tree = Some(Tree::default()),
            Some(PrefixRule::Blocks(rule)) => history.blocks = Some(Blocks::new(rule)),
            None => {}
        }
        history
    }

    /// A new question.
    pub fn begin(&mut self, signals: &dyn Signals) {
        self.looked = false;
        self.sampled_at = signals.sampled_at();
    }

    /// The scraped load of a replica, read again only when a newer sample can be seen.
    pub fn load(&mut self, signals: &dyn Signals, replica: ReplicaId) -> Load {
        let known = self.loads.of(replica);
        if known.is_none_or(|(at, _)| at != self.sampled_at) {
            *known = Some((self.sampled_at, signals.load(replica)));
        }
        known.map_or_else(Load::default, |(_, load)| load)
    }

    fn look(&mut self, view: &GatewayView<'_>) {
        if !self.looked {
            self.looked = true;
            if let Some(blocks) = &mut self.blocks {
                blocks.look(view.request.content);
            }
            if let Some(tree) = &mut self.tree {
                tree.look(view.request.content);
            }
        }
    }

    /// Tokens of the prompt, from its start, that a ready replica was sent (for the tree: that the one that was sent the
    /// longest known prefix last was sent).
    pub fn longest_prefix(&mut self, view: &GatewayView<'_>) -> u64 {
        self.look(view);
        if let Some(tree) = &self.tree {
            let ready = tree.longest().filter(|(replica, _)| view.own.binary_search(replica).is_ok());
            return ready.map_or(0, |(_, tokens)| tokens.into());
        }
        let blocks = self.blocks.as_ref();
        blocks.map_or(0, |b| view.own.iter().map(|&replica| b.matched_tokens(replica)).max().unwrap_or(0))
    }

    /// For each candidate the share of the prompt that it was sent.
    pub fn prefix_shares(&mut self, view: &GatewayView<'_>, own: &[ReplicaId], out: &mut [f64]) {
        self.look(view);
        let prompt = view.request.prompt_tokens;
        if let Some((owner, tokens)) = self.tree.as_ref().and_then(Tree::longest) {
            for (share, &replica) in out.iter_mut().zip(own) {
                *share = if replica == owner { f64::from(tokens) / f64::from(prompt.max(1)) } else { 0.0 };
            }
        }
        if let Some(blocks) = &self.blocks {
            for (share, &replica) in out.iter_mut().zip(own) {
                *share = blocks.share(replica, prompt);
            }
        }
    }

    /// Tokens of the prompt that a replica was sent, from its start.
    pub fn prefix_tokens(&mut self, view: &GatewayView<'_>, replica: ReplicaId) -> u64 {
        self.look(view);
        if let Some(tree) = &self.tree {
            return tree.longest().filter(|(owner, _)| *owner == replica).map_or(0, |(_, tokens)| tokens.into());
        }
        self.blocks.as_ref().map_or(0, |b| b.matched_tokens(replica))
    }

    /// Requests sent to a replica since the sample that is seen was taken.
    pub fn since_sample(&self, signals: &dyn Signals, replica: ReplicaId) -> u32 {
        let (at, counts) = &self.since_sample;
        if *at == signals.sampled_at() { counts.get(replica).copied().unwrap_or(0) } else { 0 }
    }

    /// Requests sent to a backend in the last 60 seconds.
    pub fn sent_last_minute(&mut self, now: SimTime, target: Place) -> u32 {
        while let Some(&(at, to)) = self.sent.front()
            && at.0 + 60_000_000_000 <= now.0
        {
            self.sent.pop_front();
            *self.rate.of(to) -= 1;
        }
        self.rate.get(target).copied().unwrap_or(0)
    }

    /// Whether an endpoint's limits of the minute have room for the request, by LiteLLM's rule.
    pub fn within_limits(&self, view: &GatewayView<'_>, e: &EndpointView) -> bool {
        let minute = self.minutes.endpoints.get(e.endpoint);
        let (tokens, requests) = minute.map_or((0, 0), |m| m.seen(view.now));
        let prompt = u64::from(view.request.prompt_tokens);
        e.input_tokens_per_minute.is_none_or(|limit| tokens + prompt <= limit)
            && e.requests_per_minute.is_none_or(|limit| requests + 1 < limit)
    }

    /// The request at hand goes to an own replica.
    pub fn goes_to(&mut self, view: &GatewayView<'_>, replica: ReplicaId) {
        if self.tree.is_some() || self.blocks.is_some() {
            self.look(view);
            if let Some(tree) = &mut self.tree {
                tree.sent(replica);
            }
            if let Some(blocks) = &mut self.blocks {
                blocks.sent(replica);
            }
        }
        if !self.counts_since_sample {
            return;
        }
        let (at, counts) = &mut self.since_sample;
        if *at != view.signals.sampled_at() {
            *at = view.signals.sampled_at();
            counts.fill(0);
        }
        *counts.of(replica) += 1;
    }

    /// A place has left: of what is kept of it, drops what is large.
    pub fn forget(&mut self, place: Place) {
        if let (Place::Replica(replica), Some(blocks)) = (place, &mut self.blocks) {
            blocks.forget(replica);
        }
        *self.latencies.of(place) = Latencies::default();
    }

    /// Takes note of what happened.
    pub fn learn(&mut self, feedback: &Feedback) {
        match *feedback {
            Feedback::Sent { attempt, at, to, prompt_tokens, expected_cost_pico } => {
                *self.tokens.of(to) += u64::from(prompt_tokens);
                *self.under_way.of(to) += 1;
                self.minutes.of(to).at(at).requests += 1;
                self.sent_last_minute(at, to);
                self.sent.push_back((at, to));
                *self.rate.of(to) += 1;
                self.spend.sent(attempt, at, expected_cost_pico);
            }
            Feedback::FirstToken { to, at, took } => self.latencies.of(to).learn(at, took),
            Feedback::Ended { attempt, at, to, prompt_tokens, output_tokens, completed, timed_out, cost_pico } => {
                *self.tokens.of(to) -= u64::from(prompt_tokens);
                *self.under_way.of(to) -= 1;
                if completed {
                    self.minutes.of(to).at(at).tokens += u64::from(prompt_tokens) + u64::from(output_tokens);
                }
                if timed_out {
                    self.latencies.of(to).learn(at, Latencies::TIMED_OUT);
                }
                self.spend.ended(attempt, cost_pico);
            }
        }
    }
}
